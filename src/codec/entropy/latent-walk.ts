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
  const units = clampInteger(mean + Math.floor((gain * sum) / (GAIN_ONE * WEIGHT_ONE)), -MAX_UNITS, MAX_UNITS);
  return clampInteger(roundHalfUp(units * meansPerUnit), -MAX_MEAN, MAX_MEAN);
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
  /** The decoded latents in units, minus their means. */
  const values = new Float64Array(model.latents);
  // Magnitudes by position, and the expected ones: of this channel, of earlier channels, and around a position in earlier channels.
  const found = new Int32Array(positions);
  const expected = new Int32Array(positions);
  const foundHere = new Int32Array(positions);
  const expectedHere = new Int32Array(positions);
  const foundAround = new Int32Array(positions);
  const expectedAround = new Int32Array(positions);
  let [foundInAll, expectedInAll] = [0, 0];
  const dependent = model.quantizers > 1;
  let state = 0;
  const [prior0, prior1, prior2, prior3] = contextPrior;

  for (let rank = 0; rank < channels; rank++) {
    const channel = fields.order[rank];
    const stepPower = fields.gain[qIndex * channels + channel] - fields.unit[channel];
    const meansPerUnit = powerOfEighths(stepPower) * MEAN_UNITS;
    const unitsPerMean = powerOfEighths(-stepPower) / MEAN_UNITS;
    const scaleBase = stepPower + fields.scaleShift[qIndex * channels + channel] + SCALE_ONE;
    const predictionGain = fields.predictionGain[qIndex * channels + channel];
    const firstWeight = channel * CONTEXT_SOURCES;
    const [w0, w1, w2, w3] = contextWeights.subarray(firstWeight, firstWeight + CONTEXT_SOURCES);
    sumAround(foundHere, foundAround, height, width);
    sumAround(expectedHere, expectedAround, height, width);

    for (let p = 0; p < positions; p++) {
      const latent = rank * positions + p;
      let sum = 0;
      for (let r = referenceStart[latent]; r < referenceStart[latent + 1]; r++)
        sum += weights[r] * values[references[r]];
      const symbolMean = predictMean(mean[latent], predictionGain, sum, meansPerUnit);
      const baseScale = clampInteger(scale[latent] + scaleBase, 0, SCALE_COUNT - 1);

      const foundBeside = prior0 + sumBeside(found, p, width);
      const expectedBeside = prior0 + sumBeside(expected, p, width);
      const source0 = log2Sixteenths(foundBeside) - log2Sixteenths(expectedBeside);
      const source1 = log2Sixteenths(foundHere[p] + prior1) - log2Sixteenths(expectedHere[p] + prior1);
      const source2 = log2Sixteenths(foundAround[p] + prior2) - log2Sixteenths(expectedAround[p] + prior2);
      const source3 = log2Sixteenths(foundInAll + prior3) - log2Sixteenths(expectedInAll + prior3);
      const context = w0 * source0 + w1 * source1 + w2 * source2 + w3 * source3;
      const eighths = Math.floor(context / (2 * CONTEXT_WEIGHT_ONE) + 0.5);
      const bucket = clampInteger(eighths + CONTEXT_MIDDLE, 0, CONTEXT_BUCKETS - 1);
      const shift = contextTable[(baseScale >> 3) * CONTEXT_BUCKETS + bucket];
      const adjustedScale = clampInteger(baseScale + shift, 0, SCALE_COUNT - 1);
      if (trace) {
        trace.scale[latent] = baseScale;
        trace.sources.set([source0, source1, source2, source3], latent * CONTEXT_SOURCES);
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
      const magnitude = Math.floor((distance * magnitudeWeight[baseScale]) / MAGNITUDE_WEIGHT_ONE);
      found[p] = magnitude < MAX_MAGNITUDE ? magnitude : MAX_MAGNITUDE;
      const offset = ((symbolMean + MEAN_UNITS / 2) & (MEAN_UNITS - 1)) - MEAN_UNITS / 2;
      expected[p] = magnitudeExpected[(quantizer * SCALE_COUNT + baseScale) * MAGNITUDE_OFFSETS + Math.abs(offset)];
      if (trace) {
        trace.found[latent] = found[p];
        trace.expected[latent] = expected[p];
        trace.quantizer[latent] = quantizer;
      }
    }
    foundInAll += addChannel(found, foundHere);
    expectedInAll += addChannel(expected, expectedHere);
  }
}

/**
 * The magnitudes around a position that come before it in its channel, with the nearest ones counted twice, and that of the
 * mirrored position, because faces are nearly symmetric.
 */
function sumBeside(magnitudes: Int32Array, p: number, width: number): number {
  const x = p % width;
  let sum = x > 0 ? 2 * magnitudes[p - 1] : 0;
  if (p >= width) {
    sum += 2 * magnitudes[p - width];
    if (x > 0) sum += magnitudes[p - width - 1];
    if (x < width - 1) sum += magnitudes[p - width + 1];
  }
  const mirrored = p - x + (width - 1 - x);
  return mirrored < p - 1 ? sum + magnitudes[mirrored] : sum;
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
    for (let x = 0; x < width; x++) {
      let sum = -values[y * width + x];
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) sum += values[v * width + u];
      }
      sums[y * width + x] = sum;
    }
  }
}
