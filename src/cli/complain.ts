import { CameoError, NoAdapterError } from '../common/errors.js';
import { addJsonError, addJsonWarning } from './json-output.js';
import { failureCode, note, warn } from './terminal.js';

/**
 * The one line that a user gets for an error: `cameo: NAME: reason`. An error that is not a CameoError is a fault of
 * the program, so its stack trace is shown; with CAMEO_DEBUG=1, all stack traces are.
 *
 * @param name the input it is about; left out if the message names it
 */
export function complaint(error: unknown, name?: string): string {
  const ours = error instanceof CameoError;
  const message = (error instanceof Error ? error.message : String(error)).split('\n')[0].trim();
  const subject = !name || message === name || message.startsWith(`${name}: `) ? '' : `${name}: `;
  const stack = !ours || process.env.CAMEO_DEBUG === '1' ? `\n${stackOf(error)}` : '';
  return `cameo: ${subject}${ours ? '' : 'internal error: '}${message}${stack}`;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return '(no stack)';
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`;
  return `${error.stack}${cause}`;
}

/** Prints a complaint on standard error and makes the program end with the exit code of failures (2 where no GPU can be used). */
export function complain(error: unknown, name?: string): void {
  warn(complaint(error, name));
  addJsonError(name, error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof NoAdapterError ? 2 : failureCode();
}

/** Prints a warning, unless the command is quiet. @param input the picture or face that it is about; null for the whole run */
export function noteWarning(input: string | null, kind: string, message: string): void {
  note(`warning: ${input === null ? '' : `${input}: `}${message}`);
  addJsonWarning({ input, kind, message });
}

/** Does one part of a batch; if it fails, complains, and the batch continues. */
export async function orComplain<T>(name: string, work: () => Promise<T> | T): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    complain(error, name);
    return undefined;
  }
}

/** Records that commander has refused the command line and said so. */
export function usageError(message: string): void {
  process.exitCode = failureCode();
  addJsonError(undefined, message.replace(/^error: /, ''));
}
