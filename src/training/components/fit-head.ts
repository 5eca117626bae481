import { ArgumentError } from '../../common/errors.js';
import type { FaceSource } from '../../data/faces/batches.js';
import type { Gpu } from '../../gpu/gpu.js';
import { CameoFace, type CameoFaceConfig } from '../../models/cameo-face.js';
import type { HostTensors } from '../../nn/host-tensor.js';
import { loadState } from '../../nn/state.js';
import { flip } from '../../ops/strided.js';
import { runOverFaces } from '../run-over-faces.js';
import { FeatureProducts } from './feature-products.js';
import { solvePositive } from './solve-positive.js';

type Progress = (what: string, done: number, total: number) => void;

/** Faces that a head is computed from. */
export interface HeadFaces {
  faces: FaceSource;
  /** Of the faces to use. */
  indices: readonly number[];
  /** The teacher's embeddings of these, [indices.length · dimension]. */
  targets: Float32Array;
}

/**
 * Computes the full head of a recogniser in closed form: the linear layer whose embeddings come closest, in squared error, to a teacher's
 * unit embeddings, by ridge regression. A face and its mirror image both have the teacher's embedding of the face.
 * Embeddings then have mean 0 over the faces. The layers below stay as they are.
 *
 * @param model with the head `full`, in evaluation mode, on the GPU
 * @param parts at least 2 faces in all
 * @param ridge what is added to the diagonal of the features' covariance, as a multiple of its mean
 * @throws ArgumentError for another head, a ridge that is not above 0, or targets of another size
 */
export async function fitHead(
  gpu: Gpu,
  model: CameoFace,
  parts: readonly HeadFaces[],
  ridge: number,
  onProgress: Progress = () => {},
): Promise<void> {
  const { fullHead, dimension } = model;
  if (!fullHead) throw new ArgumentError('fitHead: the recogniser has no head "full"');
  if (!(ridge > 0)) throw new ArgumentError(`fitHead: ridge is ${ridge}; expected a number above 0`);
  const total = parts.reduce((sum, { indices }) => sum + indices.length, 0);
  if (total < 2) throw new ArgumentError(`fitHead: ${total} faces; expected at least 2`);
  for (const { indices, targets } of parts) {
    if (targets.length !== indices.length * dimension) {
      throw new ArgumentError(`fitHead: ${targets.length} values of targets for ${indices.length} faces`);
    }
  }
  const size = fullHead.linear.weight.shape[0];
  const products = new FeatureProducts(gpu, size, dimension);
  try {
    let done = 0;
    for (const { faces, indices, targets } of parts) {
      await runOverFaces(
        gpu,
        faces,
        indices,
        model,
        (x) => ({ plain: model.features(x), mirrored: model.features(flip(x, [2])) }),
        ({ plain, mirrored }, { first, count }) => {
          const own = targets.subarray(first * dimension, (first + count) * dimension);
          for (const features of [plain, mirrored]) products.add(features.subarray(0, count * size), own);
          done += count;
          onProgress('features of faces', done, total);
        },
      );
    }
    const { covariance, crossed, mean } = await products.read();
    let trace = 0;
    for (let i = 0; i < size; i++) trace += covariance[i * size + i];
    // The scale of outputs comes from the batch norm, so their variance is needed with the covariance as it is.
    const plain = covariance.slice();
    for (let i = 0; i < size; i++) covariance[i * size + i] += (ridge * trace) / size;
    const weight = solvePositive(covariance, size, crossed, dimension, (rows, all) =>
      onProgress('linear layer', rows, all),
    );
    setHead(gpu, fullHead, weight, mean, variancesOf(plain, size, weight, dimension));
  } finally {
    products.dispose();
  }
}

/** Root of the mean square of the linear layer's weights: as large as others, since Adam changes all by the same amount in a step. */
const WEIGHT_SIZE = 0.05;

/**
 * Puts the linear layer and its batch norm in place: outputs less their mean, whether by running statistics or by those of a batch. The
 * batch norm takes back the scale of the weights.
 */
function setHead(
  gpu: Gpu,
  { linear, norm }: NonNullable<CameoFace['fullHead']>,
  weight: Float64Array,
  mean: Float64Array,
  variances: Float64Array,
): void {
  const dimension = variances.length;
  const outputs = new Float64Array(dimension);
  mean.forEach((value, i) => {
    for (let d = 0; d < dimension; d++) outputs[d] += value * weight[i * dimension + d];
  });
  const size = Math.sqrt(weight.reduce((sum, value) => sum + value * value, 0) / weight.length) || 1;
  const scale = WEIGHT_SIZE / size;
  linear.weight.set(
    gpu,
    Float32Array.from(weight, (value) => scale * value),
  );
  norm.runningMean.set(
    gpu,
    Float32Array.from(outputs, (value) => scale * value),
  );
  norm.runningVariance.set(
    gpu,
    Float32Array.from(variances, (value) => scale * scale * value),
  );
  norm.weight.set(gpu, Float32Array.from(variances, Math.sqrt));
  norm.bias.set(gpu, new Float32Array(dimension));
}

/** Variance of each output: wᵀ C w. */
function variancesOf(covariance: Float64Array, size: number, weight: Float64Array, dimension: number): Float64Array {
  const variances = new Float64Array(dimension);
  const row = new Float64Array(dimension);
  for (let i = 0; i < size; i++) {
    row.fill(0);
    for (let j = 0; j < size; j++) {
      const value = covariance[i * size + j];
      for (let d = 0; d < dimension; d++) row[d] += value * weight[j * dimension + d];
    }
    for (let d = 0; d < dimension; d++) variances[d] += row[d] * weight[i * dimension + d];
  }
  return variances;
}

/**
 * A CameoFace with the head `full`, with the layers of another one below it, in evaluation mode; the head has no use before `fitHead`.
 * @throws CheckpointError for tensors that do not fit the description
 */
export function withFullHead(gpu: Gpu, config: CameoFaceConfig, tensors: HostTensors): CameoFace {
  const model = new CameoFace({ ...config, head: 'full' }).initialize(gpu, 1);
  const body = [...model.entries().keys()].filter((name) => name.startsWith('layers.'));
  const own = new Map(body.map((name) => [name, tensors.get(name)!]));
  loadState(model, own, gpu, { partial: true });
  model.eval();
  return model;
}
