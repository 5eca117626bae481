import type { FaceSet } from '../data/faces.js';
import { FACE_BYTES } from '../data/faces.js';
import type { Gpu } from '../gpu/gpu.js';
import type { KltAutoencoder } from '../models/klt-autoencoder.js';
import { affine } from '../ops/unary.js';
import { recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { principalComponents } from './principal-components.js';

const BATCH = 16;
/** Of a logistic distribution: its standard deviation over its scale. */
const LOGISTIC_DEVIATION = Math.PI / Math.sqrt(3);

/**
 * Gives an autoencoder the principal components of a set of faces, the mean, and the scales of the components: the part of
 * it that has a closed form. A face and its mirror image count alike, so the antisymmetric half has mean 0.
 *
 * @param weights how much each face counts, [faces.count]
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
  const x = keep(Tensor.zeros(gpu, [BATCH, height, width, 3]));
  const step = recordStep(gpu, { x }, (inputs) => {
    const [symmetric, antisymmetric] = model.cosines(affine(inputs.x, 1, -0.5));
    return { symmetric, antisymmetric };
  });
  try {
    const pixels = new Float32Array(BATCH * FACE_BYTES);
    for (let first = 0; first < indices.length; first += BATCH) {
      const batch = indices.slice(first, first + BATCH);
      for (const [k, face] of (await faces.batch(batch)).entries()) {
        for (let i = 0; i < FACE_BYTES; i++) pixels[k * FACE_BYTES + i] = face[i] / 255;
      }
      x.write(pixels);
      step.run();
      const halves = await Promise.all([step.outputs.symmetric.read(), step.outputs.antisymmetric.read()]);
      halves.forEach((values, k) => {
        rows[k].set(values.subarray(0, batch.length * half), first * half);
      });
      onProgress('cosines of faces', Math.min(first + BATCH, indices.length), indices.length);
    }
  } finally {
    step.dispose();
    x.dispose();
  }
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
