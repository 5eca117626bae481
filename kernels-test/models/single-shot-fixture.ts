import { SingleShotDetector } from '../../src/models/single-shot.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { inventedWeights } from './conv-block-reference.js';

/** A detector small enough for tests. */
export const SMALL_DETECTOR = { stem: [3, 4], width: 5 } as const;

/** Random weights of a small detector, with which values keep their magnitude from layer to layer. */
export const inventedDetector = (seed: number): HostTensors =>
  inventedWeights(new SingleShotDetector(SMALL_DETECTOR), seed);

/** Weights of a small detector whose cells all give the same, whatever they see. @param values of a cell */
export function fixedDetectorWeights(values: readonly number[]): HostTensors {
  const weights = inventedDetector(1);
  for (const [name, { data }] of weights) {
    if (name.startsWith('head')) data.fill(0);
    if (name.endsWith('bias') && name.startsWith('head')) data.set(values);
  }
  return weights;
}
