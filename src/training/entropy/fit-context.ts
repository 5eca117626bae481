import { reconstructionPoint } from '../../codec/entropy/dependent.js';
import { clampInteger, powerOfEighths } from '../../codec/entropy/fixed-point.js';
import {
  bandOf,
  CONTEXT_BUCKETS,
  CONTEXT_MIDDLE,
  CONTEXT_ROWS,
  CONTEXT_SOURCES,
  CONTEXT_UNIT,
  CONTEXT_WEIGHT_ONE,
  type LatentModel,
  MAGNITUDE_OFFSETS,
  MAGNITUDE_WEIGHT_ONE,
  MAX_MAGNITUDE,
  SHAPE_BANDS,
} from '../../codec/entropy/latent-model.js';
import {
  borderBelow,
  MEAN_UNITS,
  SCALE_COUNT,
  SCALE_ONE,
  SymbolDistribution,
} from '../../codec/entropy/symbol-distribution.js';
import type { Observations } from './fit-observations.js';
import { solve } from './fit-predictors.js';

/** Below this many steps, an expected magnitude counts less than one, because such symbols say little about their scale. */
const HALF_WEIGHT = 0.5;

/** Expected magnitudes, and weights that make them comparable, for Laplacian symbols of every scale. */
export function magnitudeTables(deadZone: Int32Array): {
  magnitudeWeight: Int32Array;
  magnitudeExpected: Int32Array;
} {
  const magnitudeWeight = new Int32Array(SCALE_COUNT);
  const quantizers = deadZone.length / (2 * SCALE_COUNT);
  const magnitudeExpected = new Int32Array(quantizers * SCALE_COUNT * MAGNITUDE_OFFSETS);
  /** Where a symbol's cell begins, in steps. */
  const border = (quantizer: number, k: number, symbol: number): number => {
    const zone = 2 * quantizer * SCALE_COUNT + k;
    return borderBelow(symbol, deadZone[zone], deadZone[zone + SCALE_COUNT]) / MEAN_UNITS;
  };
  for (let k = 0; k < SCALE_COUNT; k++) {
    const scale = powerOfEighths(k - SCALE_ONE);
    const perStep = CONTEXT_UNIT / Math.max(scale, HALF_WEIGHT);
    magnitudeWeight[k] = Math.round((perStep * MAGNITUDE_WEIGHT_ONE) / MEAN_UNITS);
    const below = (x: number): number => (x < 0 ? 0.5 * Math.exp(x / scale) : 1 - 0.5 * Math.exp(-x / scale));
    for (let offset = 0; offset < MAGNITUDE_OFFSETS; offset++) {
      const mean = offset / MEAN_UNITS;
      const reach = Math.ceil(12 * scale) + 2;
      for (let q = 0; q < quantizers; q++) {
        let expected = 0;
        for (let s = -reach; s <= reach; s++) {
          const magnitude = Math.min(Math.abs(reconstructionPoint(s, q) / 2 - mean) * perStep, MAX_MAGNITUDE);
          expected += magnitude * (below(border(q, k, s + 1) - mean) - below(border(q, k, s) - mean));
        }
        magnitudeExpected[(q * SCALE_COUNT + k) * MAGNITUDE_OFFSETS + offset] = Math.round(expected);
      }
    }
  }
  return { magnitudeWeight, magnitudeExpected };
}

/** Weight, in observations, that pulls a channel's weights to those of all channels together. */
const POOLING = 200;

/**
 * Weights of the context's sources: magnitudes are taken for Poisson variables with the mean expected · 2^(weights · sources),
 * which is convex, and works for magnitudes that are mostly zero. Newton's method.
 */
