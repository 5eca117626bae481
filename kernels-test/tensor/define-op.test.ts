import * as assert from 'uvu/assert';
import {
  defineOp,
  dispatch,
  type Kernel,
  linearGrid,
  mean,
  mul,
  recordStep,
  ShapeError,
  square,
} from '../../src/engine.js';
import { Tape } from '../../src/ops/tape.js';
import { isTapeRecording } from '../../src/tensor/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('operations of users');

/** y = x·σ(βx) ("swish"), with β as an attribute: an operation that the engine does not have. */
function kernel(label: string, size: number, bindings: string, expression: string): Kernel {
  const names = ['x', 'dy', 'y'].filter((name) => name !== 'dy' || bindings.length > 2);
  const declared = names.map(
    (name, k) =>
      `@group(0) @binding(${k}) var<storage, ${bindings[k] === 'r' ? 'read' : 'read_write'}> ${name}s: array<f32>;`,
  );
  const wgsl = `${declared.join('\n')}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (wid.x + wid.y * nwg.x) * 64u + lid;
  if (i >= ${size}u) { return; }
  let x = xs[i];
  ys[i] = ${expression};
}`;
  return { label, wgsl, bindings, workgroups: linearGrid(Math.ceil(size / 64)) };
}

const swish = defineOp<{ beta: number }>({
  name: 'swish',
  shape: ([x]) => x,
  forward: ([x], { beta }, shape) => ({
    output: dispatch(kernel('swish', x.size, 'rw', `x / (1.0 + exp(-(${beta}) * x))`), [x], shape),
  }),
  backward: ({ inputs: [x], attrs: { beta }, dy }) => {
    const s = `1.0 / (1.0 + exp(-(${beta}) * x))`;
    const gradient = kernel('swish gradient', x.size, 'rrw', `dys[i] * (${s}) * (1.0 + ${beta} * x * (1.0 - ${s}))`);
    return [dispatch(gradient, [x, dy], x.shape)];
  },
});

const swishOf = (x: number, beta: number) => x / (1 + Math.exp(-beta * x));

test('an operation of a user agrees with finite differences, on a tape between other operations', async () => {
  const gpu = await testGpu();
  const values = randomValues(3 * 70, 1, [-3, 3]);
  const weights = randomValues(3 * 70, 2);
  const beta = 1.5;
  const results = scope(gpu, () => {
    const x = Tensor.from(gpu, values, [3, 70]);
    const tape = new Tape();
    const y = tape.record(() => mul(swish([x], { beta }), Tensor.from(gpu, weights, [3, 70])));
    const loss = tape.record(() => mean(square(y)));
    return { y, dx: tape.gradients(loss, [x]).get(x)! };
  });
  const lossOf = (x: number, k: number) => (swishOf(x, beta) * weights[k]) ** 2 / values.length;
  const step = 1e-4;
  assertClose(
    'value',
    await results.y.read(),
    Array.from(values, (x, k) => swishOf(x, beta) * weights[k]),
    { factor: 4 },
  );
  assertClose(
    'gradient',
    await results.dx.read(),
    Array.from(values, (x, k) => (lossOf(x + step, k) - lossOf(x - step, k)) / (2 * step)),
    { factor: 16 }, // for exp in WGSL, and for the error of 1e-8 of differences over 1e-4
  );
  results.y.dispose();
  results.dx.dispose();
});

test('the operations of which an operation is made are not recorded beside it', async () => {
  const gpu = await testGpu();
  const recording: boolean[] = [];
  const fourfold = defineOp({
    name: 'fourfold',
    shape: ([a]) => a,
    forward: ([a]) => {
      recording.push(isTapeRecording());
      return scope(gpu, () => ({ output: mul(twice([a]), 2) }));
    },
    backward: ({ dy }) => [mul(dy, 4)],
  });
  const twice = defineOp({
    name: 'twice',
    shape: ([a]) => a,
    forward: ([a]) => ({ output: mul(a, 2) }),
    backward: ({ dy }) => [mul(dy, 2)],
  });
  const broken = defineOp({
    name: 'broken',
    shape: ([a]) => a,
    forward: () => {
      throw new Error('on purpose');
    },
    backward: () => [null],
  });
  const found = scope(gpu, () => {
    const x = Tensor.from(gpu, [1, 2]);
    const tape = new Tape();
    const { y, loss } = tape.record(() => {
      assert.throws(() => broken([x]), /on purpose/);
      const y = fourfold([x]);
      return { y, loss: mean(square(y)) };
    });
    assert.equal(
      tape.nodes.map(({ name }) => name),
      ['fourfold', 'square', 'mean'],
    );
    const gradients = tape.gradients(loss, [x, y]);
    void fourfold([x]);
    return [gradients.get(x)!, gradients.get(y)!];
  });
  assert.equal(recording, [true, false]);
  assert.equal([...(await found[0].read())], [16, 32]);
  assert.equal([...(await found[1].read())], [4, 8]);
  for (const tensor of found) tensor.dispose();
});

