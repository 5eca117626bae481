import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { show } from './picture.js';

/** Differences are multiplied by this, and shown on grey. */
export const DIFFERENCE_GAIN = 4;

export interface Card {
  title: string;
  /** The face to show, RGB, 96×112; a card without a face shows only the note. */
  face?: Uint8Array;
  /** The face before compression, for the picture of the difference. */
  original?: Uint8Array;
  bytes?: number;
  psnr?: number;
  note?: string;
}

/** Cards side by side, each with a face, its bytes, its PSNR and its difference from the original. */
export class ResultCards {
  constructor(private readonly place: HTMLElement) {}

  /** Shows a card in place of the one with the same key, or after the others. */
  show(key: string, { title, face, original, bytes, psnr, note }: Card): void {
    const card = document.createElement('figure');
    card.className = 'card';
    card.dataset.key = key;
    const pictures: HTMLElement[] = [];
    if (face) pictures.push(picture(face, psnr === undefined ? title : `${title} at ${psnr.toFixed(1)} dB`));
    if (face && original) pictures.push(picture(difference(original, face), `${title}: difference from the original`));
    const caption = document.createElement('figcaption');
    const heading = document.createElement('strong');
    heading.textContent = title;
    const lines = [
      ...(bytes === undefined ? [] : [`${bytes} bytes`]),
      ...(psnr === undefined ? [] : [`${psnr.toFixed(2)} dB PSNR`]),
      ...(note ? [note] : []),
    ];
    caption.append(
      heading,
      ...lines.map((text) => Object.assign(document.createElement('span'), { textContent: text })),
    );
    if (pictures.length === 0) {
      const none = Object.assign(document.createElement('div'), { className: 'none', textContent: 'no file' });
      none.setAttribute('aria-hidden', 'true'); // the note says so
      pictures.push(none);
    }
    card.append(caption, ...pictures);
    const before = this.place.querySelector(`[data-key="${key}"]`);
    if (before) before.replaceWith(card);
    else this.place.append(card);
  }

  remove(key: string): void {
    this.place.querySelector(`[data-key="${key}"]`)?.remove();
  }
}

function picture(data: Uint8Array, label: string): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', label);
  show(canvas, { width: FACE_WIDTH, height: FACE_HEIGHT, data });
  return canvas;
}

function difference(original: Uint8Array, restored: Uint8Array): Uint8Array {
  // The clamped array rounds, and clamps to 0 … 255.
  const values = Uint8ClampedArray.from(original, (value, i) => 128 + DIFFERENCE_GAIN * (restored[i] - value));
  return new Uint8Array(values.buffer);
}
