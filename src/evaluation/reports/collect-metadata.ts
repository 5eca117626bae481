import { PACKAGE_VERSION } from '../../data/files/package-root.js';
import type { GpuDescription } from '../../gpu/description.js';
import { gitCommit } from './git-commit.js';
import type { RunMetadata } from './run-metadata.js';

/** The command as it was typed, for reports. */
export function commandLine(): string {
  const words = process.argv.slice(2).map((word) => (/^[\w./:=@%+-]+$/.test(word) ? word : JSON.stringify(word)));
  return ['cameo', ...words].join(' ');
}

/**
 * The metadata of this run for a report, at this moment.
 * @param commit of the program when it started; files may have changed since
 */
export const runMetadata = (device: GpuDescription, commit = gitCommit()): RunMetadata => ({
  command: commandLine(),
  date: new Date().toISOString(),
  commit,
  version: PACKAGE_VERSION,
  runtime: `Node ${process.versions.node} on ${process.platform} ${process.arch}`,
  device,
});
