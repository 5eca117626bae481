import { sizeOf } from '../../src/common/shapes.js';
import { SingleShotDetector } from '../../src/models/single-shot.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { randomValues } from '../helpers/harness.js';

/** A detector small enough for tests. */
export const SMALL_DETECTOR = { stem: [3, 4], width: 5 } as const;

/** Invented weights of a small detector, such that values keep their magnitude from layer to layer. */
export function inventedDetector(seed: number): HostTensors {
  return new Map(
    [...new SingleShotDetector(SMALL_DETECTOR).entries()].map(([name, { shape }], k) => {
      if (name.endsWith('running_var')) return [name, { shape, data: randomValues(sizeOf(shape), seed + k, [0.5, 2]) }];
      const fanIn = shape.length === 4 ? shape[0] * shape[1] * shape[2] : 1;
      const data = randomValues(sizeOf(shape), seed + k).map((value) => value / Math.sqrt(fanIn));
      return [name, { shape, data }];
    }),
  );
}

/** Weights of a small detector each of whose cells says the same, whatever it sees. @param values of a cell */
export function fixedDetectorWeights(values: readonly number[]): HostTensors {
  const weights = inventedDetector(1);
  for (const [name, { data }] of weights) {
    if (name.startsWith('head')) data.fill(0);
    if (name.endsWith('bias') && name.startsWith('head')) data.set(values);
  }
  return weights;
}
