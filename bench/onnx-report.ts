import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';

/*
 * npm run onnx-report: writes results/onnx.md, the figures of ONNX beside what was wanted, from results/onnx-nodes.json
 * (bench/onnx-node-tests.ts), onnx-networks.json (bench/onnx-networks.ts), onnx-speed.json (bench/onnx-speed.ts) and bundle-sizes.json (npm run sizes).
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A result of another command. @throws Error if that command has not run */
function read<T>(name: string): T {
  const path = join(ROOT, 'results', `${name}.json`);
  if (!existsSync(path)) throw new Error(`${path} is missing: run its command first (see bench/onnx-report.ts)`);
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

interface Measured {
  metadata: { command: string; date: string; commit: string; device: { description: string } };
}
const nodes = read<Measured & { tests: number; totals: Record<string, number> }>('onnx-nodes');
const networks = read<
  Measured & { largest: number; networks: { name: string; difference: number; gradient: number | null }[] }
>('onnx-networks');
const speed = read<Measured & { rows: { name: string; ratio: number; low: number; high: number }[] }>('onnx-speed');
const sizes = read<{ rows: { name: string; everything: { gzip: number }; conv: { gzip: number } | null }[] }>(
  'bundle-sizes',
);
const engine = sizes.rows.find(({ name }) => name === '`cameo/engine`')!;
const gradients = networks.networks.flatMap(({ gradient }) => (gradient === null ? [] : [gradient]));
const kB = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;
const percent = (ratio: number): string => `${((ratio - 1) * 100).toFixed(1)} %`;
const verdict = (reached: boolean): string => (reached ? 'yes' : 'no');

const table = markdownTable({
  columns: ['figure', 'measured', 'wanted', 'reached'],
  rows: [
    [
      "ONNX's node tests of float32, int32, int64 and bool that pass",
      `${nodes.totals.passed} of ${nodes.tests}, ${nodes.totals.wrong} wrong`,
      '750, none wrong',
      verdict(nodes.totals.passed >= 750 && nodes.totals.wrong === 0),
    ],
    [
      `published networks (${networks.networks.length}) beside onnxruntime, largest difference`,
      networks.largest.toExponential(1),
      '1e-4',
      verdict(networks.largest <= 1e-4),
    ],
    [
      `gradient through ${gradients.length} of them beside float64, relative to its largest value`,
      Math.max(...gradients).toExponential(1),
      'as tight as our own networks',
      verdict(Math.max(...gradients) <= 1e-5),
    ],
    ...speed.rows.map(({ name, ratio, low, high }) => [
      `time of an imported MobileFaceNet beside our own definition: ${name}`,
      `${percent(ratio)} (${percent(low)} to ${percent(high)})`,
      'within 5 %',
      verdict(ratio <= 1.05),
    ]),
    ['engine with everything, gzip', kB(engine.everything.gzip), '85 kB', verdict(engine.everything.gzip <= 85_000)],
    ['one conv2d, gzip', kB(engine.conv!.gzip), '28.5 kB', verdict(engine.conv!.gzip <= 28_500)],
  ],
});
const sources = { 'onnx-nodes': nodes, 'onnx-networks': networks, 'onnx-speed': speed };
const text = `# ONNX in figures

${table}

| source | command | date | commit | device |
|---|---|---|---|---|
${Object.entries(sources)
  .map(
    ([name, { metadata }]) =>
      `| [${name}.md](${name}.md) | \`${metadata.command}\` | ${metadata.date} | ${metadata.commit.slice(0, 12)} | ${metadata.device.description} |`,
  )
  .join('\n')}
| [bundle-sizes.md](bundle-sizes.md) | \`npm run sizes\` | | | |

All devices are software adapters. What \`exportOnnx\` writes is compared with onnxruntime in [onnx-export.md](onnx-export.md).
`;
await writeFileAtomic(join(ROOT, 'results', 'onnx.md'), text);
console.log(text);
