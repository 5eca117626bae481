import type { RunFacts } from '../evaluation/reports/run-facts.js';
import type { GpuDescription } from '../gpu/gpu.js';
import { gitCommit } from './git-commit.js';
import { PACKAGE_VERSION } from './package-root.js';

/** The command as it was typed, for reports. */
export function commandLine(): string {
  const words = process.argv.slice(2).map((word) => (/^[\w./:=@%+-]+$/.test(word) ? word : JSON.stringify(word)));
  return ['cameo', ...words].join(' ');
}

/**
 * What a report says of this run, as of now.
 * @param commit of the program as it started; files may have changed since
 */
export const runFacts = (device: GpuDescription, commit = gitCommit()): RunFacts => ({
  command: commandLine(),
  date: new Date().toISOString(),
  commit,
  version: PACKAGE_VERSION,
  runtime: `Node ${process.versions.node} on ${process.platform} ${process.arch}`,
  device,
});
