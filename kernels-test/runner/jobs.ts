/** A test file on an adapter, as the runner's processes take it. */
export interface Job {
  label: string;
  path: string;
  /** Value for CAMEO_ADAPTER where the runner chooses it. */
  adapter?: string;
  ownProcess: boolean;
  limitSeconds: number;
}

/** A process that runs files: the adapter whose kernels it has compiled. */
export type Place = Pick<Job, 'adapter'>;

/** Whether a job may run in the process of others. */
export const fitsInto = (job: Job, { adapter }: Place): boolean => !job.ownProcess && job.adapter === adapter;

/**
 * Takes the next job from the queue: one that fits the process that is there; else the first one of an adapter that no
 * other process works on, so that few kernels are compiled twice; else the first.
 */
export function takeJob(queue: Job[], own: Place | undefined, others: readonly Place[]): Job {
  let next = own ? queue.findIndex((job) => fitsInto(job, own)) : -1;
  if (next < 0) next = queue.findIndex((job) => !others.some(({ adapter }) => adapter === job.adapter));
  return queue.splice(Math.max(0, next), 1)[0];
}
