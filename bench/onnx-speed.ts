import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { centredUniform } from '../src/common/random.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { MobileFaceNet } from '../src/models/mobilefacenet.js';
import { recognizerToOnnx } from '../src/models/onnx-networks.js';
import { OnnxRecognizer } from '../src/models/onnx-recognizer.js';
import type { Recognizer } from '../src/models/recognizer.js';
import { loadRecognizer, readRecognizer } from '../src/models/recognizer-file.js';
import { sum } from '../src/ops/reduce.js';
import { Tape } from '../src/ops/tape.js';
import { square } from '../src/ops/unary.js';
import { type RecordedStep, recordStep } from '../src/tensor/recorded-step.js';
import { keep, Tensor } from '../src/tensor/tensor.js';
import { spreadOf } from './core/statistics.js';

/*
 * tsx bench/onnx-speed.ts [BATCH [ROUNDS [WEIGHTS]]] [--out results/onnx-speed]: times a recogniser that was exported to ONNX and imported against its own definition:
 * embeddings alone, and embeddings with their gradient by the pictures, as joint training needs it. The two take turns, each first
 * in every other round, and the median of the rounds' ratios is printed: above 1, the imported network is slower. Without WEIGHTS, a
 * MobileFaceNet with random ones. The goal is 5 %.
 */

const { values: options, positionals } = parseArgs({ options: { out: { type: 'string' } }, allowPositionals: true });
const [batch = '8', rounds = '15', weights] = positionals;
const gpu = await openGpu();
const metadata = runMetadata(gpu.description); // now, because files may change while the program runs

async function ownNetwork(): Promise<Recognizer> {
  if (!weights) return new MobileFaceNet(96, 112).initialize(gpu, 1).eval();
  return loadRecognizer(gpu, readRecognizer(await readFile(join(PACKAGE_ROOT, weights))));
}

type Inputs = { x: Tensor };

function embedding(network: Recognizer, x: Tensor): RecordedStep<Inputs, { y: Tensor }> {
  return recordStep(gpu, { x }, (inputs: Inputs) => ({ y: network.embed(inputs.x) }));
}

function gradient(network: Recognizer, x: Tensor): RecordedStep<Inputs, { y: Tensor }> {
  return recordStep(gpu, { x }, (inputs: Inputs) => {
    const tape = new Tape();
    const loss = tape.record(() => sum(square(network.embed(inputs.x))));
    return { y: tape.gradients(loss, [inputs.x]).get(inputs.x)! };
  });
}

async function millisecondsOf(step: RecordedStep<Inputs, { y: Tensor }>): Promise<number> {
  const start = performance.now();
  step.run();
  await gpu.sync();
  return performance.now() - start;
}

/** Compares two steps. @returns milliseconds of each, and the ratios of the second to the first */
async function compare(steps: readonly RecordedStep<Inputs, { y: Tensor }>[]) {
  for (const step of steps) await millisecondsOf(step); // compiles
  const times = steps.map((): number[] => []);
  for (let round = 0; round < Number(rounds); round++) {
    for (const k of round % 2 === 0 ? [0, 1] : [1, 0]) times[k].push(await millisecondsOf(steps[k]));
  }
  return { times, ratios: times[1].map((time, round) => time / times[0][round]) };
}

async function writeReport(out: string): Promise<void> {
  const command = `tsx bench/onnx-speed.ts ${[...positionals, '--out', out].join(' ')}`;
  const text = `# An imported recogniser beside its own definition

${listLines([title, `${rounds} rounds by turns; the median of the ratios, and where the middle half lies`, ...metadataTexts({ ...metadata, command })])}

${markdownTable({
  columns: ['what', 'here, ms', 'imported, ms', 'ratio', 'low', 'high'],
  rows: rows.map(({ name, own: ours, imported: theirs, ratio, low, high }) => [
    name,
    ours,
    theirs,
    ratio.toFixed(3),
    low.toFixed(3),
    high.toFixed(3),
  ]),
})}
`;
  await writeFileAtomic(`${out}.json`, `${JSON.stringify({ metadata: { ...metadata, command }, rows }, null, 1)}\n`);
  await writeFileAtomic(`${out}.md`, text);
}

const own = await ownNetwork();
const { height, width } = own;
const imported = new OnnxRecognizer(await recognizerToOnnx(own));
imported.putOn(gpu);
const x = keep(
  Tensor.from(gpu, centredUniform(Number(batch) * height * width * 3, 1), [Number(batch), height, width, 3]),
);
const title = `${own.constructor.name}, faces of ${width}×${height}, batch ${batch}`;
console.log(`${title}, on ${gpu.description.description}`);
const rows: { name: string; own: string; imported: string; ratio: number; low: number; high: number }[] = [];
for (const [name, record] of Object.entries({ embeddings: embedding, 'with the gradient by the pictures': gradient })) {
  const steps = [own, imported].map((network) => record(network, x));
  const { times, ratios } = await compare(steps);
  const [ours, theirs] = times.map((list) => spreadOf(list).median.toFixed(1));
  const { median, low, high } = spreadOf(ratios);
  console.log(
    `${name}: here ${ours} ms, imported ${theirs} ms, ratio ${median.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`,
  );
  rows.push({ name, own: ours, imported: theirs, ratio: median, low, high });
  for (const step of steps) step.dispose();
}
if (options.out) await writeReport(options.out);
for (const one of [own, imported, x]) one.dispose();
gpu.destroy();
