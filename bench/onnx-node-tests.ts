import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CameoError } from '../src/common/errors.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { externalDataIn } from '../src/data/files/external-data.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { UnsupportedModelError } from '../src/onnx/errors.js';
import { importOnnx, type OnnxInput, type OnnxModule } from '../src/onnx/index.js';
import { readModel, readTensorProto } from '../src/onnx/model.js';
import { OPERATORS } from '../src/onnx/operators/index.js';
import { ProtoReader } from '../src/onnx/protobuf.js';
import { tensorValues } from '../src/onnx/tensor-values.js';
import { GpuValue, HostValue, type Value } from '../src/onnx/values.js';
import { Tape } from '../src/ops/tape.js';
import { type AnyTensor, scope, Tensor } from '../src/tensor/tensor.js';

/*
 * tsx bench/onnx-node-tests.ts FOLDER [WORD …] [--out results/onnx-nodes]: runs ONNX's published node tests through the importer. FOLDER holds a folder for each
 * test, with model.onnx and test_data_set_0/{input,output}_N.pb; with words, only tests whose names contain one of them run, and each
 * failure is shown. Prints for each operator how many tests passed, were wrong, and were refused, and why.
 * With --out it also tries, for each test that passed, whether a gradient reaches a float input, and writes a report (.md) and what the table of
 * operators is made from (.json).
 *
 * A float is right if |a − b| ≤ 1e-3·|b| + 2e-6·max(1, largest |b| of the array); integers and booleans must be equal. Integers of 64
 * bits are int32 here. Inputs are tensors; where a test is refused as such, because sizes must be known before the GPU runs, its
 * integers, booleans, single numbers and, after the first input, lists of at most 16 numbers are given as arrays on the host, as are always arrays without elements.
 */

interface Outcome {
  /** Whether a gradient reached an input; undefined where it was not tried or no input is a float. */
  gradient?: boolean;
  operator: string;
  test: string;
  result: 'passed' | 'wrong' | 'refused' | 'failed';
  why: string;
}

/** Arrays of a test, by their numbers. */
function readArrays(folder: string, kind: 'input' | 'output'): HostValue[] {
  const arrays: HostValue[] = [];
  for (let k = 0; existsSync(join(folder, `${kind}_${k}.pb`)); k++) {
    arrays.push(tensorValues(readTensorProto(new ProtoReader(readFileSync(join(folder, `${kind}_${k}.pb`))))));
  }
  return arrays;
}

const asArray = ({ shape, data }: HostValue): OnnxInput => ({ shape, data });

/** Runs the network, and reads its outputs back. */
async function outputsOf(
  gpu: Gpu,
  module: OnnxModule,
  inputs: readonly HostValue[],
  onHost: boolean,
): Promise<HostValue[]> {
  let values: Value[] = [];
  const tensors = scope(gpu, () => {
    const given = inputs.map((x, k) => {
      const small =
        onHost && (x.dtype !== 'float32' || x.shape.length === 0 || (k > 0 && x.shape.length === 1 && x.size <= 16));
      return small || x.size === 0 ? asArray(x) : x.upload(gpu);
    });
    values = module.evaluate(Object.fromEntries(module.inputNames.map((name, k) => [name, given[k]])));
    return values.map((value) => (value instanceof HostValue ? null : value.file()));
  });
  const read = await Promise.all(tensors.map((x) => x?.read()));
  for (const x of tensors) x?.dispose();
  return values.map((value, k) =>
    value instanceof HostValue ? value : new HostValue(value.dtype, value.shape, read[k]!),
  );
}

/** What differs; empty if nothing does. */
function difference(actual: HostValue, expected: HostValue): string {
  if (`${actual.shape}` !== `${expected.shape}`) return `shape [${actual.shape}], expected [${expected.shape}]`;
  const type = (dtype: string): string => (dtype === 'int64' ? 'int32' : dtype);
  if (type(actual.dtype) !== type(expected.dtype)) return `type ${actual.dtype}, expected ${expected.dtype}`;
  const [a, b] = [actual.data, expected.data];
  const largest = Array.from(b).reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    1,
  );
  for (let i = 0; i < b.length; i++) {
    const exact = expected.dtype !== 'float32' || !Number.isFinite(b[i]);
    const close = exact
      ? a[i] === b[i] || (Number.isNaN(a[i]) && Number.isNaN(b[i]))
      : Math.abs(a[i] - b[i]) <= 1e-3 * Math.abs(b[i]) + 2e-6 * largest;
    if (!close) return `element ${i} is ${a[i]}, expected ${b[i]}`;
  }
  return '';
}

