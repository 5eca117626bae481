import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ensureFolder } from '../../data/files/atomic-file.js';
import { EncodingLog } from './encoding-log.js';
import type { ForeignCodec, ForeignEncoding } from './foreign-codec.js';

/** A picture that is to be encoded within a budget. */
export interface EncodingRequest {
  codec: ForeignCodec;
  /** width·height·3 bytes */
  rgb: Uint8Array;
  width: number;
  height: number;
  maxBytes: number;
}

/** The decoded picture is not kept: decoding is fast beside the search for the file. */
export type CachedEncoding = Omit<ForeignEncoding, 'rgb'>;

/**
 * Files that codecs made of pictures, in a folder with one log for each codec and budget. The key of an
 * encoding is the picture, the codec's name and version, and the budget. A missing fit is stored as well.
 */
export class EncodingCache {
  readonly folder: string;
  readonly #logs = new Map<string, Promise<EncodingLog>>();

  /** @param folder made when the first encoding is asked for */
  constructor(folder: string) {
    this.folder = folder;
  }

  /**
   * The encoding of a picture, null when the codec has none within the budget, undefined when it is not known yet.
   * @throws FileError when the cache cannot be read
   */
  async get(request: EncodingRequest): Promise<CachedEncoding | null | undefined> {
    const value = (await this.#log(request)).get(keyOf(request));
    return value && unpack(value);
  }

  /** @throws FileError when the cache cannot be written */
  async put(request: EncodingRequest, encoding: CachedEncoding | null): Promise<void> {
    await (await this.#log(request)).put(keyOf(request), pack(encoding));
  }

  #log({ codec, maxBytes }: EncodingRequest): Promise<EncodingLog> {
    const name = `${codec.name}-${maxBytes}.encodings`;
    let log = this.#logs.get(name);
    if (!log) {
      log = ensureFolder(this.folder).then(() => EncodingLog.open(join(this.folder, name)));
      this.#logs.set(name, log);
    }
    return log;
  }
}

function keyOf({ codec, rgb, width, height, maxBytes }: EncodingRequest): Uint8Array {
  const request = JSON.stringify([codec.name, codec.version, maxBytes, width, height]);
  return createHash('sha256').update(request).update(rgb).digest();
}

/** Nothing when no file fits; else u32 size, u32 length of the settings, settings in UTF-8, file. */
function pack(encoding: CachedEncoding | null): Uint8Array {
  if (!encoding) return new Uint8Array(0);
  const settings = Buffer.from(encoding.settings);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(encoding.size, 0);
  head.writeUInt32LE(settings.length, 4);
  return new Uint8Array(Buffer.concat([head, settings, encoding.bytes]));
}

function unpack(value: Uint8Array): CachedEncoding | null {
  if (value.length === 0) return null;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const end = 8 + view.getUint32(4, true);
  const settings = Buffer.from(value.subarray(8, end)).toString();
  return { bytes: value.slice(end), size: view.getUint32(0, true), settings };
}
