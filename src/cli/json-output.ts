import { PACKAGE_VERSION } from '../data/files/package-root.js';
import { print, takeStdout } from './terminal.js';

/*
 * --json: standard output is one JSON document. Its keys are `cameo` (this version), `command`, `ok` (whether the exit code is
 * 0), the command's own keys, and `errors`, a list of { input, message } with the input null where it is about all of them.
 */

export const JSON_HELP = 'one JSON document on standard output; words go to standard error';

let document: { command: string; fields: Record<string, unknown> } | undefined;
const errors: { input: string | null; message: string }[] = [];

/** Announces the document of this run. */
export function beginJson(command: string): void {
  takeStdout();
  document = { command, fields: {} };
}

export const isJson = (): boolean => document !== undefined;

/** Adds keys to the document. @returns whether there is to be one */
export function addJson(fields: Record<string, unknown>): boolean {
  if (document) Object.assign(document.fields, fields);
  return document !== undefined;
}

/** Adds an error to the document. */
export function addJsonError(input: string | undefined, message: string): void {
  errors.push({ input: input ?? null, message });
}

/** Ends the run, and prints its document where there is to be one. */
export function endJson(): void {
  if (document) {
    const { command, fields } = document;
    const ok = (process.exitCode ?? 0) === 0;
    print(JSON.stringify({ cameo: PACKAGE_VERSION, command, ok, ...fields, errors }, null, 2));
  }
  document = undefined;
  errors.length = 0;
}