export function fitContextWeights(all: readonly Observations[], model: LatentModel): Int32Array {
  const { channels, height, width, order } = model.fields;
  const positions = height * width;
  const pooled = newton(all, model.latents, 0, model.latents, new Array(CONTEXT_SOURCES).fill(0), 1);
  const weights = new Int32Array(channels * CONTEXT_SOURCES);
  for (let rank = 0; rank < channels; rank++) {
    const own = newton(all, model.latents, rank * positions, (rank + 1) * positions, pooled, POOLING);
    own.forEach((w, f) => {
      weights[order[rank] * CONTEXT_SOURCES + f] = clampInteger(Math.round(w * CONTEXT_WEIGHT_ONE), -128, 256);
    });
  }
  return weights;
}

function newton(
  all: readonly Observations[],
  latents: number,
  first: number,
  end: number,
  prior: readonly number[],
  strength: number,
): number[] {
  const n = CONTEXT_SOURCES + 1; // the last one is a constant
  let weights = [...prior, 0];
  for (let iteration = 0; iteration < 5; iteration++) {
    const system = Array.from({ length: n }, () => new Float64Array(n + 1));
    const x = new Float64Array(n);
    x[n - 1] = 1;
    for (const { faces, sources, found, expected } of all) {
      // Every fourth face is enough for all channels together.
      const stride = end - first === latents ? 4 : 1;
      for (let face = 0; face < faces; face += stride) {
        for (let i = face * latents + first; i < face * latents + end; i++) {
          if (expected[i] === 0) continue;
          let exponent = weights[n - 1];
          for (let f = 0; f < CONTEXT_SOURCES; f++) {
            x[f] = (sources[i * CONTEXT_SOURCES + f] * Math.LN2) / 16;
            exponent += weights[f] * x[f];
          }
          const mean = (expected[i] / CONTEXT_UNIT) * Math.exp(clampInteger(exponent, -5, 5));
          const error = found[i] / CONTEXT_UNIT - mean;
          for (let a = 0; a < n; a++) {
            system[a][n] += error * x[a];
            for (let b = 0; b < n; b++) system[a][b] += mean * x[a] * x[b];
          }
        }
      }
    }
    for (let a = 0; a < n; a++) {
      const pull = a < CONTEXT_SOURCES ? strength : 1;
      system[a][a] += pull;
      system[a][n] += pull * ((prior[a] ?? 0) - weights[a]);
    }
    const steps = solve(system);
    weights = weights.map((w, a) => clampInteger(w + clampInteger(steps[a], -1, 1), -2, 4));
  }
  return weights.slice(0, CONTEXT_SOURCES);
}

/** Corrections of the scale that are tried, in eighths of an octave. */
const TRIED = [-12, -9, -6, -4, -2, 0, 2, 4, 6, 9, 12] as const;

/** The cost of a group of symbols with each of the corrections, from which the best one follows. */
class CorrectionCosts {
  readonly #costs: Float64Array;

  constructor(private readonly groups: number) {
    this.#costs = new Float64Array(groups * TRIED.length);
  }

  add(group: number, correction: number, bits: number): void {
    this.#costs[group * TRIED.length + correction] += bits;
  }

