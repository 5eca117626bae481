import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { runOnnx } from '../kernels-test/onnx/export/onnxruntime.js';
import { CounterRandom } from '../src/common/random.js';
import { sizeOf } from '../src/common/shapes.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { importOnnx, type OnnxModule } from '../src/onnx/index.js';
import { referenceOps } from '../src/ops/registry.js';
import { Tape } from '../src/ops/tape.js';
import { map, type NdArray, ndarray } from '../src/reference/ndarray.js';
import type { ReferenceOp, ReferenceTable } from '../src/reference/reference-op.js';
import { replayInFloat64 } from '../src/tensor/replay.js';
import { scope, Tensor } from '../src/tensor/tensor.js';

/*
 * tsx bench/onnx-networks.ts FILE[@NAME=1x3x48x160,…] … [--gradient NAME,…] [--out results/onnx-networks]: runs published ONNX networks on random
 * inputs in [−1, 1), and compares the outputs with those of onnxruntime (its WebAssembly on the CPU). Sizes that a file leaves open are 1 for the
 * batch, and must be given for others. For the files that --gradient names (`all` for all), it also compares the gradient of the outputs, times random numbers, by the input
 * with that of the same operations in float64.
 */

const { values: options, positionals: files } = parseArgs({
  options: { gradient: { type: 'string', default: '' }, out: { type: 'string' } },
  allowPositionals: true,
});
if (files.length === 0)
  throw new Error('usage: tsx bench/onnx-networks.ts FILE[@NAME=1x3x48x160,…] … [--gradient NAME,…] [--out FILE]');

const gpu = await openGpu();
const metadata = runMetadata(gpu.description); // now, because files may change while the program runs

/** The file, and the sizes that are given for its inputs. */
function parsed(given: string): { path: string; sizes: Map<string, number[]> } {
  const [path, list = ''] = given.split('@');
  const sizes = list.split(',').filter(Boolean);
  return {
    path,
    sizes: new Map(
      sizes.map((one) => {
        const [name, shape] = one.split('=');
        return [name, shape.split('x').map(Number)];
      }),
    ),
  };
}

function shapeOf(module: OnnxModule, name: string, given: readonly number[] | undefined): number[] {
  if (given) return [...given];
  const shape = module.inputShape(name);
  if (!shape) throw new Error(`${name}: the file does not tell the shape; give it as FILE@${name}=1x3x112x112`);
  return shape.map((size, axis) => {
    if (typeof size === 'number' && size > 0) return size;
    if (axis === 0) return 1;
    throw new Error(`${name}: the file leaves axis ${axis} open; give the shape as FILE@${name}=1x3x112x112`);
  });
}

const random = new CounterRandom(7);
const uniform = (size: number): Float32Array => Float32Array.from({ length: size }, () => 2 * random.uniform() - 1);

