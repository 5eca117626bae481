import { BrokenAdapterError } from '../common/errors.js';
import type { Gpu } from './gpu.js';

const COUNT = 1000;

/**
 * Runs a kernel with a known answer. Some adapters accept every command and compute nothing (Dawn's null backend,
 * a driver too old for its shaders): they are refused here, before they write zeros.
 * @throws BrokenAdapterError
 */
export async function selfTest(gpu: Gpu): Promise<void> {
  const input = gpu.pool.acquire(COUNT * 4, 'self-test input');
  const output = gpu.pool.acquire(COUNT * 4, 'self-test output');
  const values = Float32Array.from({ length: COUNT }, (_, i) => i - 500);
  const name = gpu.description.description || gpu.description.device;
  try {
    gpu.write(input, values);
    gpu.run(
      {
        label: 'self-test',
        bindings: 'rw',
        workgroups: [Math.ceil(COUNT / 64), 1, 1],
        wgsl: /* wgsl */ `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
var<workgroup> tile: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3u, @builtin(local_invocation_index) lid: u32) {
  tile[lid] = select(0.0, x[min(gid.x, ${COUNT - 1}u)], gid.x < ${COUNT}u);
  workgroupBarrier();
  if (gid.x < ${COUNT}u) { y[gid.x] = 3.0 * tile[lid] + 0.5 * tile[lid ^ 1u]; }
}`,
      },
      [input, output],
    );
    const result = new Float32Array(await gpu.read(output));
    const wrong = result.findIndex((y, i) => y !== 3 * values[i] + 0.5 * values[i ^ 1]);
    if (wrong >= 0) {
      const expected = 3 * values[wrong] + 0.5 * values[wrong ^ 1];
      throw new BrokenAdapterError(
        `adapter "${name}" does not compute: element ${wrong} of the known-answer kernel is ${result[wrong]}, not ${expected}`,
      );
    }
  } catch (error) {
    if (error instanceof BrokenAdapterError) throw error;
    throw new BrokenAdapterError(`adapter "${name}" failed its known-answer kernel: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    gpu.pool.release(input);
    gpu.pool.release(output);
  }
}