/** The operator that a test is about: its only one, or the first word of its name. */
function subject(test: string, bytes: Uint8Array): string {
  const names = new Set(readModel(bytes).graph.nodes.map(({ operator }) => operator));
  return names.size === 1 ? [...names][0] : `several: ${test.replace(/^test_/, '').split('_')[0]}`;
}

async function runTest(gpu: Gpu, folder: string, test: string): Promise<Outcome> {
  const bytes = readFileSync(join(folder, test, 'model.onnx'));
  const operator = subject(test, bytes);
  const outcome = (result: Outcome['result'], why = ''): Outcome => ({ operator, test, result, why });
  let module: OnnxModule;
  try {
    module = importOnnx(gpu, bytes, { external: externalDataIn(join(folder, test)) });
  } catch (error) {
    if (error instanceof UnsupportedModelError) {
      return outcome('refused', error.parts.map(({ operator: name, reason }) => `${name}: ${reason}`).join('; '));
    }
    return outcome(error instanceof CameoError ? 'refused' : 'failed', `${error}`);
  }
  try {
    const data = join(folder, test, 'test_data_set_0');
    const [inputs, expected] = [readArrays(data, 'input'), readArrays(data, 'output')];
    let actual: HostValue[];
    try {
      actual = await outputsOf(gpu, module, inputs, false);
    } catch (error) {
      if (!(error instanceof CameoError)) throw error;
      actual = await outputsOf(gpu, module, inputs, true);
    }
    const wrong = expected.map((array, k) => difference(actual[k], array)).filter(Boolean);
    if (wrong.length > 0) return outcome('wrong', wrong.join('; '));
    return {
      ...outcome('passed'),
      gradient: options.out ? hasGradient(gpu, module, inputs, hostInputs(bytes)) : undefined,
    };
  } catch (error) {
    if (error instanceof CameoError) return outcome('refused', error.message);
    return outcome('failed', error instanceof Error ? `${error.stack}` : `${error}`);
  } finally {
    module.dispose();
  }
}

/** Names of the inputs that operators take on the host alone, such as the constant of Pad. */
const hostInputs = (bytes: Uint8Array): Set<string> =>
  new Set(
    readModel(bytes).graph.nodes.flatMap(({ operator, inputs }) =>
      inputs.slice(OPERATORS[operator]?.hostFrom ?? inputs.length),
    ),
  );

/** Whether a gradient of the first float output reaches a float input. @param onHost names of inputs that cannot have one */
function hasGradient(
  gpu: Gpu,
  module: OnnxModule,
  inputs: readonly HostValue[],
  onHost: ReadonlySet<string>,
): boolean | undefined {
  const differs = ({ dtype, size }: HostValue, k: number): boolean =>
    dtype === 'float32' && size > 0 && !onHost.has(module.inputNames[k]);
  if (!inputs.some(differs)) return undefined;
  return scope(gpu, () => {
    const tensors = inputs.map((x, k) => (differs(x, k) ? x.upload(gpu) : asArray(x)));
    const floats = tensors.filter((x): x is Tensor => x instanceof Tensor);
    const tape = new Tape();
    try {
      const outputs = tape.record(() =>
        module.evaluate(Object.fromEntries(module.inputNames.map((name, k) => [name, tensors[k]]))),
      );
      const output = outputs.find((value): value is GpuValue => value instanceof GpuValue && value.dtype === 'float32');
      if (!output) return false;
      const y = tape.record(() => output.file()) as Tensor;
      tape.gradients(y, floats, Tensor.from(gpu, new Float32Array(y.size).fill(1), y.shape));
      return true;
    } catch (error) {
      if (error instanceof CameoError) return false;
      throw error;
    } finally {
      const kept = new Set<AnyTensor>(floats);
      for (const { output, saved } of tape.nodes) for (const x of [output, ...saved]) if (!kept.has(x)) x.dispose();
    }
  });
}

