import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../common/errors.js';
import type { LinePlotOptions } from '../evaluation/plot-svg.js';
import { linePlot } from '../evaluation/plot-svg.js';

/** What `--steps` means, for --help. */
export const STEPS_HELP = 'training steps; another number with --resume also moves the learning-rate schedule';

/** The number of an option. @throws ArgumentError */
export const number = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new ArgumentError(`"${text}" is not a number`);
  return value;
};

/** The settings in a JSON file. @throws ArgumentError for no JSON, or a setting that `known` has not */
export function readSettings<T extends object>(path: string, known: T): Partial<T> {
  let file: Partial<T>;
  try {
    file = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new ArgumentError(`${path}: not a JSON file of settings: ${(cause as Error).message}`, { cause });
  }
  for (const key of Object.keys(file)) {
    if (!(key in known)) {
      throw new ArgumentError(`${path}: unknown setting "${key}"; known are ${Object.keys(known).join(', ')}`);
    }
  }
  return file;
}

/** The checkpoint of a run's folder. @throws ArgumentError where there is one and the run would begin anew */
export function checkpointOf(out: string, resume: boolean | undefined): string {
  const checkpoint = join(out, 'checkpoint.safetensors');
  if (!resume && existsSync(checkpoint)) {
    throw new ArgumentError(`${checkpoint} exists: add --resume to go on from it, or choose another --out`);
  }
  return checkpoint;
}

/**
 * Ctrl-C ends the run after its step; a second one at once. Call `release` when the run is over.
 * @param notice what is said of that
 */
export function stopOnInterrupt(notice = 'stopping after this step, with a checkpoint …'): {
  signal: AbortSignal;
  release: () => void;
} {
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
    console.error(`\n${notice}`);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  return { signal: stop.signal, release: () => process.off('SIGINT', interrupt).off('SIGTERM', interrupt) };
}

/**
 * Says how a run ended, and sets the exit code of one that was stopped.
 * @param more what else the run has written
 */
export function tellOutcome({ finished, steps }: { finished: boolean; steps: number }, out: string, more = ''): void {
  if (finished) console.log(`done: ${join(out, 'model.safetensors')}${more}`);
  else {
    console.log(`stopped after ${steps} steps; go on with --resume -o ${out}`);
    process.exitCode = 130;
  }
}

/** Plots below each other, as one SVG. */
export function stackedPlots(plots: readonly LinePlotOptions[]): string {
  const height = 400 * plots.length;
  const panels = plots.map((plot, k) => linePlot(plot).replace('<svg ', `<svg y="${400 * k}" `)).join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="${height}" viewBox="0 0 640 ${height}">\n${panels}\n</svg>\n`;
}
