import { nextState, quantizerOf, reconstructionPoint } from './dependent.js';
import { clampInteger, log2Sixteenths, powerOfEighths, roundHalfUp } from './fixed-point.js';
import {
  bandOf,
  CONTEXT_BUCKETS,
  CONTEXT_MIDDLE,
  CONTEXT_SOURCES,
  CONTEXT_WEIGHT_ONE,
  GAIN_ONE,
  type LatentModel,
  MAGNITUDE_OFFSETS,
  MAGNITUDE_WEIGHT_ONE,
  MAX_MAGNITUDE,
  MAX_UNITS,
  SHAPE_BANDS,
  WEIGHT_ONE,
} from './latent-model.js';
import { MAX_MEAN, MEAN_UNITS, SCALE_COUNT, SCALE_ONE } from './symbol-distribution.js';

/** Reads, writes or measures symbols one after another, each with its distribution. */
export interface SymbolCoder {
  /** @returns the symbol of the latent with this coding order */
  code(latent: number, scale: number, mean: number, shape: number, deadInner: number, deadOuter: number): number;
}

/** Intermediate results of the walk for every latent, in coding order, to which tables are fitted. */
export interface WalkTrace {
  /** Scale index before the context adjusts it. */
  scale: Int16Array;
  /** [latents, CONTEXT_SOURCES] log2 of magnitudes against expectation, in 1/16. */
  sources: Int16Array;
  /** Magnitude, and the magnitude that is expected from its scale. */
  found: Int32Array;
  expected: Int32Array;
  /** The quantizer of each latent. */
  quantizer: Uint8Array;
}

/**
 * The largest distance of a symbol's value from the middle of its cell, in 1/16 of a step. Within this distance, later predictions
 * use the predicted value: a coarse symbol that agrees with its prediction has no new information, and must not pull later
 * predictions to the middle of its cell.
 */
const CELL = 3;
/** log2 of 2 · CONTEXT_WEIGHT_ONE */
const CONTEXT_SHIFT = 7;
const MAGNITUDE_PART = 1 / MAGNITUDE_WEIGHT_ONE;
const PREDICTION_PART = 1 / (GAIN_ONE * WEIGHT_ONE);

/**
 * The value, in units, that later predictions take for a symbol.
 * @param middle of the symbol's cell and the mean, both in 1/16 of a step
 */
export function reconstruct(middle: number, mean: number, unitsPerMean: number): number {
  const value = clampInteger(mean, middle - CELL, middle + CELL);
  return clampInteger(roundHalfUp(value * unitsPerMean), -MAX_UNITS, MAX_UNITS);
}

/** Mean of a symbol in 1/16 of a step, from the weighted sum of the deviations of its references from their means. */
export function predictMean(mean: number, gain: number, sum: number, meansPerUnit: number): number {
  const units = clampInteger(mean + Math.floor(gain * sum * PREDICTION_PART), -MAX_UNITS, MAX_UNITS);
  return clampInteger(roundHalfUp(units * meansPerUnit), -MAX_MEAN, MAX_MEAN) | 0;
}

/**
 * Goes through the latents in coding order, and gives `coder` the distribution of each, which follows from those before it.
 * Encoding, decoding and measuring all use this walk, so they cannot disagree.
 *
 * The mean is a weighted sum of earlier latents. The scale is adjusted by a context: it measures how far the magnitudes that were
 * decoded so far (distances of symbols from their means) are above or below the magnitudes expected from their scales. There are
 * four sources: neighbours in the same channel; the same position in earlier channels, with the last ones counting most; the
 * positions around it in earlier channels; the whole face so far.
 */
