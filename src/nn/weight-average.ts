import { ratePlan } from '../../shaders/optimizer.wgsl.js';
import { ArgumentError } from '../common/errors.js';
import { sameShape } from '../common/shapes.js';
import { dispatchInPlace } from '../tensor/dispatch.js';
import type { Module } from './module.js';
import { averageKernel } from './optimizer-kernels.js';

/**
 * The decay of a running average at its step `step`, from 0: it rises from 0.1 to `decay`, so that the average soon
 * forgets the first weights.
 */
export const averageDecay = (decay: number, step: number): number => Math.min(decay, (1 + step) / (10 + step));

/**
 * Moves every parameter and buffer of a module towards that of another one of the same make:
 * average = (1 − decay)·value + decay·average. To be called once a step; in a recorded step, `decay` is asked at each run.
 * Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging", with exponential weights.
 * @throws ArgumentError for modules of different parts, or a decay outside [0, 1]
 */
export function averageWeights(average: Module, source: Module, decay: () => number): void {
  const values = source.stateTensors();
  const averages = average.stateTensors();
  for (const [name, tensor] of averages) {
    const value = values.get(name);
    if (!value || !sameShape(value.shape, tensor.shape) || values.size !== averages.size) {
      throw new ArgumentError(`averageWeights: the modules differ at "${name}"`);
    }
  }
  const rate = (): ArrayBuffer => {
    const now = decay();
    if (!(now >= 0 && now <= 1)) throw new ArgumentError(`averageWeights: decay is ${now}; expected 0 to 1`);
    return ratePlan.pack({ rate: 1 - now });
  };
  for (const [name, tensor] of averages) {
    dispatchInPlace(averageKernel(tensor.size, tensor.gpu.limits), [tensor, values.get(name)!], rate);
  }
}
