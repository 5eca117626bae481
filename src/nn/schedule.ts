import { ArgumentError } from '../common/errors.js';
import { checkFloat32 } from '../ops/float32-constants.js';

/** The learning rate of each step, counted from 0. */
export type Schedule = (step: number) => number;

/** @throws ArgumentError unless value is an integer of at least 1 */
function checkSteps(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ArgumentError(`${name} is ${value}; expected an integer of at least 1`);
  }
}

/** The same rate at each step. */
export function constant(lr: number): Schedule {
  checkFloat32('constant', 'lr', lr, 0);
  return () => lr;
}

/**
 * Multiplies the rate by `factor` at each milestone: lr·factor^(milestones ≤ step).
 * @param milestones steps in ascending order
 */
export function stepDecay(lr: number, milestones: readonly number[], factor = 0.1): Schedule {
  checkFloat32('stepDecay', 'lr', lr, 0);
  checkFloat32('stepDecay', 'factor', factor, 0);
  milestones.forEach((milestone, k) => {
    checkSteps('stepDecay: milestone', milestone);
    if (k > 0 && milestone <= milestones[k - 1]) {
      throw new ArgumentError(`stepDecay: milestones [${milestones.join(',')}] must ascend`);
    }
  });
  return (step) => lr * factor ** milestones.filter((milestone) => step >= milestone).length;
}

/**
 * Falls from lr at step 0 along half a cosine to `final` at step `steps`, and stays there.
 * Loshchilov and Hutter 2017, "SGDR", arXiv 1608.03983, eq. 5, without restarts.
 */
export function cosine(lr: number, steps: number, final = 0): Schedule {
  checkFloat32('cosine', 'lr', lr, 0);
  checkFloat32('cosine', 'final', final, 0);
  checkSteps('cosine: steps', steps);
  return (step) => final + ((lr - final) * (1 + Math.cos((Math.PI * Math.min(step, steps)) / steps))) / 2;
}

/**
 * Rises linearly over the first `steps` steps to `schedule`, which starts after them at its own step 0: step s of the
 * rise has (s + 1)/(steps + 1) of the first rate, so that no step is lost to a rate of 0.
 */
export function warmUp(schedule: Schedule, steps: number): Schedule {
  if (steps === 0) return schedule;
  checkSteps('warmUp: steps', steps);
  return (step) => (step < steps ? (schedule(0) * (step + 1)) / (steps + 1) : schedule(step - steps));
}
