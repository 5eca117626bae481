// adapters: once

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ablationTable } from '../../bench/ablation-table.js';
import { sumPasses } from '../../bench/core/pass-timer.js';
import { kindsTable, measurementsTable, rooflinePlot } from '../../bench/core/report.js';
import { adapterSlug, type BenchResult } from '../../bench/core/result.js';
import { referenceElement, referenceSamples, wrongness } from '../../bench/core/samples.js';
import { geometricMean, quantile, spreadOf } from '../../bench/core/statistics.js';
import { compulsoryBytes, KINDS, operands, type Work, worksOf } from '../../bench/core/work.js';
import {
  autoencoderLayers,
  benchLayers,
  conv,
  convTranspose,
  type LayerShape,
  layerMultiplyAdds,
  mobileFaceNetLayers,
  normShapes,
  sphere20Layers,
} from '../../bench/layers.js';
import { benchHtml, benchMarkdown } from '../../bench/report.js';
import { parseTorchReport, torchShapes, torchTable } from '../../bench/torch.js';
import { FormatError } from '../../src/common/errors.js';
import { sizeOf } from '../../src/common/shapes.js';
import { adapterName, describeAdapter } from '../../src/gpu/description.js';
import { Autoencoder } from '../../src/models/autoencoder.js';
import { attrsOfShape } from '../../src/ops/conv/shape.js';
import { referenceOps } from '../../src/ops/registry.js';
import { type NdArray, ndarray } from '../../src/reference/ndarray.js';

/** Shape of the weights [kh, kw, in, out]; for a linear layer, that of a 1×1 conv. */
function weightShape(shape: LayerShape): number[] {
  if (shape.type === 'linear') return [1, 1, shape.inputs, shape.outputs];
  return [...shape.kernel, shape.cin / shape.groups, shape.cout];
}

const weights = (shapes: LayerShape[]): number => shapes.reduce((sum, shape) => sum + sizeOf(weightShape(shape)), 0);

test('the layers of the autoencoder equal those of the model', () => {
  const model = new Autoencoder();
  const kernels = [...model.entries().values()].map(({ shape }) => shape).filter((shape) => shape.length === 4);
  const key = (shapes: (readonly number[])[]): string[] => shapes.map((shape) => shape.join('×')).sort();
  assert.equal(key(autoencoderLayers().map(weightShape)), key(kernels));
  const [first] = autoencoderLayers();
  assert.is(layerMultiplyAdds(first), 56 * 48 * 25 * 3 * 16);
});

test('the recognition networks have the depths and numbers of weights of their papers', () => {
  const sphere = sphere20Layers();
  assert.is(sphere.length, 20 + 1);
  // By stages: (3·64 + 2·64² + 64·128 + 4·128² + 128·256 + 8·256² + 256·512 + 2·512²)·9 + 512·42·512.
  assert.is(weights(sphere), 11_650_752 + 11_010_048);
  const face = mobileFaceNetLayers();
  assert.is(face.length, 1 + 1 + 3 * 15 + 3);
  // The paper has 0.99 million, including batch norms, slopes and a 7×7 depthwise kernel.
  assert.ok(weights(face) > 0.93e6 && weights(face) < 0.99e6, `${weights(face)}`);
  assert.equal(sphere.at(-1), { type: 'linear', inputs: 512 * 7 * 6, outputs: 512 });
});

test('layers of equal shape are one entry, and no layer is lost', () => {
  const layers = benchLayers();
  const all = { autoencoder: autoencoderLayers(), sphere20: sphere20Layers(), mobilefacenet: mobileFaceNetLayers() };
  for (const [network, shapes] of Object.entries(all)) {
    const counted = layers.reduce((sum, { counts }) => sum + (counts[network] ?? 0), 0);
    assert.is(counted, shapes.length, network);
  }
  assert.is(new Set(layers.map(({ name }) => name)).size, layers.length, 'all layers have different names');
  const shared = layers.find(({ counts }) => counts.sphere20 && counts.mobilefacenet);
  assert.is(shared?.name, 'conv 3×3/2 3→64 @112×96');
});

