// Adds an operation, swish: y = x·σ(x), with a WGSL kernel for its value and one for its gradient.
import { defineOp, dispatch, linearGrid, mean, scope, square, Tape, Tensor } from 'cameo/engine';
import { openGpu } from 'cameo/node'; // in a browser: openBrowserGpu from 'cameo/engine'

/** A kernel with one invocation per element, which stores the value of `code` in ys[i]. All buffers are arrays of f32 in group 0, in the order of `names`. */
function elementKernel(label, size, names, code) {
  const buffers = names.map((name, k) => {
    const access = name === 'ys' ? 'read_write' : 'read';
    return `@group(0) @binding(${k}) var<storage, ${access}> ${name}: array<f32>;`;
  });
  const wgsl = `
${buffers.join('\n')}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32) {
  let i = (group.x + group.y * groups.x) * 64u + lane; // linearGrid divides many groups between x and y
  if (i >= ${size}u) { return; }
  let x = xs[i];
  let s = 1.0 / (1.0 + exp(-x));
  ys[i] = ${code};
}`;
  // There is one letter per binding: r is read, w is written.
  const bindings = names.map((name) => (name === 'ys' ? 'w' : 'r')).join('');
  return { label, wgsl, bindings, workgroups: linearGrid(Math.ceil(size / 64)) };
}

const swish = defineOp({
  name: 'swish',
  shape: ([x]) => x,
  forward: ([x], _, shape) => ({
    output: dispatch(elementKernel('swish', x.size, ['xs', 'ys'], 'x * s'), [x], shape),
  }),
  // dy is the gradient of the loss with respect to y; the result is that with respect to x.
  backward: ({ inputs: [x], dy }) => {
    const kernel = elementKernel('swish gradient', x.size, ['xs', 'dys', 'ys'], 'dys[i] * s * (1.0 + x * (1.0 - s))');
    return [dispatch(kernel, [x, dy], x.shape)];
  },
});

const gpu = await openGpu();
const values = Float32Array.of(-3, -1, -0.5, 0, 0.5, 1, 2, 4);
const { y, dx } = scope(gpu, () => {
  const x = Tensor.from(gpu, values, [values.length]);
  const tape = new Tape();
  const y = tape.record(() => swish([x]));
  const loss = tape.record(() => mean(square(y)));
  return { y, dx: tape.gradients(loss, [x]).get(x) };
});

// Check the gradient by finite differences of the same loss in float64.
const lossAt = (x) => (x / (1 + Math.exp(-x))) ** 2 / values.length;
const [results, gradients] = [await y.read(), await dx.read()];
console.log('     x      swish   gradient  differences');
let largest = 0;
values.forEach((x, i) => {
  const expected = (lossAt(x + 1e-4) - lossAt(x - 1e-4)) / 2e-4;
  largest = Math.max(largest, Math.abs(gradients[i] - expected));
  console.log([x, results[i], gradients[i], expected].map((value) => value.toFixed(5).padStart(10)).join(' '));
});
console.log(`largest difference ${largest.toExponential(1)}`);
if (!(largest < 1e-5)) process.exitCode = 1;
gpu.destroy();
