import { ArgumentError } from './errors.js';
import { checkFloat32 } from './float32-constants.js';

/** Losses that train a recogniser on identity labels: see `marginLoss`. */
export const LOSSES = ['cosface', 'arcface', 'sphereface', 'normface', 'softmax'] as const;

export interface LossSpec {
  loss: (typeof LOSSES)[number];
  /** Scale of the logits; not used by sphereface (there it is the embedding's length) and softmax. */
  s: number;
  /**
   * Margin: of the cosine (cosface), of the angle in radians (arcface, 0 to π/2), or the factor of the angle (sphereface: 1,
   * 2, 3 or 4). Not used by normface and softmax.
   */
  m: number;
  /** sphereface: weight of cos θ beside ψ(θ), as in its annealing; 0 is the loss itself. */
  lambda: number;
}

/** @throws ArgumentError that names the value that is out of range */
export function checkLossSpec(where: string, { loss, s, m, lambda }: LossSpec): void {
  const fail = (name: string, value: unknown, expected: string): never => {
    throw new ArgumentError(`${where}: ${name} is ${value}; expected ${expected}`);
  };
  if (!LOSSES.includes(loss)) fail('loss', loss, LOSSES.join(', '));
  checkFloat32(where, 's', s, 0, true);
  checkFloat32(where, 'lambda', lambda, 0);
  if (loss === 'sphereface' && ![1, 2, 3, 4].includes(m)) fail('m', m, '1, 2, 3 or 4 for sphereface');
  // Above about 2.33 the logit would jump up where θ + m passes π.
  if (loss === 'arcface' && !(m >= 0 && m <= Math.PI / 2)) fail('m', m, 'an angle from 0 to π/2 for arcface');
  checkFloat32(where, 'm', m, 0);
}
