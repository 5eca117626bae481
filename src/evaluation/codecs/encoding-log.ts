import { createHash } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { FileError, fileErrorReason } from '../../data/files/atomic-file.js';
import { readRegularFileIfThere } from '../../data/files/read-file.js';

const MAGIC = Buffer.from('cmEC');
const KEY_BYTES = 32;
const CHECKSUM_BYTES = 8;
/** Magic and length of the body. */
const HEAD_BYTES = 8;

const checksum = (body: Uint8Array): Buffer => createHash('sha256').update(body).digest().subarray(0, CHECKSUM_BYTES);

/**
 * Values by key in one file that only grows. A record is magic, u32 length of the body, body (32 bytes of key, value),
 * checksum of the body. An incomplete record, from a killed process or a full disk, is skipped by searching for
 * the next record; so several processes may append to the same file.
 */
export class EncodingLog {
  readonly #path: string;
  readonly #values: Map<string, Uint8Array>;

  private constructor(path: string, values: Map<string, Uint8Array>) {
    this.#path = path;
    this.#values = values;
  }

  /**
   * Reads the log; a file that is not there yet is an empty one.
   * @throws FileError when it cannot be read
   */
  static async open(path: string): Promise<EncodingLog> {
    const content = await readRegularFileIfThere(path, Infinity);
    return new EncodingLog(path, recordsOf(content ?? Buffer.alloc(0)));
  }

  get count(): number {
    return this.#values.size;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#values.get(hex(key));
  }

  /**
   * Appends one record, and keeps it in memory.
   * @throws FileError when it cannot be written
   */
  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    const body = Buffer.concat([key, value]);
    const head = Buffer.concat([MAGIC, Buffer.alloc(4)]);
    head.writeUInt32LE(body.length, MAGIC.length);
    try {
      await appendFile(this.#path, Buffer.concat([head, body, checksum(body)]));
    } catch (error) {
      throw new FileError(`cannot write ${this.#path}: ${fileErrorReason(error)}`, { cause: error });
    }
    this.#values.set(hex(key), value);
  }
}

const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex');

/** The complete records; of several with the same key, the last one. */
function recordsOf(content: Buffer): Map<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  for (let at = content.indexOf(MAGIC); at >= 0; ) {
    const start = at + HEAD_BYTES;
    const end = start <= content.length ? start + content.readUInt32LE(at + MAGIC.length) : Infinity;
    const body = content.subarray(start, end);
    const whole =
      end + CHECKSUM_BYTES <= content.length &&
      body.length >= KEY_BYTES &&
      checksum(body).equals(content.subarray(end, end + CHECKSUM_BYTES));
    if (whole) values.set(hex(body.subarray(0, KEY_BYTES)), new Uint8Array(body.subarray(KEY_BYTES)));
    at = content.indexOf(MAGIC, whole ? end + CHECKSUM_BYTES : at + 1);
  }
  return values;
}
