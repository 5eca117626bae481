import { note } from './terminal.js';

/**
 * Ctrl-C ends the run after its step; a second Ctrl-C ends it at once. Call `release` when the run is over.
 * @param notice the message
 */
export function stopOnInterrupt(notice = 'stopping after this step, with a checkpoint …'): {
  signal: AbortSignal;
  release: () => void;
} {
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
    note(`\n${notice}`);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  return { signal: stop.signal, release: () => process.off('SIGINT', interrupt).off('SIGTERM', interrupt) };
}
