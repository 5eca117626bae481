import { inflateRawSync } from 'node:zlib';
import { FormatError } from '../../common/errors.js';
import { printable } from './pickle.js';

const [END, ENTRY, LOCAL] = [0x06054b50, 0x02014b50, 0x04034b50];
const [END_BYTES, ENTRY_BYTES, LOCAL_BYTES] = [22, 46, 30];
/** Maximum bytes of all unpacked files of an archive; stored files are views of the archive. */
const MAX_UNPACKED_BYTES = 2 ** 30;

interface Entry {
  method: number;
  packed: Uint8Array;
  size: number;
}

/** The files of a zip archive, stored or deflated, each unpacked when it is asked for. */
export class ZipArchive {
  readonly #entries = new Map<string, Entry>();
  readonly #unpacked = new Map<string, Uint8Array>();
  #total = 0;

  /** @throws FormatError for an archive whose directory is damaged */
  constructor(
    bytes: Uint8Array,
    private readonly name: string,
  ) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // A comment of at most 65535 bytes may follow the record that ends the archive.
    const first = Math.max(0, bytes.length - END_BYTES - 65_535);
    let end = bytes.length - END_BYTES;
    while (end >= first && view.getUint32(end, true) !== END) end--;
    if (end < first) this.#fail('it has no directory');
    let at = view.getUint32(end + 16, true);
    for (let k = view.getUint16(end + 10, true); k > 0; k--) {
      if (at + ENTRY_BYTES > bytes.length || view.getUint32(at, true) !== ENTRY) {
        this.#fail(`no directory entry at byte ${at}`);
      }
      const [method, flags] = [view.getUint16(at + 10, true), view.getUint16(at + 8, true)];
      const [packed, size] = [view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
      const [nameLength, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
      const local = view.getUint32(at + 42, true);
      const file = new TextDecoder().decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameLength));
      if (flags & 1) this.#fail(`${printable(file)} is encrypted`);
      if (method !== 0 && method !== 8) this.#fail(`${printable(file)} is packed by method ${method}; expected 0 or 8`);
      if (local + LOCAL_BYTES > bytes.length || view.getUint32(local, true) !== LOCAL) {
        this.#fail(`${printable(file)} is not where it should be`);
      }
      const start = local + LOCAL_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      if (start + packed > bytes.length) this.#fail(`${printable(file)} ends after the archive`);
      this.#entries.set(file, { method, packed: bytes.subarray(start, start + packed), size });
      at += ENTRY_BYTES + nameLength + extra + comment;
    }
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** The content of a file; undefined for none. @throws FormatError for one that cannot be unpacked */
  get(file: string): Uint8Array | undefined {
    const entry = this.#entries.get(file);
    if (!entry || entry.method === 0) return entry?.packed;
    const known = this.#unpacked.get(file);
    if (known) return known;
    this.#total += entry.size;
    if (this.#total > MAX_UNPACKED_BYTES) this.#fail(`it unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
    try {
      const data = inflateRawSync(entry.packed, { maxOutputLength: Math.max(1, entry.size) });
      this.#unpacked.set(file, data);
      return data;
    } catch (cause) {
      return this.#fail(`${printable(file)} cannot be unpacked: ${(cause as Error).message}`);
    }
  }

  #fail(why: string): never {
    throw new FormatError(`${this.name}: a damaged zip archive: ${why}`);
  }
}
