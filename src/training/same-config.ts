import { CheckpointError } from '../common/errors.js';

/** @throws CheckpointError that names the first setting in which a checkpoint's differ from a run's; `steps` may differ */
export function assertSameConfig<T extends { steps: number }>(saved: T, wanted: T): void {
  for (const key of Object.keys(wanted) as (keyof T & string)[]) {
    const [before, now] = [JSON.stringify(saved[key]), JSON.stringify(wanted[key])];
    if (before !== now && key !== 'steps') {
      throw new CheckpointError(`the checkpoint was made with ${key} ${before}; this run has ${now}`);
    }
  }
}
