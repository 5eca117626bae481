import type { RgbImage } from '../src/common/rgb-image.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { resampleRgb } from '../src/evaluation/codecs/resample.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import { withoutProfile } from './colour-profile.js';
import { fromSource, toFile } from './picture.js';

export type BrowserFormat = 'jpeg' | 'webp';

/** A face as the browser's encoder writes it. */
export interface BrowserEncoding {
  blob: Blob;
  /** The decoded face, RGB, scaled back to the size of the face. */
  restored: Uint8Array;
  psnr: number;
}

/** Faces are also encoded at smaller sizes and enlarged again, which is better at low rates. */
const SCALES = [1, 0.8, 0.65, 0.5, 0.35];
/** Quality 1 is left out, because at 1 Chromium's WebP is lossless. */
const QUALITIES = Array.from({ length: 100 }, (_, percent) => percent / 100);

/** Encodes one face with the browser's own encoders. Files are kept, so that another budget costs little. */
export class BrowserEncoder {
  readonly #files = new Map<string, Promise<Blob>>();
  readonly #restored = new Map<Blob, Promise<BrowserEncoding>>();
  readonly #scaled: RgbImage[];

  /** @param profile whether files keep the colour profile that the browser adds */
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
   * The file of at most `maxBytes` with the highest PSNR.
   * @returns null if the browser makes no file that small; 'unknown' if it cannot write the format
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

  /** Bytes of the smallest file that the browser makes of the face, over all sizes. */
  async smallest(format: BrowserFormat): Promise<number> {
    const files = await Promise.all(this.#scaled.map((_, scale) => this.#file(format, scale, 0)));
    return Math.min(...files.map(({ size }) => size));
  }

  /** The file of the highest quality that fits, by bisection. A file grows with its quality, except for a few bytes. */
  async #largest(format: BrowserFormat, scale: number, maxBytes: number): Promise<Blob | null | 'unknown'> {
    let [low, high] = [0, QUALITIES.length - 1];
    let largest: Blob | null = null;
    while (low <= high) {
      const middle = low + ((high - low) >> 1);
      const blob = await this.#file(format, scale, middle);
      if (blob.type !== `image/${format}`) return 'unknown'; // browsers write PNG instead of a format that they do not know
      if (blob.size <= maxBytes) {
        largest = blob;
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return largest;
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
    let encoding = this.#restored.get(blob);
    if (!encoding) {
      encoding = this.#decode(blob);
      this.#restored.set(blob, encoding);
    }
    return encoding;
  }

  async #decode(blob: Blob): Promise<BrowserEncoding> {
    const bitmap = await createImageBitmap(blob);
    const { width, height, data } = fromSource(bitmap, bitmap.width, bitmap.height);
    bitmap.close();
    const restored = width === FACE_WIDTH ? data : resampleRgb(data, width, height, FACE_WIDTH, FACE_HEIGHT);
    return { blob, restored, psnr: psnr(this.face, restored) };
  }
}
