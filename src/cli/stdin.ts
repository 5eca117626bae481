import { ArgumentError } from '../common/errors.js';
import { FileError, fileErrorReason } from '../data/files/atomic-file.js';
import { readRegularFile } from '../data/files/read-file.js';
import { STDIN_NAME } from './terminal.js';

/** As an input's path: standard input; as an output's: standard output. */
export const DASH = '-';

/** What messages call an input. */
export const inputName = (path: string): string => (path === DASH ? STDIN_NAME : path);

/** Of an archive that is read from standard input, and so kept in memory. */
const MAX_ARCHIVE_BYTES = 2 ** 30;

let stdinIsRead = false;

/**
 * All of standard input, which can be read only once; what `compactStdin` read is kept.
 * @throws ArgumentError for a terminal, and where it has been read; FileError for more bytes, and where reading fails
 */
export async function readStdin(maxBytes: number): Promise<Uint8Array> {
  const seen = compact;
  if (!seen || compactIsTaken) return readStream(maxBytes);
  compactIsTaken = true;
  const bytes = await seen;
  if (bytes.length > maxBytes) throw tooLong(maxBytes);
  return bytes;
}

const tooLong = (maxBytes: number): FileError =>
  new FileError(`${STDIN_NAME} has more than ${maxBytes} bytes, the most that are accepted`);

async function readStream(maxBytes: number): Promise<Uint8Array> {
  if (process.stdin.isTTY) {
    throw new ArgumentError(`${STDIN_NAME} is a terminal; redirect a file or another program's output to it`);
  }
  if (stdinIsRead) throw new ArgumentError(`"${DASH}" is given twice, but ${STDIN_NAME} can be read only once`);
  stdinIsRead = true;
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of process.stdin) {
      length += piece.length;
      if (length > maxBytes) throw tooLong(maxBytes);
      pieces.push(piece);
    }
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(`${STDIN_NAME} cannot be read: ${fileErrorReason(error)}`, { cause: error });
  }
  return Buffer.concat(pieces);
}

let compact: Promise<Uint8Array> | undefined;
let compactIsTaken = false;

/** The compact file or archive in standard input; read once, and then kept. @throws as `readStdin` */
export function compactStdin(): Promise<Uint8Array> {
  compact ??= readStream(MAX_ARCHIVE_BYTES);
  return compact;
}

/** The bytes of a regular file, or of standard input for "-". @throws as `readRegularFile` and `readStdin` */
export const readInput = (path: string, maxBytes: number): Promise<Uint8Array> =>
  path === DASH ? readStdin(maxBytes) : readRegularFile(path, maxBytes);
