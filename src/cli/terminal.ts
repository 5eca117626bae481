import { ArgumentError } from '../common/errors.js';
import { FileError, fileErrorReason } from '../data/files/atomic-file.js';

/*
 * What the command prints, and where. Results go to standard output, and so do messages, unless data or JSON go there. Errors go
 * to standard error. A reader that stops early (`| head`) loses what it does not read, and changes nothing else.
 */

/** What messages call the streams. */
export const STDIN_NAME = 'standard input';
export const STDOUT_NAME = 'standard output';

interface Output {
  stream: NodeJS.WriteStream;
  name: string;
  /** True if nothing more can be written. */
  closed: boolean;
}

const STDOUT: Output = { stream: process.stdout, name: STDOUT_NAME, closed: false };
const STDERR: Output = { stream: process.stderr, name: 'standard error', closed: false };

let quiet = false;
let stdoutIsTaken = false;
let failure = 1;

/** Error codes of a reader that has stopped. */
const isClosed = (error: NodeJS.ErrnoException): boolean =>
  error.code === 'EPIPE' || error.code === 'ECONNRESET' || error.code === 'ERR_STREAM_DESTROYED';

/** Makes the end of a stream's reader end only the writing to it. Call it once, before anything is written. */
export function watchStreams(): void {
  for (const output of [STDOUT, STDERR]) output.stream.on('error', (error) => onFailure(output, error));
}

function onFailure(output: Output, error: NodeJS.ErrnoException): void {
  if (output.closed) return;
  output.closed = true;
  if (isClosed(error)) return;
  process.exitCode = failure;
  if (output === STDOUT) warn(`cameo: ${output.name}: cannot be written: ${fileErrorReason(error)}`);
}

/** Control characters except tabs and line breaks, and those that turn the direction of text; in JSON, too, they may be written as numbers. */
const CONTROL = /(?![\t\n])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** Names of files and of faces may come from others: a terminal must not obey them. */
const harmless = (text: string): string =>
  text.replace(CONTROL, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);

function write(output: Output, text: string): void {
  if (output.closed) return;
  try {
    output.stream.write(harmless(text));
  } catch (error) {
    onFailure(output, error as NodeJS.ErrnoException); // some streams throw it at once
  }
}

/**
 * Begins the output of a command: neither quiet, nor with data or JSON on standard output.
 * @param exitCode what any failure of this command ends with
 */
export function beginOutput(exitCode: number): void {
  quiet = stdoutIsTaken = false;
  failure = exitCode;
}

/** The exit code of a command that has failed. */
export const failureCode = (): number => failure;

/** From now on, `say` and `note` say nothing. */
export function beQuiet(): void {
  quiet = true;
}

export const isQuiet = (): boolean => quiet;

/** Sends the text of `say` to standard error from now on: standard output is for data, or for one JSON document. */
export function takeStdout(): void {
  stdoutIsTaken = true;
}

/**
 * The same, for data that are not text.
 * @throws ArgumentError for a terminal, which such data would disturb
 */
export function takeStdoutForData(): void {
  takeStdout();
  if (process.stdout.isTTY) {
    throw new ArgumentError(
      `${STDOUT_NAME} is a terminal, which cannot show pictures or compact files: redirect it to a file`,
    );
  }
}

/** A line of the command's result. */
export function print(line: string): void {
  write(STDOUT, `${line}\n`);
}

/** A line about the work; none with --quiet. */
export function say(line: string): void {
  if (!quiet) write(stdoutIsTaken ? STDERR : STDOUT, `${line}\n`);
}

/** A line on standard error about something that changes no result; none with --quiet. */
export function note(line: string): void {
  if (!quiet) warn(line);
}

/** A line on standard error. */
export function warn(line: string): void {
  write(STDERR, `${line}\n`);
}

/**
 * Writes data to standard output, all of it.
 * @throws FileError if that fails, or the reader has stopped
 */
export async function writeData(bytes: Uint8Array): Promise<void> {
  const failure = await new Promise<NodeJS.ErrnoException | null | undefined>((done) => {
    if (STDOUT.closed) done(Object.assign(new Error('closed'), { code: 'EPIPE' }));
    else process.stdout.write(bytes, done);
  });
  if (!failure) return;
  STDOUT.closed = true;
  const reason = isClosed(failure) ? 'its reader closed it before everything was written' : fileErrorReason(failure);
  throw new FileError(`${STDOUT_NAME}: cannot be written: ${reason}`, { cause: failure });
}
