import { alignFace, FACE_HEIGHT, FACE_WIDTH } from '../src/data/align.js';
import type { RgbImage } from '../src/data/rgb-image.js';
import { fromCamera } from './camera.js';
import { explain, showText, within } from './dom.js';
import { onChoice, onDrop } from './drop-zone.js';
import { centred, findLandmarks } from './find-landmarks.js';
import { LandmarkEditor } from './landmark-editor.js';
import { readPicture, show } from './picture.js';

/** A place for one photograph: chosen, dropped or taken, with its five landmarks and the aligned face. */
export class PhotoSlot {
  /** The aligned face of 96×112, RGB; null where there is none yet. */
  face: Uint8Array | null = null;
  /** Of the picture, without its extension: for the names of files. */
  fileName = 'face';
  readonly #root: HTMLElement;
  readonly #editor: LandmarkEditor;
  #picture: RgbImage | null = null;
  #drawn = true;
  #loads = 0;

  /** @param template markup of a slot; see index.html */
  constructor(
    template: HTMLTemplateElement,
    private readonly title: string,
    note: string,
    private readonly onFace: () => void,
  ) {
    const copy = template.content.cloneNode(true) as DocumentFragment;
    this.#root = within(copy, '.slot');
    const heading = within(this.#root, 'h3');
    heading.textContent = title;
    this.#root.setAttribute('role', 'group');
    this.#root.setAttribute('aria-label', title);
    within(this.#root, '.note').textContent = note;
    const input = within<HTMLInputElement>(this.#root, 'input');
    input.setAttribute('aria-label', `${title}: choose a picture`);
    within(this.#root, '.camera').setAttribute('aria-label', `${title}: use the camera`);
    onChoice(input, ([file]) => void this.#load(() => readPicture(file, file.name), file.name));
    onDrop(this.#root, ([file]) => void this.#load(() => readPicture(file, file.name), file.name));
    within(this.#root, '.camera').addEventListener('click', () => {
      void this.#load(() => fromCamera(title, 'user'), 'camera');
    });
    within(this.#root, '.reset').addEventListener('click', () => {
      const { width, height } = this.#picture!;
      this.#editor.place(width, height, centred(width, height));
      this.#align();
    });
    this.#editor = new LandmarkEditor(
      within(this.#root, '.stage'),
      () => this.#alignSoon(),
      (text) => (within(this.#root, '.moved').textContent = text),
    );
    template.before(copy);
  }

  /** Shows the picture that `read` gives, unless another one was asked for since. */
  async #load(read: () => Promise<RgbImage | null>, name: string): Promise<void> {
    const load = ++this.#loads;
    this.#say('');
    try {
      const picture = await read();
      if (!picture || load !== this.#loads) return;
      const { width, height, data } = picture;
      const aligned = width === FACE_WIDTH && height === FACE_HEIGHT;
      const { points, found } = aligned
        ? { points: centred(width, height), found: true }
        : await findLandmarks(picture);
      if (load !== this.#loads) return;
      this.#picture = picture;
      this.fileName = name.replace(/\.[^.]*$/, '') || 'face';
      const canvas = within<HTMLCanvasElement>(this.#root, '.photo');
      show(canvas, picture);
      canvas.setAttribute('aria-label', `${this.title}: ${name}, ${width} by ${height} pixels`);
      within(this.#root, '.placed').hidden = false;
      this.#root.classList.toggle('aligned', aligned);
      this.#editor.place(width, height, points);
      showText(
        within(this.#root, '.hint'),
        aligned
          ? 'A picture of 96×112 is taken as an aligned face: there is nothing to place.'
          : found
            ? 'The browser found a face. Check the five points.'
            : 'Place the five points: drag the face by its large handle first, then each point.',
      );
      if (aligned) {
        this.face = data;
        this.#showCrop();
      } else {
        this.#align();
      }
    } catch (error) {
      if (load === this.#loads) this.#say(explain(error));
    }
  }

  /** Once a frame, however often a point moves. */
  #alignSoon(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    requestAnimationFrame(() => {
      this.#drawn = true;
      this.#align();
    });
  }

  #align(): void {
    try {
      this.face = alignFace(this.#picture!, this.#editor.points).data;
      this.#say('');
      this.#showCrop();
    } catch (error) {
      this.#say(explain(error)); // the face before stays, until the points are those of one again
    }
  }

  #showCrop(): void {
    show(within<HTMLCanvasElement>(this.#root, '.crop'), {
      width: FACE_WIDTH,
      height: FACE_HEIGHT,
      data: this.face!,
    });
    this.onFace();
  }

  #say(text: string): void {
    showText(within(this.#root, '.problem'), text);
  }
}