/** The largest difference, and the largest expected magnitude. */
function compare(actual: ArrayLike<number>, expected: ArrayLike<number>): { difference: number; largest: number } {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values; expected ${expected.length}`);
  let [difference, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const apart = Math.abs(actual[i] - expected[i]);
    difference = Math.max(difference, Number.isNaN(apart) ? Infinity : apart);
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return { difference, largest };
}

const references = referenceOps as unknown as Readonly<Record<string, ReferenceOp<unknown>>>;

/** The gradient of Σ seed·output by the input, in float64, of the operations that a tape recorded. */
function gradientInFloat64(
  tape: Tape,
  input: Tensor,
  seeds: ReadonlyMap<Tensor, NdArray>,
  leaves: ReadonlyMap<Tensor, NdArray>,
): Float64Array {
  const values = replayInFloat64(tape, referenceOps as unknown as ReferenceTable, leaves);
  const dependent = new Set([input]);
  for (const node of tape.nodes) if (node.inputs.some((x) => dependent.has(x))) dependent.add(node.output);
  const gradients = new Map<Tensor, NdArray>(seeds);
  for (const { name, inputs, output, attrs } of [...tape.nodes].reverse()) {
    const dy = gradients.get(output);
    if (!dy || !inputs.some((x) => dependent.has(x))) continue;
    const arrays = inputs.map((x) => values.get(x)!);
    references[name].backward(arrays, values.get(output)!, dy, attrs).forEach((part, k) => {
      if (!part || !dependent.has(inputs[k])) return;
      const sum = gradients.get(inputs[k]);
      gradients.set(inputs[k], sum ? map(sum, (value, i) => value + part.data[i]) : part);
    });
  }
  return gradients.get(input)!.data;
}

/** Compares the gradient by the first input with float64. */
async function gradientOf(module: OnnxModule, values: ReadonlyMap<string, [Float32Array, number[]]>) {
  const [[first]] = values;
  const tape = new Tape();
  const inputs = new Map([...values].map(([name, [data, shape]]) => [name, Tensor.from(gpu, data, shape)] as const));
  const outputs = tape.record(() => module.run(Object.fromEntries(inputs)));
  const chosen = Object.values(outputs).filter(({ dtype }) => dtype === 'float32') as Tensor[];
  const seeds = new Map(chosen.map((output) => [output, ndarray(output.shape, uniform(output.size))] as const));
  const input = inputs.get(first)!;
  const total = scope(gpu, () =>
    chosen.map((output) => {
      const seed = Tensor.from(gpu, seeds.get(output)!.data, output.shape);
      return tape.gradients(output, [input], seed).get(input)!;
    }),
  );
  const parts = await Promise.all(total.map((tensor) => tensor.read()));
  const actual = parts[0].map((_, i) => parts.reduce((sum, part) => sum + part[i], 0));
  const made = new Set(tape.nodes.map(({ output }) => output));
  const leaves = new Map<Tensor, NdArray>();
  for (const tensor of new Set(tape.nodes.flatMap((node) => node.inputs))) {
    if (!made.has(tensor)) leaves.set(tensor, ndarray(tensor.shape, await tensor.read()));
  }
  const expected = gradientInFloat64(tape, input, seeds, leaves);
  for (const tensor of [...total, ...inputs.values(), ...made]) tensor.dispose();
  return compare(actual, expected);
}

const rows = [];
for (const given of files) {
  const { path, sizes } = parsed(given);
  const bytes = new Uint8Array(readFileSync(path));
  const module = importOnnx(gpu, bytes).eval() as OnnxModule;
  const values = new Map(
    module.inputNames.map((name) => {
      const shape = shapeOf(module, name, sizes.get(name));
      return [name, [uniform(sizeOf(shape)), shape] as [Float32Array, number[]]];
    }),
  );
  const run = async () => {
    const outputs = scope(gpu, () =>
      module.run(Object.fromEntries([...values].map(([name, [data, shape]]) => [name, Tensor.from(gpu, data, shape)]))),
    );
    const read = await Promise.all(Object.entries(outputs).map(async ([name, x]) => [name, await x.read()] as const));
    for (const x of Object.values(outputs)) x.dispose();
    return new Map(read);
  };
  const ours = await run();
  const started = performance.now();
  await run();
  const ms = performance.now() - started;
  const theirs = await runOnnx(
    bytes,
    Object.fromEntries([...values].map(([name, [data, shape]]) => [name, { data, shape }])),
  );
  const found = [...ours].map(([name, data]) => compare(data, theirs[name].data));
  const worst = found.reduce((a, b) => (b.difference > a.difference ? b : a));
  const wanted = options.gradient.split(',');
  const gradient = wanted.includes('all') || wanted.includes(basename(path)) ? await gradientOf(module, values) : null;
  const relative = gradient && gradient.difference / gradient.largest;
  rows.push({
    name: basename(path),
    bytes: bytes.length,
    inputs: [...values].map(([name, [, shape]]) => `${name} [${shape}]`).join(', '),
    ms,
    ...worst,
    gradient: relative,
  });
  console.log(
    `${basename(path)}: largest difference ${worst.difference.toExponential(1)} of values up to ${worst.largest.toPrecision(3)}${
      relative === null ? '' : `, gradient ${relative.toExponential(1)} relative`
    }`,
  );
  module.dispose();
}
const command = [
  'tsx bench/onnx-networks.ts',
  ...files.map((file) => basename(file)),
  options.gradient ? `--gradient ${options.gradient}` : '',
  options.out ? `--out ${options.out}` : '',
]
  .filter(Boolean)
  .join(' ');
const largest = Math.max(...rows.map(({ difference }) => difference));
const table = markdownTable({
  columns: [
    'Network',
    'bytes',
    'inputs',
    'a run, ms',
    'largest value',
    'largest difference',
    'gradient against float64, relative',
  ],
  rows: rows.map(({ name, bytes, inputs, ms, largest: value, difference, gradient }) => [
    name,
    `${bytes}`,
    inputs,
    ms.toFixed(1),
    value.toPrecision(4),
    difference.toExponential(1),
    gradient === null ? '' : gradient.toExponential(1),
  ]),
});
const text = `# Published ONNX networks

${listLines([
  `Largest difference from onnxruntime (WebAssembly on the CPU): ${largest.toExponential(1)}`,
  'Inputs: random numbers in [−1, 1); the second run of each network is timed, reading of the outputs included',
  ...metadataTexts({ ...metadata, command }),
])}

${table}
`;
console.log(text);
if (options.out) {
  const data = { metadata: { ...metadata, command }, largest, networks: rows };
  await writeFileAtomic(`${options.out}.json`, `${JSON.stringify(data, null, 1)}\n`);
  await writeFileAtomic(`${options.out}.md`, text);
}
gpu.destroy();
