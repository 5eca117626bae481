import { bandOf, type LatentModel, SHAPE_BANDS } from '../../codec/entropy/latent-model.js';
import { SHAPE_ENTRIES, SHAPE_HALF, SHAPE_RESOLUTION } from '../../codec/entropy/symbol-distribution.js';
import type { Observations } from './fit-observations.js';

/** Latents are sorted into this many classes by the weight of their tails. */
export const SHAPE_CLASSES = 4;
/** Imagined Laplacian observations in every shape. */
const IMAGINED = 200;

/** The tail of a Laplacian distribution whose mean distance from 0 is 1: the form to begin with. */
export function laplacianShape(): Int32Array {
  return Int32Array.from({ length: SHAPE_ENTRIES }, (_, i) => Math.round(SHAPE_HALF * Math.exp(-i / SHAPE_RESOLUTION)));
}

/** Classes of equal size. */
export function classify(heaviness: Float64Array): Int32Array {
  const sorted = Float64Array.from(heaviness).sort();
  const bounds = Array.from(
    { length: SHAPE_CLASSES - 1 },
    (_, k) => sorted[Math.floor(((k + 1) * sorted.length) / SHAPE_CLASSES)],
  );
  return Int32Array.from(heaviness, (h) => bounds.filter((bound) => h >= bound).length);
}

/** Shapes from the distances observed: the densities that fall away from the mean and come nearest to the counts. */
export function fitShapes(all: readonly Observations[], model: LatentModel): Int32Array {
  const { shapeClass } = model.fields;
  const imagined = laplacianShape();
  const counts = Array.from({ length: SHAPE_CLASSES * SHAPE_BANDS }, () =>
    Float64Array.from(imagined, (tail, i) => (IMAGINED * (tail - (imagined[i + 1] ?? 0))) / SHAPE_HALF),
  );
  for (const { faces, adjusted, standardised } of all) {
    for (let at = 0; at < faces * model.latents; at++) {
      const shape = shapeClass[at % model.latents] * SHAPE_BANDS + bandOf[adjusted[at]];
      counts[shape][Math.min(SHAPE_ENTRIES - 1, Math.floor(standardised[at] * SHAPE_RESOLUTION))]++;
    }
  }
  const shapes = new Int32Array(counts.length * SHAPE_ENTRIES);
  counts.forEach((count, k) => {
    shapes.set(tailsOf(count), k * SHAPE_ENTRIES);
  });
  return shapes;
}

function tailsOf(counts: Float64Array): Int32Array {
  // The last count is that of everything beyond the table.
  const density = falling(counts.subarray(0, SHAPE_ENTRIES - 1));
  const tails = new Float64Array(SHAPE_ENTRIES);
  tails[SHAPE_ENTRIES - 1] = counts[SHAPE_ENTRIES - 1];
  for (let i = SHAPE_ENTRIES - 2; i >= 0; i--) tails[i] = tails[i + 1] + density[i];
  return Int32Array.from(tails, (tail) => Math.round((SHAPE_HALF * tail) / tails[0]));
}

/** The non-increasing sequence nearest to `values`: neighbours in the wrong order are replaced by their mean. */
function falling(values: Float64Array): Float64Array {
  const runs: { sum: number; length: number }[] = [];
  for (const value of values) {
    let run = { sum: value, length: 1 };
    for (;;) {
      const last = runs.at(-1);
      if (!last || last.sum / last.length >= run.sum / run.length) break;
      run = { sum: last.sum + run.sum, length: last.length + run.length };
      runs.pop();
    }
    runs.push(run);
  }
  const result = new Float64Array(values.length);
  let at = 0;
  for (const { sum, length } of runs) {
    result.fill(sum / length, at, at + length);
    at += length;
  }
  return result;
}