/** A small layer of each family, and the reference results of all its passes. */
const SMALL: LayerShape[] = [
  conv([5, 6], 3, 4, { stride: 2 }),
  conv([4, 5], 6, 6, { groups: 6 }),
  convTranspose([3, 4], 5, 2),
  { type: 'linear', inputs: 7, outputs: 5 },
];

const small = (shape: LayerShape): Work[] => worksOf({ name: 'small', shape, counts: {} }, 2);

function referenceResult(work: Work, values: [Float32Array, Float32Array]): NdArray {
  const [a, b] = values.map((data, k) => ndarray(work.inputs[k], data));
  if (work.type === 'matmul') return referenceOps.matmul.forward([a, b], work);
  const attrs = attrsOfShape(work.shape);
  const blank = ndarray(work.output, new Float32Array(sizeOf(work.output)));
  const { conv2d } = referenceOps;
  if (work.result === 'output') return conv2d.forward([a, b], attrs);
  return work.result === 'input'
    ? conv2d.backward([blank, b], a, a, attrs)[0]!
    : conv2d.backward([a, blank], b, b, attrs)[1]!;
}

test('sampled elements equal those of the float64 reference', () => {
  for (const work of SMALL.flatMap(small)) {
    const values = operands(work);
    const { data } = referenceResult(work, values);
    assert.is(data.length, sizeOf(work.output));
    for (let i = 0; i < data.length; i++) {
      const error = Math.abs(referenceElement(work, values, i) - data[i]);
      assert.ok(error < 1e-12, `${work.kind}, element ${i} is off by ${error}`);
    }
  }
});

test('wrong results are detected, and right ones are accepted', () => {
  const [work] = small(SMALL[0]);
  const values = operands(work);
  const right = Float32Array.from(referenceResult(work, values).data);
  const samples = referenceSamples(work, values, 1000);
  assert.is(wrongness(work, right, samples), null);
  assert.match(
    wrongness(
      work,
      right.map(() => 0),
      samples,
    )!,
    /sampled values are wrong/,
  );
  assert.match(
    wrongness(
      work,
      right.map((v) => v * 1.001),
      samples,
    )!,
    /sampled values are wrong/,
  );
  assert.match(wrongness(work, right.subarray(1), samples)!, /71 values in place of 72/);
  const broken = right.slice();
  broken[5] = Number.NaN;
  assert.match(wrongness(work, broken, samples)!, /value 5 is NaN/);
});

test('multiply-adds and bytes are counted correctly', () => {
  const [forward, byInput, byWeights] = small(SMALL[0]);
  for (const work of [forward, byInput, byWeights]) {
    assert.is(work.multiplyAdds, 2 * 3 * 3 * 9 * 3 * 4);
    assert.is(compulsoryBytes(work), 4 * (2 * 30 * 3 + 9 * 12 + 2 * 9 * 4));
    assert.ok(KINDS.includes(work.kind));
  }
  assert.equal([forward.sumLength, byInput.sumLength, byWeights.sumLength], [27, 16, 18]);
  assert.equal(
    small(SMALL[2]).map(({ kind }) => kind),
    ['transposed input gradient', 'transposed forward', 'transposed weight gradient'],
  );
});

test('medians, quartiles and geometric means are right', () => {
  assert.is(quantile([3, 1, 2], 0.5), 2);
  assert.is(quantile([4, 1, 2, 3], 0.5), 2.5);
  assert.is(quantile([0, 10], 0.25), 2.5);
  assert.equal(spreadOf([5, 1, 4, 2, 3]), { median: 3, low: 2, high: 4, samples: 5 });
  assert.ok(Math.abs(geometricMean([1, 2, 4]) - 2) < 1e-12);
  assert.throws(() => geometricMean([]));
  assert.throws(() => quantile([], 0.5));
});

test('batch norms have the shapes of the outputs of the stages', () => {
  assert.equal(normShapes()[0], [56, 48, 16]);
  assert.equal(normShapes().at(-1), [7, 6, 512]);
});

