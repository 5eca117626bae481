import { PACKAGE_VERSION } from '../data/files/package-root.js';
import { print, takeStdout } from './terminal.js';

/*
 * --json: standard output is one JSON document. Its keys are `cameo` (this version), `command`, `ok` (whether the exit code is
 * 0; a command may say otherwise), the command's own keys, `warnings`, where there are any, a list of { input, kind, message }, and `errors`,
 * a list of { input, message }. Their input is null where they are about all pictures.
 */

export const JSON_HELP = 'one JSON document on standard output; messages go to standard error';

let document: { command: string; fields: Record<string, unknown> } | undefined;
const errors: { input: string | null; message: string }[] = [];
const warnings: { input: string | null; kind: string; message: string }[] = [];

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

/** Adds a warning to the document. @param warning about a face, or with the input null about the run */
export function addJsonWarning(warning: { input: string | null; kind: string; message: string }): void {
  warnings.push(warning);
}

/** Ends the run, and prints its document where there is to be one. */
export function endJson(): void {
  if (document) {
    const { command, fields } = document;
    const ok = (process.exitCode ?? 0) === 0;
    const told = warnings.length === 0 ? {} : { warnings };
    print(JSON.stringify({ cameo: PACKAGE_VERSION, command, ok, ...fields, ...told, errors }, null, 2));
  }
  document = undefined;
  errors.length = warnings.length = 0;
}
