import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { BrowserEncoder, type BrowserFormat } from './browser-codecs.js';
import { byId } from './dom.js';
import { ResultCards } from './result-cards.js';
import type { Comparable } from './verdicts.js';

const FORMATS: readonly { format: BrowserFormat; title: string }[] = [
  { format: 'jpeg', title: 'JPEG' },
  { format: 'webp', title: 'WebP' },
];

/** A face as Cameo restores it, for the row of cards. */
export interface CameoResult {
  restored: Uint8Array;
  bytes: number;
  psnr: number;
}

/** The row of cards: the original, Cameo, and the browser's own encoders at the same bytes. */
export class CodecRow {
  readonly #cards = new ResultCards(byId('cards'));
  #encoder: BrowserEncoder | null = null;

  showOriginal(face: Uint8Array): void {
    this.#cards.show('original', { title: 'Original', face, note: `${FACE_WIDTH}×${FACE_HEIGHT} pixels` });
  }

  /** @param result null if Cameo could not encode the face */
  showCameo(original: Uint8Array, result: CameoResult | null): void {
    if (!result) {
      this.#cards.remove('cameo');
      return;
    }
    const { restored, bytes, psnr } = result;
    this.#cards.show('cameo', { title: 'Cameo', face: restored, original, bytes, psnr });
  }

  /**
   * Shows JPEG and WebP at a budget.
   * @param profile whether files keep the colour profile that the browser adds
   * @returns the restored face of each format that has a file within the budget
   */
  async showOthers(face: Uint8Array, budget: number, profile: boolean, signal: AbortSignal): Promise<Comparable[]> {
    if (this.#encoder?.face !== face || this.#encoder.profile !== profile)
      this.#encoder = new BrowserEncoder(face, profile);
    const compared: Comparable[] = [];
    for (const { format, title } of FORMATS) {
      const encoding = await this.#encoder.encode(format, budget, signal);
      signal.throwIfAborted();
      if (encoding === 'unknown') {
        this.#cards.show(format, { title, note: `This browser writes no ${title}.` });
      } else if (!encoding) {
        const note = `This browser's encoder makes no file this small: its smallest of this face has ${await this.#encoder.smallest(format)} bytes.`;
        this.#cards.show(format, { title, note });
      } else {
        const { restored, blob, psnr } = encoding;
        this.#cards.show(format, { title, face: restored, original: face, bytes: blob.size, psnr });
        compared.push({ title, a: restored });
      }
    }
    return compared;
  }
}
