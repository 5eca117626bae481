/** A test file to run on an adapter. */
export interface Job {
  label: string;
  path: string;
  /** Value for CAMEO_ADAPTER, if the runner chooses the adapter. */
  adapter?: string;
  ownProcess: boolean;
  limitSeconds: number;
}

/** A process that runs files, described by the adapter whose kernels it has compiled. */
export type Place = Pick<Job, 'adapter'>;

/** Whether a job may share a process with others. */
export const fitsInto = (job: Job, { adapter }: Place): boolean => !job.ownProcess && job.adapter === adapter;

/**
 * Takes the next job from the queue: one that fits the given process; else the first one for an adapter that no
 * other process works on, so that few kernels are compiled twice; else the first.
 */
export function takeJob(queue: Job[], own: Place | undefined, others: readonly Place[]): Job {
  let next = own ? queue.findIndex((job) => fitsInto(job, own)) : -1;
  if (next < 0) next = queue.findIndex((job) => !others.some(({ adapter }) => adapter === job.adapter));
  return queue.splice(Math.max(0, next), 1)[0];
}
