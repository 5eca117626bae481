import {
  bandOf,
  bordersInOrder,
  type LatentModel,
  MAX_DEAD_ZONE,
  MIN_DEAD_ZONE,
  SHAPE_BANDS,
} from '../../codec/entropy/latent-model.js';
import { MEAN_UNITS, SCALE_COUNT, SymbolDistribution } from '../../codec/entropy/symbol-distribution.js';
import type { Observations } from './fit-observations.js';

/** Widths that are tried, in 1/16 of a step. */
const TRIED = Array.from({ length: MAX_DEAD_ZONE - MIN_DEAD_ZONE + 1 }, (_, k) => MIN_DEAD_ZONE + k);
/** Penalty in bits for each 1/16 that a width differs from that of the scale before, against noise from few symbols. */
const PULL = 0.5;

/** Borders half way between the points of each quantizer. */
export function firstDeadZone(quantizers: number): Int32Array<ArrayBuffer> {
  const deadZone = new Int32Array(quantizers * 2 * SCALE_COUNT);
  if (quantizers > 1) {
    deadZone.fill(-MEAN_UNITS / 4, 2 * SCALE_COUNT, 3 * SCALE_COUNT);
    deadZone.fill(-MEAN_UNITS / 2, 3 * SCALE_COUNT);
  }
  return deadZone;
}

/**
 * The dead zones, by quantizer and scale, with which the observed symbols take fewer bits: one row after another, each with
 * the others as they are by then. Fitting a model does it several times.
 */
export function fitDeadZone(all: readonly Observations[], model: LatentModel): Int32Array<ArrayBuffer> {
  const deadZone = Int32Array.from(model.fields.deadZone);
  const first = firstDeadZone(model.quantizers);
  for (let row = 0; row < deadZone.length / SCALE_COUNT; row++) {
    const costs = costsOf(all, model, deadZone, row);
    // Scales that never occur are as at first.
    let before = first[row * SCALE_COUNT];
    for (let scale = SCALE_COUNT - 1; scale >= 0; scale--) {
      const at = row * SCALE_COUNT + scale;
      const other = deadZone[row % 2 === 0 ? at + SCALE_COUNT : at - SCALE_COUNT];
      const allowed = TRIED.filter((width) =>
        row % 2 === 0 ? bordersInOrder(width, other) : bordersInOrder(other, width),
      );
      const cost = (width: number): number =>
        costs[scale * TRIED.length + width - TRIED[0]] + PULL * Math.abs(width - before);
      before = allowed.reduce(
        (best, width) => (cost(width) < cost(best) ? width : best),
        allowed.includes(before) ? before : allowed[0],
      );
      deadZone[at] = before;
    }
  }
  return deadZone;
}

/** Bits of all symbols that a row of the dead zones affects, by scale and width: [scales, widths]. */
function costsOf(all: readonly Observations[], model: LatentModel, deadZone: Int32Array, row: number): Float64Array {
  const costs = new Float64Array(SCALE_COUNT * TRIED.length);
  const { shapeClass, shapes } = model.fields;
  const distribution = new SymbolDistribution(shapes);
  const quantizer = row >> 1;
  for (const { faces, symbols, means, scales, adjusted, quantizers } of all) {
    for (let face = 0; face < faces; face += 4) {
      for (let latent = 0; latent < model.latents; latent++) {
        const at = face * model.latents + latent;
        if (quantizers[at] !== quantizer) continue;
        const scale = scales[at];
        const zone = 2 * quantizer * SCALE_COUNT + scale;
        const shape = shapeClass[latent] * SHAPE_BANDS + bandOf[adjusted[at]];
        for (const width of TRIED) {
          const inner = row % 2 === 0 ? width : deadZone[zone];
          const outer = row % 2 === 0 ? deadZone[zone + SCALE_COUNT] : width;
          costs[scale * TRIED.length + width - TRIED[0]] += distribution
            .set(adjusted[at], means[at], shape, inner, outer)
            .bits(symbols[at]);
        }
      }
    }
  }
  return costs;
}
