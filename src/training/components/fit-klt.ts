import type { FaceSet } from '../../data/faces/face-set.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { KltAutoencoder } from '../../models/klt-autoencoder.js';
import { affine } from '../../ops/unary.js';
import type { Tensor } from '../../tensor/tensor.js';
import { runOverFaces } from '../run-over-faces.js';
import { LOGISTIC_DEVIATION } from './logistic-deviation.js';
import { principalComponents } from './principal-components.js';

/**
 * Computes the closed-form part of an autoencoder: the principal components of a set of faces, the mean, and the scales of the
 * components. A face and its mirror image count equally, so the antisymmetric part has mean 0.
 *
 * @param weights of the faces, [faces.count]
 */
export async function fitKlt(
  gpu: Gpu,
  model: KltAutoencoder,
  faces: FaceSet,
  weights: ArrayLike<number> | undefined,
  onProgress: (what: string, done: number, total: number) => void = () => {},
): Promise<void> {
  const { height, width } = model.config;
  const [half] = model.mean.shape;
  const indices = await faces.readable();
  const rows = [new Float32Array(indices.length * half), new Float32Array(indices.length * half)];
  const cosines = (x: Tensor) => {
    const [symmetric, antisymmetric] = model.cosines(affine(x, 1, -0.5));
    return { symmetric, antisymmetric };
  };
  await runOverFaces(
    gpu,
    faces,
    indices,
    { height, width },
    cosines,
    ({ symmetric, antisymmetric }, { first, count }) => {
      rows[0].set(symmetric.subarray(0, count * half), first * half);
      rows[1].set(antisymmetric.subarray(0, count * half), first * half);
      onProgress('cosines of faces', first + count, indices.length);
    },
  );
  const importance = Float64Array.from(indices, (index) => weights?.[index] ?? 1);
  const total = importance.reduce((sum, weight) => sum + weight, 0);
  const mean = new Float64Array(half);
  importance.forEach((weight, n) => {
    for (let i = 0; i < half; i++) mean[i] += (weight / total) * rows[0][n * half + i];
  });
  importance.forEach((weight, n) => {
    const scale = Math.sqrt((weight * indices.length) / total);
    for (let i = 0; i < half; i++) {
      rows[0][n * half + i] = (rows[0][n * half + i] - mean[i]) * scale;
      rows[1][n * half + i] *= scale;
    }
  });
  const logScale: number[] = [];
  for (const [k, name] of (['symmetric', 'antisymmetric'] as const).entries()) {
    const count = model.config.components[k];
    const { basis, variances } = await principalComponents(gpu, rows[k], half, count, (done, of) =>
      onProgress(`${name} components`, done, of),
    );
    model.basis[k].set(gpu, basis);
    for (const variance of variances) logScale.push(Math.log(Math.sqrt(Math.max(variance, 1e-9)) / LOGISTIC_DEVIATION));
  }
  model.mean.set(gpu, Float32Array.from(mean));
  model.logScale.set(gpu, Float32Array.from(logScale));
}
