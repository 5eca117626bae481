import { CameoError, NoAdapterError } from '../common/errors.js';
import { addJsonError } from './json-output.js';
import { warn } from './terminal.js';

/**
 * The one line that a user gets for an error: `cameo: NAME: reason`. An error that is not one of ours is a fault of the
 * program, so its stack is shown; with CAMEO_DEBUG=1 every stack is.
 *
 * @param name the input it is about; left out where the message says what it is about
 */
export function complaint(error: unknown, name?: string): string {
  const ours = error instanceof CameoError;
  const message = (error instanceof Error ? error.message : String(error)).split('\n')[0].trim();
  const subject = name === undefined || message === name || message.startsWith(`${name}: `) ? '' : `${name}: `;
  const stack = !ours || process.env.CAMEO_DEBUG === '1' ? `\n${stackOf(error)}` : '';
  return `cameo: ${subject}${ours ? '' : 'internal error: '}${message}${stack}`;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return '(no stack)';
  const cause = error.cause === undefined ? '' : `\ncaused by: ${stackOf(error.cause)}`;
  return `${error.stack}${cause}`;
}

/** Prints a complaint on standard error and makes the program end with exit code 1 (2 where no GPU can be used). */
export function complain(error: unknown, name?: string): void {
  warn(complaint(error, name));
  addJsonError(name, error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof NoAdapterError ? 2 : 1;
}

/** Does one part of a batch; where that fails, complains and lets the rest go on. */
export async function orComplain<T>(name: string, work: () => Promise<T> | T): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    complain(error, name);
    return undefined;
  }
}

/** Takes note of a command line that commander has refused, and told so. */
export function usageError(message: string, code: number): void {
  process.exitCode = code;
  addJsonError(undefined, message.replace(/^error: /, ''));
}