export function walkLatents(model: LatentModel, qIndex: number, coder: SymbolCoder, trace?: WalkTrace): void {
  const { fields, referenceStart } = model;
  const { height, width, channels, mean, scale, shapeClass, references, weights, deadZone } = fields;
  const { contextWeights, contextPrior, contextTable, magnitudeWeight, magnitudeExpected } = fields;
  const positions = height * width;
  const { values, found, expected, channelContext } = scratchOf(model);
  channelContext.reset();
  const contextBefore = channelContext.sums;
  const dependent = model.quantizers > 1;
  const means = meansWithoutReferences(model, qIndex);
  let state = 0;
  const prior = contextPrior[0];

  for (let rank = 0; rank < channels; rank++) {
    const channel = fields.order[rank];
    const stepPower = fields.gain[qIndex * channels + channel] - fields.unit[channel];
    const meansPerUnit = powerOfEighths(stepPower) * MEAN_UNITS;
    const unitsPerMean = powerOfEighths(-stepPower) / MEAN_UNITS;
    const scaleBase = stepPower + fields.scaleShift[qIndex * channels + channel] + SCALE_ONE;
    const predictionGain = fields.predictionGain[qIndex * channels + channel];
    const weightBeside = contextWeights[channel * CONTEXT_SOURCES];
    channelContext.begin(rank, trace);

    for (let p = 0, x = 0; p < positions; p++, x = x + 1 < width ? x + 1 : 0) {
      const latent = rank * positions + p;
      let sum = 0;
      for (let r = referenceStart[latent]; r < referenceStart[latent + 1]; r++)
        sum += weights[r] * values[references[r]];
      const symbolMean = sum === 0 ? means[latent] : predictMean(mean[latent], predictionGain, sum, meansPerUnit);
      const scaleThere = scale[latent] + scaleBase;
      const baseScale = scaleThere < 0 ? 0 : scaleThere >= SCALE_COUNT ? SCALE_COUNT - 1 : scaleThere;

      // The magnitudes around the position that come before it in its channel, with the nearest ones counted twice, and that of
      // the mirrored position, because faces are nearly symmetric.
      let [foundBeside, expectedBeside] = [prior, prior];
      if (x > 0) {
        foundBeside += 2 * found[p - 1];
        expectedBeside += 2 * expected[p - 1];
      }
      if (p >= width) {
        foundBeside += sumAbove(found, p - width, x, width);
        expectedBeside += sumAbove(expected, p - width, x, width);
      }
      const mirrored = p - 2 * x + width - 1;
      if (mirrored < p - 1) {
        foundBeside += found[mirrored];
        expectedBeside += expected[mirrored];
      }
      const beside = log2Sixteenths(foundBeside) - log2Sixteenths(expectedBeside);
      const context = contextBefore[p] + weightBeside * beside;
      // In eighths of an octave, rounded: context / (2 · CONTEXT_WEIGHT_ONE).
      const eighths = (context + CONTEXT_WEIGHT_ONE) >> CONTEXT_SHIFT;
      const bucket = clampSmall(eighths + CONTEXT_MIDDLE, CONTEXT_BUCKETS - 1);
      const shift = contextTable[(baseScale >> 3) * CONTEXT_BUCKETS + bucket];
      const adjustedScale = clampSmall(baseScale + shift, SCALE_COUNT - 1);
      if (trace) {
        trace.scale[latent] = baseScale;
        trace.sources[latent * CONTEXT_SOURCES] = beside;
      }

      const quantizer = quantizerOf(state);
      const zone = 2 * quantizer * SCALE_COUNT + baseScale;
      const shape = shapeClass[latent] * SHAPE_BANDS + bandOf[adjustedScale];
      const deadOuter = deadZone[zone + SCALE_COUNT];
      const symbol = coder.code(latent, adjustedScale, symbolMean, shape, deadZone[zone], deadOuter);
      const middle = reconstructionPoint(symbol, quantizer) * (MEAN_UNITS / 2);
      if (dependent) state = nextState(state, symbol);

      values[latent] = reconstruct(middle, symbolMean, unitsPerMean) - mean[latent];
      const distance = Math.abs(middle - symbolMean);
      const magnitude = Math.floor(distance * magnitudeWeight[baseScale] * MAGNITUDE_PART);
      found[p] = magnitude < MAX_MAGNITUDE ? magnitude : MAX_MAGNITUDE;
      const offset = ((symbolMean + MEAN_UNITS / 2) & (MEAN_UNITS - 1)) - MEAN_UNITS / 2;
      expected[p] = magnitudeExpected[(quantizer * SCALE_COUNT + baseScale) * MAGNITUDE_OFFSETS + Math.abs(offset)];
      if (trace) {
        trace.found[latent] = found[p];
        trace.expected[latent] = expected[p];
        trace.quantizer[latent] = quantizer;
      }
    }
    channelContext.add(found, expected);
  }
}

/** What a walk needs while it goes on. Entries are written before they are read. */
interface Scratch {
  /** The decoded latents in units, minus their means. */
  values: Float64Array;
  /** Magnitudes in the present channel. */
  found: Int32Array;
  expected: Int32Array;
  channelContext: ChannelContext;
}

const scratches = new WeakMap<LatentModel, Scratch>();

/** Kept as long as the model: a search for the symbols of a face walks some ten times. */
function scratchOf(model: LatentModel): Scratch {
  let scratch = scratches.get(model);
  if (!scratch) {
    const positions = model.fields.height * model.fields.width;
    scratch = {
      values: new Float64Array(model.latents),
      found: new Int32Array(positions),
      expected: new Int32Array(positions),
      channelContext: new ChannelContext(model),
    };
    scratches.set(model, scratch);
  }
  return scratch;
}

const knownMeans = new WeakMap<LatentModel, Int32Array[]>();

