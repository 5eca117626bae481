import type { RgbImage } from '../src/common/rgb-image.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { resampleRgb } from '../src/evaluation/codecs/resample.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import { withoutProfile } from './colour-profile.js';
import { fromSource, toFile } from './picture.js';

export type BrowserFormat = 'jpeg' | 'webp';

/** What the browser's encoder made of a face. */
export interface BrowserEncoding {
  blob: Blob;
  /** In the face's size again. */
  restored: Uint8Array;
  psnr: number;
}

/** Faces are also encoded smaller, and enlarged again: below some rate that is better. */
const SCALES = [1, 0.8, 0.65, 0.5, 0.35];
/** 1 is left out: Chromium's WebP is then lossless. */
const QUALITIES = Array.from({ length: 100 }, (_, percent) => percent / 100);

/** The browser's own encoders on one face. What they made is kept, so that another budget costs little. */
export class BrowserEncoder {
  readonly #files = new Map<string, Promise<Blob>>();
  readonly #restored = new Map<Blob, Promise<BrowserEncoding>>();
  readonly #scaled: RgbImage[];

  /** @param profile whether files keep the colour profile that the browser puts into them */
  constructor(
    readonly face: Uint8Array,
    readonly profile: boolean,
  ) {
    this.#scaled = SCALES.map((scale) => {
      const [width, height] = [Math.round(FACE_WIDTH * scale), Math.round(FACE_HEIGHT * scale)];
      const data = scale === 1 ? face : resampleRgb(face, FACE_WIDTH, FACE_HEIGHT, width, height);
      return { width, height, data };
    });
  }

  /**
   * The best of the files of at most `maxBytes`.
   * @returns null where it writes none that small; 'unknown' where it cannot write the format
   */
  async encode(
    format: BrowserFormat,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<BrowserEncoding | null | 'unknown'> {
    let best: BrowserEncoding | null = null;
    for (const scale of SCALES.keys()) {
      signal.throwIfAborted();
      const blob = await this.#largest(format, scale, maxBytes);
      if (blob === 'unknown') return blob;
      if (!blob) continue;
      const encoding = await this.#restore(blob);
      if (!best || encoding.psnr > best.psnr) best = encoding;
    }
    return best;
  }

  /** Bytes of the smallest file that the browser makes of the face, in any of the sizes. */
  async smallest(format: BrowserFormat): Promise<number> {
    const files = await Promise.all(this.#scaled.map((_, scale) => this.#file(format, scale, 0)));
    return Math.min(...files.map(({ size }) => size));
  }

  /** By bisection: the quality says how large a file gets, but for a few bytes. */
  async #largest(format: BrowserFormat, scale: number, maxBytes: number): Promise<Blob | null | 'unknown'> {
    let [low, high] = [0, QUALITIES.length - 1];
    let found: Blob | null = null;
    while (low <= high) {
      const middle = low + ((high - low) >> 1);
      const blob = await this.#file(format, scale, middle);
      if (blob.type !== `image/${format}`) return 'unknown'; // browsers write PNG in place of what they cannot
      if (blob.size <= maxBytes) {
        found = blob;
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return found;
  }

  #file(format: BrowserFormat, scale: number, quality: number): Promise<Blob> {
    const key = `${format} ${scale} ${quality}`;
    let file = this.#files.get(key);
    if (!file) {
      file = this.#write(this.#scaled[scale], `image/${format}`, QUALITIES[quality]);
      this.#files.set(key, file);
    }
    return file;
  }

  async #write(picture: RgbImage, type: string, quality: number): Promise<Blob> {
    const blob = await toFile(picture, type, quality);
    return this.profile || blob.type !== type ? blob : withoutProfile(blob);
  }

  #restore(blob: Blob): Promise<BrowserEncoding> {
    let one = this.#restored.get(blob);
    if (!one) {
      one = this.#decode(blob);
      this.#restored.set(blob, one);
    }
    return one;
  }

  async #decode(blob: Blob): Promise<BrowserEncoding> {
    const bitmap = await createImageBitmap(blob);
    const { width, height, data } = fromSource(bitmap, bitmap.width, bitmap.height);
    bitmap.close();
    const restored = width === FACE_WIDTH ? data : resampleRgb(data, width, height, FACE_WIDTH, FACE_HEIGHT);
    return { blob, restored, psnr: psnr(this.face, restored) };
  }
}
