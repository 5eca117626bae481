import {
  CONTEXT_BUCKETS,
  CONTEXT_MIDDLE,
  CONTEXT_ROWS,
  CONTEXT_SOURCES,
  CONTEXT_UNIT,
  CONTEXT_WEIGHT_ONE,
  LatentModel,
  type LatentModelFields,
  MAX_REFERENCES,
  SHAPE_BANDS,
} from '../../codec/entropy/latent-model.js';
import { SHAPE_ENTRIES } from '../../codec/entropy/symbol-distribution.js';
import { ArgumentError } from '../../common/errors.js';
import { fitContextTable, fitContextWeights, fitScaleShift, magnitudeTables } from './fit-context.js';
import { firstDeadZone, fitDeadZone } from './fit-dead-zone.js';
import { observe } from './fit-observations.js';
import { fitPredictors, measurePredictors } from './fit-predictors.js';
import { type LatentSamples, prepareSamples } from './fit-samples.js';
import { classify, fitShapes, laplacianShape, SHAPE_CLASSES } from './fit-shapes.js';
import { type SymbolChoice, SymbolSource, TO_NEAREST } from './fit-symbols.js';

export type { LatentSamples } from './fit-samples.js';
export type { SymbolChoice } from './fit-symbols.js';

export interface FitOptions {
  /** [steps][channels]: the latents of channel c are rounded after multiplication by 2^(gain[qIndex][c]/8) at step qIndex. */
  gain: readonly ArrayLike<number>[];
  /** The steps to fit for. Those between them get values between theirs. */
  steps: readonly number[];
  /** The step that predictions are fitted at; the middle one of `steps` if not given. */
  typical?: number;
  /** Maximum number of latents that predict another one (0 to 32). Default 16. */
  references?: number;
  /** Maximum number of faces that contexts and shapes are fitted to. Default 200. */
  faces?: number;
  /** How the encoder chooses symbols: each the nearest, if not given. */
  choice?: SymbolChoice;
  /** Called with the name of each part as it begins. */
  progress?: (what: string) => void;
}

/** More steps would add nothing new. */
const MAX_FITTED_STEPS = 6;
const FACES = 200;
const REFERENCES = 16;
/** Imagined magnitudes as expected: few for sources that are near, more for those that have many. */
const CONTEXT_PRIOR = [3, 3, 6, 10];

/**
 * Fits a model to the latents of training faces. The result depends on the engine's Math functions in its last bits: a model
 * is fitted once and then kept.
 * @throws ShapeError, ArgumentError for samples and gains that do not fit together
 */
export function fitLatentModel(latents: LatentSamples, options: FitOptions): LatentModel {
  const { references = REFERENCES, faces = FACES, progress = () => {} } = options;
  const steps = fittedSteps(options);
  const typical = options.typical ?? steps[steps.length >> 1];
  checkSteps([typical], options.gain.length);
  if (!Number.isInteger(references) || references < 0 || references > MAX_REFERENCES) {
    throw new ArgumentError(`${references} references, must be 0 to ${MAX_REFERENCES}`);
  }
  progress('arranging the latents');
  const samples = prepareSamples(latents, options.gain, typical);
  const source = new SymbolSource(samples, options.choice ?? TO_NEAREST);
  const quantizers = source.choice.dependent ? 2 : 1;
  progress('predictions');
  const predictors = fitPredictors(source, typical, references);
  progress('predictions at other steps');
  const measured = steps.map((qIndex) => measurePredictors(source, predictors, qIndex, 4 * faces));
  let fields = firstFields(samples, predictors, { steps, measured }, quantizers);
  const observed = () => {
    const model = new LatentModel(fields);
    return { model, all: steps.map((qIndex) => observe(source, model, qIndex, faces)) };
  };
  const improve = (change: (now: ReturnType<typeof observed>) => Partial<LatentModelFields>): void => {
    fields = { ...fields, ...change(observed()) };
  };
  const improveDeadZone = (): void => {
    // An encoder that rounds to the nearest has none.
    if (!options.choice) return;
    improve(({ model, all }) => {
      const deadZone = fitDeadZone(all, model);
      return { deadZone, ...magnitudeTables(deadZone) };
    });
  };
  progress('dead zones');
  improveDeadZone();
  progress('contexts');
  improve(({ model, all }) => ({
    contextWeights: fitContextWeights(all, model),
    // Until the table is fitted, the correction is what the weights give.
    contextTable: Int32Array.from(fields.contextTable, (_, i) => (i % CONTEXT_BUCKETS) - CONTEXT_MIDDLE),
  }));
  for (let round = 0; round < 2; round++) {
    progress(`shapes and scales, round ${round + 1} of 2`);
    improve(({ model, all }) => ({ shapes: fitShapes(all, model) }));
    if (round === 0) improveDeadZone();
    improve(({ model, all }) => ({
      contextTable: fitContextTable(all, model),
    }));
    improve(({ model, all }) => ({
      scaleShift: betweenSteps(
        steps,
        all.map((observations) => fitScaleShift(observations, model)),
        samples.steps,
      ),
    }));
  }
  improve(({ model, all }) => ({ shapes: fitShapes(all, model) }));
  return new LatentModel(fields);
}

