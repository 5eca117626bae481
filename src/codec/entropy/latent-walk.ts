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

/** Reads, writes or measures the symbols, one after another, each with its distribution. */
export interface SymbolCoder {
  /** @returns the symbol of the latent with this coding order */
  code(latent: number, scale: number, mean: number, shape: number, deadInner: number, deadOuter: number): number;
}

/** What the walk found out about every latent, in coding order; for fitting. */
export interface WalkTrace {
  /** Scale index before the context adjusts it. */
  scale: Int16Array;
  /** [latents, CONTEXT_SOURCES] log2 of magnitudes against expectation, in 1/16. */
  sources: Int16Array;
  /** Magnitude, and the magnitude that its scale let expect. */
  found: Int32Array;
  expected: Int32Array;
  /** The quantizer of each latent. */
  quantizer: Uint8Array;
}

/**
 * How near to its cell's border the value of a symbol may be taken, in 1/16 of a step. Within the
 * cell the predicted value is taken: a coarse symbol that is as predicted tells nothing new, and must not draw later
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

/** Mean of a symbol in 1/16 of a step, from the weighted sum of what its references are above their means. */
export function predictMean(mean: number, gain: number, sum: number, meansPerUnit: number): number {
  const units = clampInteger(mean + Math.floor((gain * sum) / (GAIN_ONE * WEIGHT_ONE)), -MAX_UNITS, MAX_UNITS);
  return clampInteger(roundHalfUp(units * meansPerUnit), -MAX_MEAN, MAX_MEAN);
}

/**
 * Goes through the latents in coding order, and gives `coder` the distribution of each, which follows from those before it.
 * Encoding, decoding and measuring all use this walk, so they cannot disagree.
 *
 * The mean is a weighted sum of earlier latents. The scale is adjusted by a context: are the magnitudes (distance of symbol
 * and mean) decoded so far above or below what their scales let expect? They are gathered from four sources: neighbours in
 * the same channel; the same position in earlier channels, with the last ones counting most; the positions around it in
 * earlier channels; the whole face so far.
 */
export function walkLatents(model: LatentModel, qIndex: number, coder: SymbolCoder, trace?: WalkTrace): void {
  const { fields, referenceStart } = model;
  const { height, width, channels, mean, scale, shapeClass, references, weights, deadZone } = fields;
  const { contextWeights, contextPrior, contextTable, magnitudeWeight, magnitudeExpected } = fields;
  const positions = height * width;
  /** In units, minus the mean. */
  const values = new Float64Array(model.latents);
  // Magnitudes found (those of this channel, of this position, around it) and what was expected of each.
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
    const c = fields.order[rank];
    const stepPower = fields.gain[qIndex * channels + c] - fields.unit[c];
    const meansPerUnit = powerOfEighths(stepPower) * MEAN_UNITS;
    const unitsPerMean = powerOfEighths(-stepPower) / MEAN_UNITS;
    const scaleBase = stepPower + fields.scaleShift[qIndex * channels + c] + SCALE_ONE;
    const predictionGain = fields.predictionGain[qIndex * channels + c];
    const w = c * CONTEXT_SOURCES;
    const [w0, w1, w2, w3] = contextWeights.subarray(w, w + CONTEXT_SOURCES);
    sumAround(foundHere, foundAround, height, width);
    sumAround(expectedHere, expectedAround, height, width);

    for (let p = 0; p < positions; p++) {
      const latent = rank * positions + p;
      let sum = 0;
      for (let r = referenceStart[latent]; r < referenceStart[latent + 1]; r++)
        sum += weights[r] * values[references[r]];
      const symbolMean = predictMean(mean[latent], predictionGain, sum, meansPerUnit);
      const base = clampInteger(scale[latent] + scaleBase, 0, SCALE_COUNT - 1);

      const foundBeside = prior0 + sumBeside(found, p, width);
      const expectedBeside = prior0 + sumBeside(expected, p, width);
      const source0 = log2Sixteenths(foundBeside) - log2Sixteenths(expectedBeside);
      const source1 = log2Sixteenths(foundHere[p] + prior1) - log2Sixteenths(expectedHere[p] + prior1);
      const source2 = log2Sixteenths(foundAround[p] + prior2) - log2Sixteenths(expectedAround[p] + prior2);
      const source3 = log2Sixteenths(foundInAll + prior3) - log2Sixteenths(expectedInAll + prior3);
      const context = w0 * source0 + w1 * source1 + w2 * source2 + w3 * source3;
      const eighths = Math.floor(context / (2 * CONTEXT_WEIGHT_ONE) + 0.5);
      const bucket = clampInteger(eighths + CONTEXT_MIDDLE, 0, CONTEXT_BUCKETS - 1);
      const adjusted = clampInteger(base + contextTable[(base >> 3) * CONTEXT_BUCKETS + bucket], 0, SCALE_COUNT - 1);
      if (trace) {
        trace.scale[latent] = base;
        trace.sources.set([source0, source1, source2, source3], latent * CONTEXT_SOURCES);
      }

      const quantizer = quantizerOf(state);
      const zone = 2 * quantizer * SCALE_COUNT + base;
      const shape = shapeClass[latent] * SHAPE_BANDS + bandOf[adjusted];
      const deadOuter = deadZone[zone + SCALE_COUNT];
      const symbol = coder.code(latent, adjusted, symbolMean, shape, deadZone[zone], deadOuter);
      const middle = reconstructionPoint(symbol, quantizer) * (MEAN_UNITS / 2);
      if (dependent) state = nextState(state, symbol);

      values[latent] = reconstruct(middle, symbolMean, unitsPerMean) - mean[latent];
      const distance = Math.abs(middle - symbolMean);
      const magnitude = Math.floor((distance * magnitudeWeight[base]) / MAGNITUDE_WEIGHT_ONE);
      found[p] = magnitude < MAX_MAGNITUDE ? magnitude : MAX_MAGNITUDE;
      const offset = ((symbolMean + MEAN_UNITS / 2) & (MEAN_UNITS - 1)) - MEAN_UNITS / 2;
      expected[p] = magnitudeExpected[(quantizer * SCALE_COUNT + base) * MAGNITUDE_OFFSETS + Math.abs(offset)];
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