/** A kernel that copies arrays of `type`. `scalars` is the type of a uniform, whose first number is added. */
function copying(type: string, copy: string, scalars = ''): Kernel {
  const wgsl = `
struct Pair { first: vec4f, second: mat2x2f }
struct Headed { head: f32, rest: array<f32> }
@group(0) @binding(0) var<storage, read> x: ${type};
@group(0) @binding(1) var<storage, read_write> y: ${type};
${scalars && `@group(0) @binding(2) var<uniform> scalars: ${scalars};`}
@compute @workgroup_size(1)
fn main() {
  ${copy}
}`;
  return { label: `copy ${type} ${scalars}`, wgsl, bindings: scalars ? 'rwu' : 'rw', workgroups: [1, 1, 1] };
}

test('kernels with equal binding letters in one pass may each bind as few bytes as their own types need', async () => {
  const gpu = await testGpu();
  const [first, whole] = ['y[0] = x[0];', 'y = x;'];
  // Each kernel binds fewer or more bytes than the one before it.
  const kernels: [numbers: number, kernel: Kernel][] = [
    [40, copying('array<f32, 40>', whole)],
    [16, copying('array<mat4x4f>', first)],
    [8, copying('Pair', whole)],
    [2, copying('Headed', 'y.head = x.head; y.rest[0] = x.rest[0];')],
    [4, copying('array<vec4f>', first)],
    [2, copying('array<vec2f>', first)],
    [1, copying('array<f32>', first)],
    [4, copying('array<vec4f>', first)],
    [1, copying('array<u32, 1>', whole)],
    [4, copying('array<vec4f>', 'y[0] = x[0] + scalars[3];', 'array<vec4f, 4>')],
    [1, copying('array<f32>', 'y[0] = x[0] + scalars;', 'f32')],
    [2, copying('array<vec2f>', 'y[0] = x[0] + scalars;', 'vec2f')],
  ];
  const pairs = kernels.map(([numbers, { label }], k) => {
    const values = randomValues(numbers, k);
    return { label, values, x: Tensor.from(gpu, values, [numbers]) };
  });
  await gpu.sync(); // all that follows is in one pass
  const outputs = pairs.map(({ x }, k) => {
    const [numbers, kernel] = kernels[k];
    const scalars = kernel.bindings === 'rwu' ? new ArrayBuffer(64) : undefined;
    return dispatch(kernel, [x], [numbers], scalars);
  });
  for (const [k, { label, values, x }] of pairs.entries()) {
    assert.equal(await outputs[k].read(), values, label);
    x.dispose();
    outputs[k].dispose();
  }
});

test('recorded steps replay operations of users', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1, 2, 3], [3]);
  const step = recordStep(gpu, { x }, (inputs) => ({ y: swish([inputs.x], { beta: 1 }) }));
  for (const values of [
    [1, 2, 3],
    [-1, 0, 5],
  ]) {
    x.write(Float32Array.from(values));
    step.run();
    assertClose(
      'replayed',
      await step.outputs.y.read(),
      values.map((v) => swishOf(v, 1)),
      { factor: 4 },
    );
  }
  step.dispose();
  x.dispose();
});

test('tensors of another shape than promised are refused, and the error names the operation', async () => {
  const gpu = await testGpu();
  const refused = (body: () => void, message: RegExp) =>
    assert.throws(
      () => scope(gpu, body),
      (error: unknown) => error instanceof ShapeError && message.test(error.message),
    );
  const copy = (x: Tensor, shape: readonly number[]) => dispatch(kernel('copy', x.size, 'rw', 'x'), [x], shape);
  const x = Tensor.from(gpu, [1, 2, 3, 4], [4]);
  const backward = () => [];
  const flat = defineOp({ name: 'flat', shape: () => [2, 2], forward: ([a]) => ({ output: copy(a, [4]) }), backward });
  refused(() => void flat([x]), /^flat: the output has shape \[4\]; expected \[2,\s?2\]/);

  const gradientOf = (op: (inputs: readonly Tensor[]) => Tensor) => () => {
    const tape = new Tape();
    const loss = tape.record(() => mean(op([x])));
    tape.gradients(loss, [x]);
  };
  const forward = ([a]: readonly Tensor[]) => ({ output: copy(a, [4]) });
  const shape = () => [4];
  refused(gradientOf(defineOp({ name: 'none', shape, forward, backward })), /none: backward gave 0 gradients for 1/);
  const wrong = defineOp({ name: 'wrong', shape, forward, backward: ({ dy }) => [copy(dy, [2, 2])] });
  refused(gradientOf(wrong), /wrong: the gradient of input 0 has shape \[2,\s?2\]; expected \[4\]/);
  const picky = defineOp({
    name: 'picky',
    shape([a]) {
      if (a.length !== 2) throw new ShapeError('picky: a picture is expected');
      return a;
    },
    forward,
    backward,
  });
  refused(() => void picky([x]), /picky: a picture is expected/);
  x.dispose();
});

test('the error for a mistake in the WGSL names the kernel', async () => {
  const gpu = await testGpu();
  const x = Tensor.from(gpu, [1], [1]);
  const bad = defineOp({
    name: 'bad',
    shape: ([a]) => a,
    forward: ([a]) => ({ output: dispatch(kernel('a bad kernel', 1, 'rw', 'x + no_such_name'), [a], [1]) }),
    backward: ({ dy }) => [dy],
  });
  let message = '';
  try {
    const y = bad([x]);
    await y.read().finally(() => y.dispose());
  } catch (error) {
    message = (error as Error).message;
  }
  x.dispose();
  assert.match(message, /^kernel "a bad kernel" does not compile: line \d+:\d+ .*no_such_name/s);
});

test.run();
