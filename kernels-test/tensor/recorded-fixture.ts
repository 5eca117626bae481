import type { Kernel } from '../../src/gpu/kernel.js';

/** For assert.throws: an error of this class whose message fits. */
export const isA =
  (type: new (message: string) => Error, message = /./) =>
  (error: Error): boolean =>
    error instanceof type && message.test(error.message);

/** y += 1, in place. */
export const INCREMENT: Kernel = {
  label: 'increment',
  bindings: 'w',
  workgroups: [1, 1, 1],
  wgsl: `
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3u) { if (gid.x < arrayLength(&y)) { y[gid.x] += 1.0; } }`,
};
