import { QR_CAPACITY, qrModules, qrPicture } from '../src/data/pictures/qr-code.js';
import { byId, explain, offer, showText } from './dom.js';
import { linkTo } from './face-link.js';
import { show, toFile } from './picture.js';

/** Pixels per module of the QR code; with whole pixels, screens and printers scale it well. */
const SCALE = 6;
/** Host names that mean this machine, so that other devices cannot open the link. */
const LOCAL = /^(localhost|127\.|\[::1\])/;

/** A face to share. */
export interface SharedFace {
  /** The .cameo file. */
  file: Uint8Array;
  bare: Uint8Array;
  /** The name of the offered files, without extension. */
  name: string;
}

/** The section that shares a face as a QR code, as a link, and as a file. */
export class Share {
  #face: SharedFace | null = null;
  readonly #link = byId<HTMLInputElement>('link');

  constructor() {
    for (const choice of document.querySelectorAll('[name=qr-holds]')) {
      choice.addEventListener('change', () => void this.#draw());
    }
    byId<HTMLInputElement>(LOCAL.test(location.hostname) ? 'qr-face' : 'qr-link').checked = true;
    showText(
      byId('link-local'),
      LOCAL.test(location.hostname) ? 'This page is served by your own machine, so the link opens only there.' : '',
    );
    byId('copy-link').addEventListener('click', () => void this.#copy());
  }

  async show(face: SharedFace): Promise<void> {
    this.#face = face;
    this.#link.value = linkTo(face.bare, location.href);
    byId('copied').textContent = '';
    byId('link-length').textContent = `${this.#link.value.length} characters, which include the whole face.`;
    offer(byId<HTMLAnchorElement>('download-file'), face.file, `${face.name}.cameo`);
    byId('share').hidden = false;
    await this.#draw();
  }

  hide(): void {
    this.#face = null;
    byId('share').hidden = true;
  }

  async #draw(): Promise<void> {
    const face = this.#face;
    if (!face) return;
    const asLink = byId<HTMLInputElement>('qr-link').checked;
    const content = asLink ? new TextEncoder().encode(this.#link.value) : face.bare;
    const fits = content.length <= QR_CAPACITY.medium;
    for (const id of ['qr', 'qr-download']) byId(id).hidden = !fits;
    if (!fits) {
      const largest = `a QR code holds ${QR_CAPACITY.medium.toLocaleString('en')}`;
      showText(byId('qr-caption'), `${content.length.toLocaleString('en')} bytes are too many: ${largest}.`);
      return;
    }
    const modules = qrModules(content);
    const picture = qrPicture(modules, SCALE);
    const side = modules.length - 8;
    const canvas = byId<HTMLCanvasElement>('qr');
    show(canvas, picture);
    const what = asLink ? 'a link with the face' : 'the face';
    canvas.setAttribute(
      'aria-label',
      `QR code of ${side} by ${side} modules that holds ${what} in ${content.length} bytes`,
    );
    showText(
      byId('qr-caption'),
      asLink
        ? `A camera opens the link: ${content.length} bytes, ${side}×${side} modules.`
        : `${content.length} bytes in the bare container, ${side}×${side} modules, error correction M. “Read a face back” below reads it.`,
    );
    const png = await toFile(picture, 'image/png');
    if (face === this.#face) offer(byId<HTMLAnchorElement>('qr-download'), png, `${face.name}-qr.png`);
  }

  async #copy(): Promise<void> {
    const status = byId('copied');
    try {
      await navigator.clipboard.writeText(this.#link.value);
      status.textContent = 'Copied.';
    } catch (error) {
      this.#link.select();
      status.textContent = `The browser did not copy the link (${explain(error)}). It is selected, so you can copy it yourself.`;
    }
  }
}