test('durations of passes are added, and impossible ones refused', () => {
  assert.is(sumPasses(BigUint64Array.of(1_000_000n, 3_000_000n, 5_000_000n, 5_500_000n)), 2.5);
  assert.is(sumPasses(BigUint64Array.of(5n, 3n)), null);
  assert.is(sumPasses(BigUint64Array.of(0n, 3n)), null);
});

const RESULT: BenchResult = {
  adapter: { name: 'Test <adapter>', kind: 'lavapipe', vendor: '', architecture: '', driver: 'Mesa 1' },
  runtime: 'Node v0',
  engineVersion: '1.2.3',
  commit: 'abc',
  date: '2020-01-01T00:00:00.000Z',
  batches: [2],
  tuned: false,
  clock: 'wall',
  ceilings: { gflops: 50, form: '4 vec4 chains, fma()', gbps: 10 },
  measurements: [
    {
      kind: 'conv forward',
      layer: 'a|b',
      batch: 2,
      flops: 20e6,
      bytes: 4e6,
      time: { median: 2, low: 1.5, high: 2.5, samples: 5 },
      compileMs: 123.4,
      kernels: ['pad', 'conv', 'pad'],
    },
    {
      kind: 'batch norm + PReLU forward',
      layer: 'c',
      batch: 2,
      flops: 0,
      bytes: 4e6,
      time: { median: 1, low: 1, high: 1, samples: 5 },
      compileMs: 0,
      kernels: ['norm'],
    },
  ],
  networks: [
    {
      network: 'autoencoder',
      task: 'inference',
      batch: 2,
      time: { median: 4, low: 4, high: 4, samples: 3 },
      jsShare: 0.25,
    },
  ],
  ablations: [
    {
      layer: 'd',
      gflops: 20,
      parts: [
        { without: 'nothing', time: 4, saved: 0 },
        { without: 'all loads', time: 2, saved: 0.5 },
      ],
    },
  ],
};

test('the table of ablations shows the cost of each part', () => {
  const { rows } = ablationTable(RESULT);
  assert.equal(rows, [
    ['d', 'nothing', '4.0', '0 %', '20.0', '40 %'],
    ['d', 'all loads', '2.0', '50 %', '40.0', '80 %'],
  ]);
});

test('tables show rates and shares of both ceilings', () => {
  const { rows } = measurementsTable(RESULT);
  assert.equal(rows[0], [
    'conv forward',
    'a|b',
    2,
    '2.00',
    '1.50 to 2.50',
    '10.0',
    '20.0 %',
    '2.00',
    '20.0 %',
    '123',
    'pad, conv',
  ]);
  // A task that only moves data has no operations.
  assert.equal(rows[1].slice(5, 9), ['', '', '4.00', '40.0 %']);
  const markdown = benchMarkdown({ ...RESULT, peers: [] }, null);
  assert.match(markdown, /lavapipe, a software adapter on the CPU, not a GPU, Mesa 1/);
  assert.match(markdown, /chosen by estimate, not tuned/);
  assert.match(markdown, /in Node v0; engine 1\.2\.3, commit abc/);
  assert.match(markdown, /\| autoencoder \| inference \| 2 \| 500 \| 4\.00 \| 4\.00 to 4\.00 \| 25\.0 % \|/);
  assert.match(markdown, /a\\\|b/);
  const hardware = { ...RESULT, adapter: { ...RESULT.adapter, kind: 'hardware' }, peers: [] };
  assert.not.match(benchMarkdown(hardware, null), /not a GPU/);
  assert.match(benchHtml({ ...RESULT, peers: [] }, null), /Bench: Test &lt;adapter&gt;/);
});

test('means are computed separately for each batch size', () => {
  const [first] = RESULT.measurements;
  const slower = { ...first, batch: 8, time: { ...first.time, median: 8 } };
  const { rows } = kindsTable({ ...RESULT, batches: [2, 8], measurements: [...RESULT.measurements, slower] });
  assert.equal(
    rows.map((row) => row.slice(0, 4)),
    [
      ['conv forward', 2, 1, '10.0'],
      ['conv forward', 8, 1, '2.50'],
      ['batch norm + PReLU forward', 2, 1, ''],
    ],
  );
});

