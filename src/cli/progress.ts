import { SingleBar } from 'cli-progress';

/** A progress bar with time left on standard error; where that is no terminal, a line every half minute. */
export function startProgress(total: number, unit: string): { update(done: number): void; stop(): void } {
  const bar = new SingleBar({
    format: `{bar} {value}/{total} ${unit}  left {eta_formatted}`,
    noTTYOutput: true,
    notTTYSchedule: 30_000,
    etaBuffer: 100,
    clearOnComplete: true,
  });
  bar.start(total, 0);
  return {
    update: (done) => bar.update(done),
    stop: () => bar.stop(),
  };
}

/** A bar after the other for work whose parts have names: a new name ends one and begins the next. */
export function startStages(): { update(what: string, done: number, total: number): void; stop(): void } {
  let bar: ReturnType<typeof startProgress> | null = null;
  let stage = '';
  const stop = (): void => {
    bar?.stop();
    bar = null;
    stage = '';
  };
  return {
    update(what, done, total) {
      if (what !== stage) {
        stop();
        bar = startProgress(total, what);
        stage = what;
      }
      bar?.update(done);
    },
    stop,
  };
}
