import type { ByteSource } from '../../codec/container/face-archive.js';

/** Pages of a file that are kept: index, names and codes are read side by side, and a read may touch two pages. */
const KEPT_PAGES = 4;

/** A source from which small pieces are read: it reads whole pages, and keeps the last few. */
export class PagedSource implements ByteSource {
  readonly size: number;
  /** By number; the page used last comes last. */
  readonly #pages = new Map<number, Uint8Array>();

  /** @param pageBytes bytes of a page */
  constructor(
    private readonly source: ByteSource,
    private readonly pageBytes: number,
  ) {
    this.size = source.size;
  }

  /** @throws as the source */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const page = await this.#page(Math.floor(at / this.pageBytes));
      const piece = page.subarray(at % this.pageBytes, (at % this.pageBytes) + length - done);
      bytes.set(piece, done);
      done += piece.length;
    }
    return bytes;
  }

  async #page(number: number): Promise<Uint8Array> {
    const start = number * this.pageBytes;
    const page =
      this.#pages.get(number) ?? (await this.source.read(start, Math.min(this.pageBytes, this.size - start)));
    this.#pages.delete(number);
    this.#pages.set(number, page);
    const [oldest] = this.#pages.keys();
    if (this.#pages.size > KEPT_PAGES) this.#pages.delete(oldest);
    return page;
  }
}