test('the roofline has its ridge at the ceilings, and a dot for each kernel that multiplies', () => {
  const svg = rooflinePlot(RESULT);
  const [, points] = /<polyline points="([^"]*)"/.exec(svg)!;
  const [low, ridge, high] = points.split(' ').map((point) => point.split(',').map(Number));
  assert.ok(ridge[1] < low[1] && ridge[1] === high[1] && low[0] < ridge[0] && ridge[0] < high[0]);
  // The ridge is at 5 operations per byte, where the ceiling is 50 and the kernel reaches 10 GFLOP/s.
  const [, x, y] = /<circle cx="([^"]*)" cy="([^"]*)"/.exec(svg)!;
  assert.is(Number(x), ridge[0]);
  assert.ok(Number(y) > ridge[1]);
});

test('shapes are written for PyTorch, and its times are read', () => {
  const shapes = torchShapes(small(SMALL[0]));
  assert.equal(
    shapes.map(({ result, padding, flops }) => [result, padding, flops]),
    ['output', 'input', 'weights'].map((result) => [result, [1, 1], 2 * 2 * 9 * 9 * 3 * 4]),
  );
  assert.equal(torchShapes(small(SMALL[3])), []);
  const report = {
    device: 'GPU',
    torch: '2.0',
    rows: [{ kind: 'conv forward', layer: 'a|b', batch: 2, milliseconds: { fp32: 1, tf32: 0.5, bf16: 0.25 } }],
    sphere20: null,
  };
  const { rows } = torchTable(RESULT, parseTorchReport(JSON.stringify(report)));
  assert.equal(rows, [['conv forward', 'a|b', 2, '10', '20', '40', '80', '0.50×']]);
  assert.equal(
    torchTable({ ...RESULT, measurements: RESULT.measurements.map((m) => ({ ...m, batch: 1 })) }, report).rows,
    [],
  );
  for (const broken of ['', '{}', JSON.stringify({ ...report, rows: [{}] }), 'null']) {
    assert.throws(
      () => parseTorchReport(broken),
      (error: unknown) => error instanceof FormatError,
    );
  }
});

test('an adapter has a name and a file name, also if a browser gives only its family', () => {
  const description = { vendor: 'acme', architecture: 'gen-9', device: '', description: '', subgroupSize: 0 };
  const inBrowser = { ...description, kind: 'hardware' as const };
  assert.equal([adapterName(inBrowser), adapterSlug(inBrowser)], ['acme gen-9', 'acme-gen-9']);
  const inNode = { ...inBrowser, device: 'Acme (9)', description: 'driver 1' };
  assert.equal([adapterName(inNode), adapterSlug(inNode)], ['driver 1', 'acme-9']);
  assert.is(adapterSlug({ ...inNode, kind: 'lavapipe' }), 'lavapipe');
});

test('the fallback adapter of a browser counts as software, whatever its name is', () => {
  const info = { vendor: 'acme', architecture: 'gen-9', device: '', description: '', isFallbackAdapter: false };
  const kindOf = (fields: Partial<typeof info>) => describeAdapter({ ...info, ...fields } as GPUAdapterInfo).kind;
  assert.is(kindOf({}), 'hardware');
  assert.is(kindOf({ isFallbackAdapter: true }), 'other software');
  assert.is(kindOf({ isFallbackAdapter: true, architecture: 'swiftshader' }), 'swiftshader');
});

test('the measuring core runs in browsers: it bundles without a module of Node', async () => {
  const suite = fileURLToPath(new URL('../../bench/core/suite.ts', import.meta.url));
  const options = { bundle: true, write: false, format: 'esm', platform: 'browser', logLevel: 'silent' } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [suite] });
  assert.match(outputFiles[0].text, /runSuite/);
  const main = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));
  const forNode = await build({ ...options, entryPoints: [main] }).catch((error: Error) => error.message);
  assert.match(String(forNode), /node:/, 'a module of Node is detected');
});

test.run();
