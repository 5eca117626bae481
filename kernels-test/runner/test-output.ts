/** The result of one run of a test file. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Meaningless lines that Dawn writes for every adapter that it lists, also in the middle of a line of uvu. */
const NOISE =
  /Warning: maxDynamic\w+ artificially reduced from \d+ to \d+ to fit dynamic offset allocation limit\.\r?\n?/g;

/** The output of a test without these lines of Dawn. */
export function withoutNoise(output: string): string {
  return output.replace(NOISE, '');
}

/** The lines "SKIP name: reason" of a file's output, each once. */
export function skipReasons(output: string): string[] {
  return [...new Set(output.match(/^SKIP .+$/gm))];
}

/**
 * Counts from the totals that uvu writes at the end of a file (once for each time its queue ran dry).
 *
 * A test that uvu started and did not pass has failed, even if uvu lost the error and exits with 0, as it does if
 * a hook throws. A file that ends badly (signal, time limit, exit code) or without totals has at least one failure.
 */
export function countTests(stdout: string, endedWell: boolean): Counts {
  const totals = [...stdout.matchAll(/^ {2}Total: +(\d+)\r?\n {2}Passed: +(\d+)\r?\n {2}Skipped: +(\d+)\r?$/gm)];
  const sum = (group: number) => totals.reduce((acc, match) => acc + Number(match[group]), 0);
  const passed = sum(2);
  const failed = sum(1) - passed;
  const ran = totals.length > 0 && sum(1) + sum(3) > 0;
  return { passed, failed: failed === 0 && !(endedWell && ran) ? 1 : failed, skipped: sum(3) };
}

/** The last line of a run, in plain text. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

export interface FileTime {
  label: string;
  seconds: number;
  cpuSeconds: number;
}

/** The slowest files, one per line, with their seconds and processor seconds (see `FileRun`). */
export function slowest(times: readonly FileTime[], count: number): string {
  const chosen = [...times].sort((a, b) => b.seconds - a.seconds).slice(0, count);
  const lines = chosen.map(
    ({ label, seconds, cpuSeconds }) =>
      `${seconds.toFixed(1).padStart(6)} s  (${cpuSeconds.toFixed(1)} s of processor time)  ${label}`,
  );
  return [`the ${chosen.length} slowest files:`, ...lines].join('\n');
}