const { values: options, positionals } = parseArgs({ options: { out: { type: 'string' } }, allowPositionals: true });
const [folder, ...words] = positionals;
if (!folder) throw new Error('usage: tsx bench/onnx-node-tests.ts FOLDER [WORD …]');
const tests = readdirSync(folder).filter((test) => words.length === 0 || words.some((word) => test.includes(word)));
const gpu = await openGpu();
const metadata = runMetadata(gpu.description); // now, because files may change while the program runs
const outcomes: Outcome[] = [];
for (const test of tests.sort()) outcomes.push(await runTest(gpu, folder, test));

const count = (list: readonly Outcome[], result: Outcome['result']): number =>
  list.filter((one) => one.result === result).length;
const RESULTS = ['passed', 'wrong', 'refused', 'failed'] as const;
console.log(`| operator | ${RESULTS.join(' | ')} | why refused |\n|---|${'---:|'.repeat(RESULTS.length)}---|`);
for (const operator of [...new Set(outcomes.map((one) => one.operator))].sort()) {
  const own = outcomes.filter((one) => one.operator === operator);
  const why = [...new Set(own.filter(({ result }) => result === 'refused').map((one) => one.why.slice(0, 160)))];
  console.log(
    `| ${operator} | ${RESULTS.map((result) => count(own, result)).join(' | ')} | ${why.slice(0, 3).join(' / ')} |`,
  );
}
for (const { test, result, why } of outcomes) {
  if (result === 'wrong' || result === 'failed' || (words.length > 0 && result === 'refused'))
    console.log(`${test}: ${result}: ${why}`);
}
console.log(RESULTS.map((result) => `${result} ${count(outcomes, result)}`).join(', '), `of ${outcomes.length}`);
if (options.out) {
  const operators = [...new Set(outcomes.map((one) => one.operator))].sort().map((operator) => {
    const own = outcomes.filter((one) => one.operator === operator);
    const gradients = own.map(({ gradient }) => gradient).filter((gradient) => gradient !== undefined);
    return {
      operator,
      ...Object.fromEntries(RESULTS.map((result) => [result, count(own, result)])),
      gradient: gradients.length === 0 ? null : gradients.includes(true),
      refusals: [...new Set(own.filter(({ result }) => result === 'refused').map(({ why }) => why))],
    };
  });
  const totals = Object.fromEntries(RESULTS.map((result) => [result, count(outcomes, result)]));
  const command = `tsx bench/onnx-node-tests.ts FOLDER --out ${options.out}`;
  const data = { metadata: { ...metadata, command }, tests: outcomes.length, totals, operators };
  const text = `# ONNX's node tests

${listLines([
  `${totals.passed} of ${outcomes.length} tests pass, ${totals.wrong} are wrong, ${totals.refused} are refused by name, ${totals.failed} fail otherwise`,
  'A float is right if |a − b| ≤ 1e-3·|b| + 2e-6·max(1, largest |b| of the array); integers and booleans must be equal. Integers of 64 bits are int32',
  'Tests of other types than float32, int32, int64 and bool, and of sequences and optionals, are not in the folder',
  ...metadataTexts(data.metadata),
])}

${markdownTable({
  columns: ['Operator', 'passed', 'refused', 'gradient', 'why refused'],
  rows: operators.map(({ operator, passed, refused, gradient, refusals }: Record<string, unknown>) => [
    `${operator}`,
    `${passed}`,
    `${refused}`,
    gradient === null ? '' : gradient ? 'yes' : 'no',
    (refusals as string[]).slice(0, 3).join(' / ').slice(0, 300),
  ]),
})}
`;
  await writeFileAtomic(`${options.out}.json`, `${JSON.stringify(data, null, 1)}\n`);
  await writeFileAtomic(`${options.out}.md`, text);
}
gpu.destroy();
process.exitCode = count(outcomes, 'wrong') + count(outcomes, 'failed') > 0 ? 1 : 0;
