import type { KltTables } from '../codec/codec-weights.js';
import { dependentGain, SymbolChooser } from '../codec/symbol-chooser.js';
import { ArgumentError } from '../common/errors.js';
import type { FaceSet } from '../data/faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import { gainOf, type KltAutoencoder, logisticScales, quantizationInputs } from '../models/klt-autoencoder.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { fitLatentModel, type SymbolChoice } from './entropy/fit-latent-model.js';
import { runOverFaces } from './run-over-faces.js';

/** Symbols of a group: a channel of the latent model, whose positions are components of similar importance. */
const GROUP = 64;

export interface FitTablesOptions {
  /** Quantization indices to fit for. */
  steps: readonly number[];
  onProgress?: (what: string, done: number, total: number) => void;
}

/** The largest divisor of a count up to `most`. */
function divisorUpTo(count: number, max: number): number {
  for (let k = Math.min(max, count); k > 1; k--) if (count % k === 0) return k;
  return 1;
}

/**
 * Fits the entropy coder's integers to a finished network's values of training faces. Components are ordered by their
 * variance, in steps, and cut into groups, so that neighbours in the order have about the same size.
 *
 * @throws ArgumentError for fewer than two faces
 */
export async function fitTables(
  gpu: Gpu,
  model: KltAutoencoder,
  faces: FaceSet,
  { steps, onProgress = () => {} }: FitTablesOptions,
): Promise<KltTables> {
  const indices = await faces.readable();
  if (indices.length < 2) throw new ArgumentError(`${indices.length} faces to fit tables to; expected at least 2`);
  const values = await valuesOf(gpu, model, faces, indices, steps[steps.length >> 1], (done) =>
    onProgress('values of faces', done, indices.length),
  );
  const count = model.latentCount;
  const [logScale, logGain] = await Promise.all([model.logScale.tensor.read(), model.logGain.tensor.read()]);
  const logistic = logisticScales(logScale, logGain);
  const variance = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    let [sum, squares] = [0, 0];
    for (let n = 0; n < indices.length; n++) {
      sum += values[n * count + k];
      squares += values[n * count + k] ** 2;
    }
    variance[k] = squares / indices.length - (sum / indices.length) ** 2;
  }
  const order = Int32Array.from({ length: count }, (_, k) => k).sort((a, b) => variance[b] - variance[a] || a - b);
  const width = divisorUpTo(count, GROUP);
  const channels = count / width;
  // Symbol (position p, channel c) is component order[c · width + p]: stored position by position.
  const places = Int32Array.from(
    { length: count },
    (_, at) => order[(at % channels) * width + Math.floor(at / channels)],
  );
  const data = new Float32Array(values.length);
  for (let n = 0; n < indices.length; n++) {
    for (let at = 0; at < count; at++) data[n * count + at] = values[n * count + places[at]];
  }
  const scales = Float64Array.from(places, (k) => logistic[k]);
  let stage = 0;
  const latents = fitLatentModel(
    { data, count: indices.length, height: 1, width, channels },
    {
      gain: Array.from({ length: model.config.steps }, (_, qIndex) =>
        new Int32Array(channels).fill(dependentGain(qIndex)),
      ),
      steps,
      // Symbols by the encoder's own choice, so that the tables fit its borders.
      choice: choiceOf(scales),
      faces: 2000,
      progress: (what) => onProgress(what, ++stage, 7),
    },
  );
  return { model: latents, order: places };
}

/** The encoder's choice for values of these logistic scales. */
function choiceOf(scales: Float64Array): SymbolChoice {
  const chooser = new SymbolChooser(scales, true);
  return {
    dependent: true,
    choose: (values, qIndex, order) =>
      chooser.choose(values, gainOf(dependentGain(qIndex)), chooser.defaultLambda, order),
  };
}

/** Values of faces in steps of index 0: [faces · components]. */
async function valuesOf(
  gpu: Gpu,
  model: KltAutoencoder,
  faces: FaceSet,
  indices: readonly number[],
  step: number,
  onProgress: (done: number) => void,
): Promise<Float32Array> {
  const { height, width, steps } = model.config;
  const count = model.latentCount;
  const { fineness } = quantizationInputs(step, steps);
  const told = keep(Tensor.from(gpu, Float32Array.of(fineness), [1]));
  const result = new Float32Array(indices.length * count);
  const analyse = (x: Tensor) => ({ values: model.analyseAtFirst(x, { logGain: told, fineness: told }) });
  try {
    await runOverFaces(gpu, faces, indices, { height, width }, analyse, ({ values }, pass) => {
      result.set(values.subarray(0, pass.count * count), pass.first * count);
      onProgress(pass.first + pass.count);
    });
  } finally {
    told.dispose();
  }
  return result;
}