  /** Costs of other groups count for this one, too, by `weight`. */
  blended(neighbours: (group: number) => readonly (readonly [group: number, weight: number])[]): CorrectionCosts {
    const blended = new CorrectionCosts(this.groups);
    for (let group = 0; group < this.groups; group++) {
      for (const [other, weight] of neighbours(group)) {
        for (let d = 0; d < TRIED.length; d++) {
          blended.add(group, d, weight * this.#costs[other * TRIED.length + d]);
        }
      }
    }
    return blended;
  }

  /** The cheapest correction, between those tried by a parabola; `pull` bits are charged for each squared octave. */
  best(group: number, pull: number): number {
    const cost = (d: number): number => this.#costs[group * TRIED.length + d] + pull * (TRIED[d] / 8) ** 2;
    let best = TRIED.indexOf(0);
    for (let d = 0; d < TRIED.length; d++) if (cost(d) < cost(best)) best = d;
    if (best === 0 || best === TRIED.length - 1) return TRIED[best];
    const [x0, x1, x2] = [TRIED[best - 1], TRIED[best], TRIED[best + 1]];
    const left = (cost(best) - cost(best - 1)) / (x1 - x0);
    const right = (cost(best + 1) - cost(best)) / (x2 - x1);
    if (!(right > left)) return x1;
    // Where the slope, known at the middles, is zero.
    const at = (x0 + x1) / 2 + ((x2 - x0) / 2) * (-left / (right - left));
    return Math.round(clampInteger(at, x0, x2));
  }
}

/** Adds what every observed symbol would cost if its scale were corrected. */
function addCosts(
  costs: CorrectionCosts,
  observations: Observations,
  model: LatentModel,
  stride: number,
  groupOf: (at: number, latent: number) => number,
): void {
  const { shapeClass, shapes, deadZone } = model.fields;
  const distribution = new SymbolDistribution(shapes);
  const { faces, symbols, means, adjusted, scales, quantizers } = observations;
  for (let face = 0; face < faces; face += stride) {
    for (let latent = 0; latent < model.latents; latent++) {
      const at = face * model.latents + latent;
      const group = groupOf(at, latent);
      const zone = 2 * quantizers[at] * SCALE_COUNT + scales[at];
      for (let d = 0; d < TRIED.length; d++) {
        const scale = clampInteger(adjusted[at] + TRIED[d], 0, SCALE_COUNT - 1);
        const shape = shapeClass[latent] * SHAPE_BANDS + bandOf[scale];
        costs.add(
          group,
          d,
          distribution.set(scale, means[at], shape, deadZone[zone], deadZone[zone + SCALE_COUNT]).bits(symbols[at]),
        );
      }
    }
  }
}

/** The table from contexts to corrections of the scale, by maximum likelihood. */
export function fitContextTable(all: readonly Observations[], model: LatentModel): Int32Array {
  const { contextWeights, contextTable, order, height, width } = model.fields;
  const positions = height * width;
  const costs = new CorrectionCosts(contextTable.length);
  for (const observations of all) {
    const { sources, scales } = observations;
    addCosts(costs, observations, model, 2, (at, latent) => {
      const w = order[Math.floor(latent / positions)] * CONTEXT_SOURCES;
      let context = 0;
      for (let f = 0; f < CONTEXT_SOURCES; f++) context += contextWeights[w + f] * sources[at * CONTEXT_SOURCES + f];
      const eighths = Math.floor(context / (2 * CONTEXT_WEIGHT_ONE) + 0.5);
      return (scales[at] >> 3) * CONTEXT_BUCKETS + clampInteger(eighths + CONTEXT_MIDDLE, 0, CONTEXT_BUCKETS - 1);
    });
  }
  const smooth = costs.blended((cell) => {
    const row = Math.floor(cell / CONTEXT_BUCKETS);
    const column = cell % CONTEXT_BUCKETS;
    const near: [number, number][] = [];
    for (let r = Math.max(0, row - 1); r <= Math.min(CONTEXT_ROWS - 1, row + 1); r++) {
      for (let c = Math.max(0, column - 2); c <= Math.min(CONTEXT_BUCKETS - 1, column + 2); c++) {
        near.push([r * CONTEXT_BUCKETS + c, 1 / ((1 + 9 * Math.abs(r - row)) * (1 + Math.abs(c - column)))]);
      }
    }
    return near;
  });
  return contextTable.map((old, cell) => clampInteger(old + smooth.best(cell, 20), -40, 40));
}

/** Corrections of the scale for every channel at an observed step, by maximum likelihood. */
export function fitScaleShift(observations: Observations, model: LatentModel): Int32Array {
  const { channels, order, height, width, scaleShift } = model.fields;
  const positions = height * width;
  const costs = new CorrectionCosts(channels);
  addCosts(costs, observations, model, 3, (_, latent) => order[Math.floor(latent / positions)]);
  return Int32Array.from({ length: channels }, (_, c) =>
    clampInteger(scaleShift[observations.qIndex * channels + c] + costs.best(c, 5), -64, 64),
  );
}