/** The means at an index, by `predictMean`, where the references are as expected: those of most latents. */
function meansWithoutReferences(model: LatentModel, qIndex: number): Int32Array {
  let known = knownMeans.get(model);
  if (!known) knownMeans.set(model, (known = []));
  const { fields, latents } = model;
  const { channels, mean } = fields;
  known[qIndex] ??= Int32Array.from({ length: latents }, (_, latent) => {
    const channel = fields.order[Math.floor((latent * channels) / latents)];
    const stepPower = fields.gain[qIndex * channels + channel] - fields.unit[channel];
    return predictMean(mean[latent], 0, 0, powerOfEighths(stepPower) * MEAN_UNITS);
  });
  return known[qIndex];
}

/** An integer, clamped to 0 … max. */
const clampSmall = (value: number, max: number): number => (value < 0 ? 0 : value > max ? max : value);

/** The part of the context that the channels before give to each position of a channel. */
class ChannelContext {
  /** Weighted logarithms, [positions]. */
  readonly sums: Int32Array;
  // Magnitudes found at a position in earlier channels and around it, and the expected ones.
  readonly #found: Int32Array;
  readonly #expected: Int32Array;
  readonly #foundAround: Int32Array;
  readonly #expectedAround: Int32Array;
  #foundInAll = 0;
  #expectedInAll = 0;

  constructor(readonly model: LatentModel) {
    const { height, width } = model.fields;
    const ints = (): Int32Array => new Int32Array(height * width);
    [this.sums, this.#found, this.#expected, this.#foundAround, this.#expectedAround] = Array.from({ length: 5 }, ints);
  }

  /** Forgets all channels. */
  reset(): void {
    this.#found.fill(0);
    this.#expected.fill(0);
    [this.#foundInAll, this.#expectedInAll] = [0, 0];
  }

  /** Fills `sums` for the channel of this rank. */
  begin(rank: number, trace?: WalkTrace): void {
    const { fields } = this.model;
    const { height, width, contextWeights, contextPrior } = fields;
    const sums = this.sums;
    const [found, expected] = [this.#found, this.#expected];
    const [foundAround, expectedAround] = [this.#foundAround, this.#expectedAround];
    const first = fields.order[rank] * CONTEXT_SOURCES;
    // Read one by one: a destructured array would cost a tenth of the walk.
    const [w1, w2, w3] = [contextWeights[first + 1], contextWeights[first + 2], contextWeights[first + 3]];
    const [prior1, prior2, prior3] = [contextPrior[1], contextPrior[2], contextPrior[3]];
    sumAround(found, foundAround, height, width);
    sumAround(expected, expectedAround, height, width);
    const inAll = log2Sixteenths(this.#foundInAll + prior3) - log2Sixteenths(this.#expectedInAll + prior3);
    for (let p = 0; p < sums.length; p++) {
      const here = log2Sixteenths(found[p] + prior1) - log2Sixteenths(expected[p] + prior1);
      const around = log2Sixteenths(foundAround[p] + prior2) - log2Sixteenths(expectedAround[p] + prior2);
      sums[p] = w1 * here + w2 * around + w3 * inAll;
      if (trace) trace.sources.set([here, around, inAll], (rank * sums.length + p) * CONTEXT_SOURCES + 1);
    }
  }

  /** Adds a channel's magnitudes, found and expected. */
  add(found: Int32Array, expected: Int32Array): void {
    this.#foundInAll += addChannel(found, this.#found);
    this.#expectedInAll += addChannel(expected, this.#expected);
  }
}

/** The magnitudes in the row above, of which position p is the nearest and counts twice. */
function sumAbove(magnitudes: Int32Array, p: number, x: number, width: number): number {
  return 2 * magnitudes[p] + (x > 0 ? magnitudes[p - 1] : 0) + (x < width - 1 ? magnitudes[p + 1] : 0);
}

/** Adds a channel's magnitudes to those of earlier channels, the last of which count most. @returns the channel's sum */
function addChannel(channel: Int32Array, earlier: Int32Array): number {
  let sum = 0;
  for (let p = 0; p < channel.length; p++) {
    earlier[p] += channel[p] - (earlier[p] >> 4);
    sum += channel[p];
  }
  return sum;
}

/** For each position, the sum of its up to eight neighbours. */
function sumAround(values: Int32Array, sums: Int32Array, height: number, width: number): void {
  for (let y = 0; y < height; y++) {
    for (let x = 0, p = y * width; x < width; x++, p++) {
      let sum = (x > 0 ? values[p - 1] : 0) + (x < width - 1 ? values[p + 1] : 0);
      if (y > 0) sum += sumAbove(values, p - width, x, width) - values[p - width];
      if (y < height - 1) sum += sumAbove(values, p + width, x, width) - values[p + width];
      sums[p] = sum;
    }
  }
}
