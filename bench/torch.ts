import { FormatError } from '../src/common/errors.js';
import { parseJson } from '../src/common/json.js';
import type { ReportTable } from '../src/evaluation/reports/html-report.js';
import { attrsOfShape } from '../src/ops/conv/shape.js';
import { type BenchResult, gflopsOf } from './core/result.js';
import { geometricMean } from './core/statistics.js';
import type { ConvWork, Work } from './core/work.js';

/** One convolution for `bench/torch_peer.py`. `padding` is symmetric there, and gives the same sizes as ours. */
export interface TorchShape {
  kind: string;
  layer: string;
  /** What is computed: a conv ('output'), its input gradient or a transposed conv ('input'), or its weight gradient ('weights'). */
  result: ConvWork['result'];
  batch: number;
  input: readonly number[];
  output: readonly number[];
  cin: number;
  cout: number;
  kernel: readonly number[];
  stride: readonly number[];
  padding: readonly number[];
  groups: number;
  flops: number;
}

/** All convolutions among the works, as shapes for PyTorch. */
export function torchShapes(works: readonly Work[]): TorchShape[] {
  return works.flatMap((work) => {
    if (work.type === 'matmul') return [];
    const { batch, input, output, cin, cout, kernel, stride, groups } = work.shape;
    const { padding } = attrsOfShape(work.shape);
    return [
      {
        kind: work.kind,
        layer: work.layer,
        result: work.result,
        batch,
        input,
        output,
        cin,
        cout,
        kernel,
        stride,
        padding: [padding[0], padding[2]],
        groups,
        flops: 2 * work.multiplyAdds,
      },
    ];
  });
}

export const TORCH_PRECISIONS = ['fp32', 'tf32', 'bf16'] as const;
type Precision = (typeof TORCH_PRECISIONS)[number];

/** What `bench/torch_peer.py` writes. */
export interface TorchReport {
  device: string;
  torch: string;
  rows: { kind: string; layer: string; batch: number; milliseconds: Record<Precision, number> }[];
  /** Milliseconds of one training step of Sphere20 at this batch size. */
  sphere20: { batch: number; milliseconds: Record<Precision, number> } | null;
}

/** @throws FormatError for a file that torch_peer.py did not write */
export function parseTorchReport(text: string): TorchReport {
  let report: TorchReport;
  try {
    report = parseJson(text, 'it') as TorchReport;
  } catch (cause) {
    throw new FormatError('the PyTorch report is not JSON', { cause });
  }
  const times = (value: unknown): boolean =>
    TORCH_PRECISIONS.every((precision) => Number((value as Record<string, number> | undefined)?.[precision]) > 0);
  if (
    typeof report?.device !== 'string' ||
    typeof report.torch !== 'string' ||
    !Array.isArray(report.rows) ||
    !report.rows.every(({ milliseconds }) => times(milliseconds)) ||
    (report.sphere20 && !times(report.sphere20.milliseconds))
  ) {
    throw new FormatError('the PyTorch report lacks fields that bench/torch_peer.py writes');
  }
  return report;
}

/** A table of GFLOP/s of both programs for each layer and batch size that both have measured. */
export function torchTable(result: BenchResult, report: TorchReport): ReportTable {
  const ratios: number[] = [];
  const rows = result.measurements.flatMap((measurement) => {
    const { kind, layer, batch, flops } = measurement;
    const other = report.rows.find((row) => row.kind === kind && row.layer === layer && row.batch === batch);
    const ours = gflopsOf(measurement);
    if (!other || ours === null) return [];
    const theirs = TORCH_PRECISIONS.map((precision) => flops / other.milliseconds[precision] / 1e6);
    ratios.push(ours / theirs[0]);
    return [
      [kind, layer, batch, ...[ours, ...theirs].map((rate) => rate.toFixed(0)), `${(ours / theirs[0]).toFixed(2)}×`],
    ];
  });
  const sphere = report.sphere20;
  const step = sphere
    ? ` Sphere20 training step at batch ${sphere.batch}: ${TORCH_PRECISIONS.map((p) => `${sphere.milliseconds[p].toFixed(1)} ms (${p})`).join(', ')}.`
    : '';
  return {
    title: `Compared with PyTorch ${report.torch} on ${report.device}, GFLOP/s`,
    columns: [
      'Kind',
      'Layer',
      'Batch',
      'ours, f32',
      ...TORCH_PRECISIONS.map((precision) => `PyTorch ${precision}`),
      'ours / fp32',
    ],
    rows,
    note: `${ratios.length > 0 ? `Geometric mean of ours over fp32 without TF32: ${geometricMean(ratios).toFixed(2)}×.` : `No layer in common at batch ${result.batches.join(' or ')}.`}${step}`,
  };
}
