import * as assert from 'uvu/assert';
import { CameoError, FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { importOnnx, type OnnxModule, UnsupportedModelError } from '../../src/onnx/index.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { type ArraySpec, onnxFile } from '../helpers/onnx-writer.js';
import { THOROUGH } from '../helpers/thorough.js';

const test = gpuSuite('damaged onnx files');

const whole = (values: number[]): ArraySpec => ({ dims: [values.length], values, type: 7 });

/** Small networks with most kinds of fields. */
const FILES = {
  conv: onnxFile({
    nodes: [
      {
        op: 'Conv',
        inputs: ['x', 'w'],
        outputs: ['c'],
        attributes: {
          pads: { ints: [1, 1, 1, 1] },
          strides: { ints: [2, 2] },
          auto_pad: { s: 'NOTSET' },
          group: { i: 1 },
        },
      },
      { op: 'LeakyRelu', inputs: ['c'], outputs: ['r'], attributes: { alpha: { f: 0.25 } } },
      { op: 'MaxPool', inputs: ['r'], outputs: ['y'], attributes: { kernel_shape: { ints: [2, 2] } } },
    ],
    inputs: [{ name: 'x', shape: ['n', 1, 5, 5] }],
    outputs: ['y'],
    initializers: { w: { dims: [2, 1, 2, 2], values: [1, -2, 3, 4, 5, -6, 7, 8] } },
  }),
  shapes: onnxFile({
    nodes: [
      { op: 'Shape', inputs: ['x'], outputs: ['s'] },
      { op: 'Constant', inputs: [], outputs: ['k'], attributes: { value: { t: whole([2]) } } },
      { op: 'Concat', inputs: ['k', 'm'], outputs: ['t'], attributes: { axis: { i: 0 } } },
      {
        op: 'ConstantOfShape',
        inputs: ['k'],
        outputs: ['z'],
        attributes: { value: { t: { dims: [1], values: [3] } } },
      },
      { op: 'Range', inputs: ['from', 'to', 'step'], outputs: ['g'] },
      { op: 'Tile', inputs: ['g', 'k'], outputs: ['gg'] },
      { op: 'Cast', inputs: ['gg'], outputs: ['f'], attributes: { to: { i: 1 } } },
      { op: 'Reshape', inputs: ['x', 't'], outputs: ['r'] },
      { op: 'Slice', inputs: ['r', 'zero', 'k', 'zero', 'step1'], outputs: ['h'] },
      { op: 'Transpose', inputs: ['h'], outputs: ['p'], attributes: { perm: { ints: [1, 0] } } },
      { op: 'ReduceSum', inputs: ['p', 'zero'], outputs: ['q'], attributes: { keepdims: { i: 1 } } },
      { op: 'Sum', inputs: ['q', 'z', 'q'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', shape: [1, 1, 5, 5].map((size) => size) }],
    outputs: ['y', 's', 'f'],
    initializers: {
      m: whole([-1]),
      from: { dims: [], values: [1], type: 7 },
      to: { dims: [], values: [7], type: 7 },
      step: { dims: [], values: [3], type: 7 },
      step1: whole([1]),
      zero: whole([0]),
    },
  }),
};

/** The input that the files take: [1, 1, 5, 5], or as many numbers as reshape to rows of two. */
function run(gpu: Gpu, module: OnnxModule): void {
  const size = module.inputNames.length === 1 && module.outputNames.length === 1 ? [1, 1, 5, 5] : [1, 1, 4, 4];
  scope(gpu, () => {
    const x = Tensor.from(
      gpu,
      randomValues(
        size.reduce((a, b) => a * b),
        1,
      ),
      size,
    );
    module.forward(x);
  });
}

/** Imports and runs a file: it works, or gives an error of the right class. */
function tryFile(gpu: Gpu, bytes: Uint8Array, what: string): 'works' | 'refused' {
  let module: OnnxModule | null = null;
  try {
    module = importOnnx(gpu, bytes);
    run(gpu, module);
    return 'works';
  } catch (error) {
    if (!(error instanceof CameoError)) throw new Error(`${what}: ${error instanceof Error ? error.stack : error}`);
    return 'refused';
  } finally {
    module?.dispose();
  }
}

test('the files work as they are', async () => {
  const gpu = await testGpu();
  for (const [name, bytes] of Object.entries(FILES)) assert.is(tryFile(gpu, bytes, name), 'works', name);
});

test('a file that ends early is refused, or works where only what follows the graph is missing', async () => {
  const gpu = await testGpu();
  for (const [name, bytes] of Object.entries(FILES)) {
    for (let length = 0; length < bytes.length - 16; length++) {
      const cut = bytes.slice(0, length);
      assert.throws(
        () => importOnnx(gpu, cut),
        (error: Error) => error instanceof FormatError,
        `${name} cut at ${length}`,
      );
    }
  }
});

test('a file with a changed byte works or is refused by an error of the right class', async () => {
  const gpu = await testGpu();
  const random = new CounterRandom(5, 1);
  const rounds = THOROUGH ? 8 : 1;
  for (const [name, bytes] of Object.entries(FILES)) {
    const counts = { works: 0, refused: 0 };
    const next = (): number => (THOROUGH ? 1 : 1 + Math.floor(3 * random.uniform()));
    for (let at = 0; at < bytes.length; at += next()) {
      for (let k = 0; k < rounds; k++) {
        const changed = bytes.slice();
        changed[at] ^= 1 + Math.floor(255 * random.uniform());
        counts[tryFile(gpu, changed, `${name}, byte ${at} is ${changed[at]}`)]++;
      }
    }
    await gpu.sync();
    assert.ok(counts.works > 5 && counts.refused > 5, `${name}: ${JSON.stringify(counts)}`);
  }
});

test('sizes, lengths and loops of any number are refused without the memory or time', async () => {
  const gpu = await testGpu();
  const refused = (spec: Parameters<typeof onnxFile>[0], message: RegExp) =>
    assert.throws(
      () => importOnnx(gpu, onnxFile(spec)),
      (error: Error) => error instanceof CameoError && message.test(error.message),
    );
  const constant = (size: number) => ({
    nodes: [{ op: 'ConstantOfShape', name: 'big', inputs: ['s'], outputs: ['y'] }],
    inputs: [],
    outputs: ['y'],
    initializers: { s: whole([size, size]) },
  });
  refused(constant(2 ** 20), /ConstantOfShape \(node "big"\): an array \[1048576,1048576\]/);
  refused(constant(-1), /array \[-1,-1\]/);
  const doubled = Array.from({ length: 40 }, (_, k) => ({
    op: 'Concat',
    inputs: [`t${k}`, `t${k}`],
    outputs: [`t${k + 1}`],
    attributes: { axis: { i: 0 } },
  }));
  refused({ nodes: doubled, inputs: [], outputs: ['t40'], initializers: { t0: whole([1]) } }, /elements/);
  const many = Array.from({ length: 40 }, (_, k) => ({ op: 'ConstantOfShape', inputs: ['s'], outputs: [`t${k}`] }));
  refused(
    { nodes: many, inputs: [], outputs: ['t39'], initializers: { s: whole([2 ** 24]) } },
    /constants of more than/,
  );
  refused(
    { nodes: [], inputs: [], outputs: ['w'], initializers: { w: { dims: [2 ** 40], values: [1] } } },
    /4 bytes; \[1099511627776\] of float needs/,
  );
  refused(
    { nodes: [], inputs: [], outputs: ['w'], initializers: { w: { dims: [-4], values: [1] } } },
    /has the shape \[-4\]/,
  );
});

test('graphs that are no graphs are refused', async () => {
  const gpu = await testGpu();
  const refused = (spec: Parameters<typeof onnxFile>[0], message: RegExp) =>
    assert.throws(
      () => importOnnx(gpu, onnxFile(spec)),
      (error: Error) => error instanceof FormatError && message.test(error.message),
    );
  const relu = (from: string, to: string) => ({ op: 'Relu', inputs: [from], outputs: [to] });
  const x = [{ name: 'x' }];
  refused(
    { nodes: [relu('b', 'a'), relu('a', 'b')], inputs: x, outputs: ['b'] },
    /Relu uses "b", which nothing before it makes/,
  );
  refused({ nodes: [relu('x', 'a'), relu('x', 'a')], inputs: x, outputs: ['a'] }, /two nodes make "a"/);
  refused({ nodes: [relu('x', 'a')], inputs: x, outputs: ['b'] }, /nothing makes the output "b"/);
  refused({ nodes: [relu('x', 'a')], inputs: x, outputs: [] }, /no outputs/);
  refused(
    { nodes: [{ op: 'Add', inputs: ['x'], outputs: ['a'] }], inputs: x, outputs: ['a'] },
    /Add \(node "a"\) lacks its input 1/,
  );
  const elu = { ...relu('x', 'a'), op: 'Elu', attributes: { alpha: { i: 1 } } };
  const module = importOnnx(gpu, onnxFile({ nodes: [elu], inputs: x, outputs: ['a'] }));
  const input = Tensor.from(gpu, [1]);
  assert.throws(() => module.forward(input), /attribute alpha has the type 2; expected 1/);
  input.dispose();
  module.dispose();
  assert.throws(() => importOnnx(gpu, new Uint8Array(0)), /has no graph/);
  assert.throws(() => importOnnx(gpu, 'file' as never), /bytes is "file"; expected a Uint8Array/);
  assert.is(new UnsupportedModelError([]).name, 'UnsupportedModelError');
});

test.run();
