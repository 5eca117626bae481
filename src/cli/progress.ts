import { SingleBar } from 'cli-progress';
import { isQuiet, note } from './terminal.js';

/** Without a terminal: interval between lines. */
const LINE_MS = 30_000;

type Payload = Readonly<Record<string, string>>;

export interface Progress {
  /** @param payload what else the format names */
  update(done: number, payload?: Payload): void;
  stop(): void;
}

/**
 * A progress bar on standard error; where that is no terminal, a plain line every half minute, and with --quiet nothing.
 *
 * @param format of cli-progress, without the bar: {value}, {total}, {eta_formatted} and names of the payload
 * @param first what is done already
 */
export function startBar(format: string, total: number, first = 0, payload: Payload = {}): Progress {
  if (isQuiet()) return { update() {}, stop() {} };
  const { isTTY } = process.stderr;
  if (!isTTY || process.env.TERM === 'dumb') return startLines(format, total, first, payload);
  const bar = new SingleBar({ format: `{bar} ${format}`, etaBuffer: 100, clearOnComplete: true });
  bar.start(total, first, payload);
  return { update: (done, more = {}) => bar.update(done, more), stop: () => bar.stop() };
}

/** Lines of text in place of a bar. */
function startLines(format: string, total: number, first: number, start: Payload): Progress {
  const began = performance.now();
  let told = began;
  let payload = start;
  return {
    update(done, more = {}) {
      payload = { ...payload, ...more };
      const now = performance.now();
      if (now - told < LINE_MS) return;
      told = now;
      const left = done > first ? ((now - began) / 1000 / (done - first)) * (total - done) : Number.NaN;
      const values: Payload = {
        ...payload,
        value: String(done),
        total: String(total),
        eta_formatted: Number.isNaN(left) ? '?' : secondsText(left),
      };
      note(format.replace(/\{(\w+)\}/g, (_, key: string) => values[key] ?? '-'));
    },
    stop() {},
  };
}

/** "2h05m", "3m20s", "12s" */
function secondsText(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole >= 3600) return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  return whole >= 60 ? `${Math.floor(whole / 60)}m${two(whole % 60)}s` : `${whole}s`;
}

/** Progress with the time that is left. */
export function startProgress(total: number, unit: string): Progress {
  return startBar(`{value}/{total} ${unit}  left {eta_formatted}`, total);
}

/** One bar after the other for work with named parts: a new name ends one bar and begins the next. */
export function startStages(): { update(what: string, done: number, total: number): void; stop(): void } {
  let bar: Progress | null = null;
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
