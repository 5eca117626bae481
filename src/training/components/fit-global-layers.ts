import { evenlyFrom } from '../../common/evenly-from.js';
import type { FaceSet } from '../../data/faces/face-set.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { AutoencoderConfig } from '../../models/autoencoder.js';
import type { GlobalLayers } from '../../models/global-layers.js';
import { flip } from '../../ops/strided.js';
import { affine } from '../../ops/unary.js';
import type { Tensor } from '../../tensor/tensor.js';
import { runOverFaces } from '../run-over-faces.js';
import { principalComponents } from './principal-components.js';

type Progress = (what: string, done: number, total: number) => void;

/** Faces whose patches are looked at. */
const PATCH_FACES = 600;

/** What is known of the values of the compact map, one channel after the other, before gains. */
export interface MapStatistics {
  /** Of some faces. */
  values: Float32Array[];
  /** Standard deviation over all faces. */
  deviations: Float64Array;
}

/**
 * Computes the linear layers in closed form: the kernels of patches are the principal components of patches, and those of the whole
 * face the principal components of the features of faces. A face and its mirror image count equally. Where features have weights, they
 * are the roots of their importance.
 *
 * @param weights of the faces, [faces.count]
 * @param importanceOf finds the importance of features (`featureImportance`) once the kernels of patches are known
 * @param samples faces whose values of the compact map are returned
 */
export async function fitGlobalLayers(
  gpu: Gpu,
  config: AutoencoderConfig,
  layers: GlobalLayers,
  {
    faces,
    weights,
    importanceOf,
    samples,
  }: {
    faces: FaceSet;
    weights: ArrayLike<number> | undefined;
    importanceOf?: () => Promise<Float32Array>;
    samples: number;
  },
  onProgress: Progress = () => {},
): Promise<MapStatistics> {
  const indices = await faces.readable();
  layers.patches.set(gpu, await patchComponents(gpu, config, layers, faces, evenlyFrom(indices, PATCH_FACES)));
  onProgress('components of patches', 1, 1);
  const importance = layers.weight && importanceOf ? await importanceOf() : null;
  const featureWeights = importance?.map(Math.sqrt);
  if (featureWeights) layers.weight!.set(gpu, featureWeights);
  const size = layers.basis.shape[0];
  const rows = await featureRows(gpu, config, layers, faces, indices, onProgress);
  const mean = centre(
    rows,
    size,
    Float64Array.from(indices, (index) => weights?.[index] ?? 1),
  );
  layers.mean.set(gpu, mean);
  if (featureWeights) {
    for (let at = 0; at < rows.length; at++) rows[at] *= featureWeights[at % size];
  }
  const count = layers.basis.shape[1];
  const { basis, variances } = await principalComponents(gpu, rows, size, count, (done, of) =>
    onProgress('components of faces', done, of),
  );
  layers.basis.set(gpu, basis);
  const values: Float32Array[] = [];
  await runOverFaces(
    gpu,
    faces,
    evenlyFrom(indices, samples),
    config,
    (x) => ({ map: layers.valuesOf(affine(x, 2, -1)) }),
    ({ map }, { count: own }) => {
      for (let n = 0; n < own; n++) values.push(map.slice(n * count, (n + 1) * count));
    },
  );
  return { values, deviations: variances.map((variance) => Math.sqrt(Math.max(0, variance))) };
}

/** Principal components of patches, [patch · patch · 3, features]. */
async function patchComponents(
  gpu: Gpu,
  { height, width }: AutoencoderConfig,
  { patches }: GlobalLayers,
  faces: FaceSet,
  indices: readonly number[],
): Promise<Float32Array> {
  const [side, , , features] = patches.shape;
  const size = side * side * 3;
  const [down, across] = [height / side, width / side];
  const rows = new Float32Array(2 * indices.length * down * across * size);
  let at = 0;
  for (const face of await faces.batch(indices)) {
    for (const mirrored of [false, true]) {
      for (let patch = 0; patch < down * across; patch++) {
        const [top, left] = [Math.floor(patch / across) * side, (patch % across) * side];
        for (let k = 0; k < side * side; k++) {
          const x = left + (k % side);
          const pixel = (top + Math.floor(k / side)) * width + (mirrored ? width - 1 - x : x);
          for (let c = 0; c < 3; c++) rows[at++] = face[3 * pixel + c] / 127.5 - 1;
        }
      }
    }
  }
  return (await principalComponents(gpu, rows, size, features)).basis;
}

/** Features of faces and then of their mirror images, a row each. */
async function featureRows(
  gpu: Gpu,
  config: AutoencoderConfig,
  layers: GlobalLayers,
  faces: FaceSet,
  indices: readonly number[],
  onProgress: Progress,
): Promise<Float32Array> {
  const size = layers.basis.shape[0];
  const rows = new Float32Array(2 * indices.length * size);
  const both = (x: Tensor) => {
    const centred = affine(x, 2, -1);
    return { plain: layers.featuresOf(centred), mirrored: layers.featuresOf(flip(centred, [2])) };
  };
  await runOverFaces(gpu, faces, indices, config, both, ({ plain, mirrored }, { first, count }) => {
    rows.set(plain.subarray(0, count * size), first * size);
    rows.set(mirrored.subarray(0, count * size), (indices.length + first) * size);
    onProgress('features of faces', first + count, indices.length);
  });
  return rows;
}

/** Takes the weighted mean off the rows, and weighs them for a covariance. @returns the mean */
function centre(rows: Float32Array, size: number, importance: Float64Array): Float32Array {
  const faces = importance.length;
  const total = importance.reduce((sum, weight) => sum + weight, 0);
  const mean = new Float64Array(size);
  for (let row = 0; row < 2 * faces; row++) {
    const share = importance[row % faces] / (2 * total);
    for (let i = 0; i < size; i++) mean[i] += share * rows[row * size + i];
  }
  for (let row = 0; row < 2 * faces; row++) {
    const scale = Math.sqrt((importance[row % faces] * faces) / total);
    for (let i = 0; i < size; i++) rows[row * size + i] = (rows[row * size + i] - mean[i]) * scale;
  }
  return Float32Array.from(mean);
}
