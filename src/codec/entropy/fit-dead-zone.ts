import type { Observations } from './fit-observations.js';
import { bandOf, type LatentModel, MOST_DEAD_ZONE, SHAPE_BANDS } from './latent-model.js';
import { SCALE_COUNT, SymbolDistribution } from './symbol-distribution.js';

/** Widths that are tried, in 1/16 of a step. */
const TRIED = Array.from({ length: MOST_DEAD_ZONE + 1 }, (_, width) => width);
/** Bits charged for each 1/16 that a width differs from that of the scale before: few symbols say little. */
const PULL = 0.5;

/** The dead zones, by scale, with which the observed symbols take the fewest bits. */
export function fitDeadZone(all: readonly Observations[], model: LatentModel): Int32Array<ArrayBuffer> {
  const deadZone = Int32Array.from(model.fields.deadZone);
  for (let round = 0; round < 2; round++) {
    for (const outer of [0, 1]) {
      const costs = costsOf(all, model, deadZone, outer);
      let before = 0;
      for (let scale = SCALE_COUNT - 1; scale >= 0; scale--) {
        const cost = (width: number): number => costs[scale * TRIED.length + width] + PULL * Math.abs(width - before);
        before = TRIED.reduce((best, width) => (cost(width) < cost(best) ? width : best), before);
        deadZone[outer * SCALE_COUNT + scale] = before;
      }
    }
  }
  return deadZone;
}

/** Bits of all symbols, by scale and by the width of one of its two dead zones: [scales, widths]. */
function costsOf(all: readonly Observations[], model: LatentModel, deadZone: Int32Array, outer: number): Float64Array {
  const costs = new Float64Array(SCALE_COUNT * TRIED.length);
  const { shapeClass, shapes } = model.fields;
  const distribution = new SymbolDistribution(shapes);
  for (const { faces, symbols, means, scales, adjusted } of all) {
    for (let face = 0; face < faces; face += 4) {
      for (let latent = 0; latent < model.latents; latent++) {
        const at = face * model.latents + latent;
        const scale = scales[at];
        const shape = shapeClass[latent] * SHAPE_BANDS + bandOf[adjusted[at]];
        for (const width of TRIED) {
          const inner = outer ? deadZone[scale] : width;
          const beyond = outer ? width : deadZone[SCALE_COUNT + scale];
          costs[scale * TRIED.length + width] += distribution
            .set(adjusted[at], means[at], shape, inner, beyond)
            .bits(symbols[at]);
        }
      }
    }
  }
  return costs;
}