/** The fields of a model before contexts, shapes and dead zones are fitted. */
function firstFields(
  samples: ReturnType<typeof prepareSamples>,
  predictors: ReturnType<typeof fitPredictors>,
  { steps, measured }: { steps: readonly number[]; measured: readonly ReturnType<typeof measurePredictors>[] },
  quantizers: number,
): LatentModelFields {
  const { height, width, channels, unit, order, gain } = samples;
  const shape = laplacianShape();
  const shapes = new Int32Array(SHAPE_CLASSES * SHAPE_BANDS * SHAPE_ENTRIES);
  for (let at = 0; at < shapes.length; at += SHAPE_ENTRIES) shapes.set(shape, at);
  return {
    height,
    width,
    channels,
    steps: samples.steps,
    gain,
    unit,
    order,
    mean: predictors.mean,
    scale: Int32Array.from(predictors.distance, (d) => Math.round(8 * Math.log2(Math.max(1, d)))),
    shapeClass: classify(predictors.heaviness),
    referenceCount: Int32Array.from(predictors.references, (r) => r.length),
    references: concatenated(predictors.references),
    weights: concatenated(predictors.weights),
    predictionGain: betweenSteps(
      steps,
      measured.map((m) => m.gain),
      samples.steps,
    ),
    scaleShift: betweenSteps(
      steps,
      measured.map((m) => m.shift),
      samples.steps,
    ),
    contextWeights: new Int32Array(channels * CONTEXT_SOURCES).fill(CONTEXT_WEIGHT_ONE / 4),
    contextPrior: Int32Array.from(CONTEXT_PRIOR, (n) => n * CONTEXT_UNIT),
    contextTable: new Int32Array(CONTEXT_ROWS * CONTEXT_BUCKETS),
    ...magnitudeTables(firstDeadZone(quantizers)),
    shapes,
    deadZone: firstDeadZone(quantizers),
  };
}

function checkSteps(steps: readonly number[], count: number): void {
  for (const qIndex of steps) {
    if (!Number.isInteger(qIndex) || qIndex < 0 || qIndex >= count) {
      throw new ArgumentError(`quantization index to fit for is ${qIndex}, there are gains of 0 to ${count - 1}`);
    }
  }
}

/** The steps asked for, sorted; a few of them, evenly spread, if they are many. */
function fittedSteps({ steps, gain }: FitOptions): number[] {
  if (steps.length === 0) throw new ArgumentError('no quantization index to fit for was given');
  checkSteps(steps, gain.length);
  const sorted = [...new Set(steps)].sort((a, b) => a - b);
  if (sorted.length <= MAX_FITTED_STEPS) return sorted;
  return Array.from(
    { length: MAX_FITTED_STEPS },
    (_, k) => sorted[Math.round((k * (sorted.length - 1)) / (MAX_FITTED_STEPS - 1))],
  );
}

/** A row for every step, from those of the fitted ones: linear between them, constant outside. */
function betweenSteps(fitted: readonly number[], rows: readonly Int32Array[], steps: number): Int32Array {
  const width = rows[0].length;
  const all = new Int32Array(steps * width);
  for (let qIndex = 0; qIndex < steps; qIndex++) {
    const after = fitted.findIndex((own) => own >= qIndex);
    const high = after < 0 ? fitted.length - 1 : after;
    const low = after <= 0 || fitted[after] === qIndex ? high : after - 1;
    const part = low === high ? 0 : (qIndex - fitted[low]) / (fitted[high] - fitted[low]);
    for (let c = 0; c < width; c++) {
      all[qIndex * width + c] = Math.round(rows[low][c] + part * (rows[high][c] - rows[low][c]));
    }
  }
  return all;
}

function concatenated(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((part) => Array.from(part)));
}
