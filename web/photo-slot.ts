import type { RgbImage } from '../src/common/rgb-image.js';
import { alignFace, FACE_HEIGHT, FACE_WIDTH, type FaceLandmarks } from '../src/data/pictures/align.js';
import { fromCamera } from './camera.js';
import { elementWithin, explain, showText } from './dom.js';
import { onChoice, onDrop } from './drop-zone.js';
import { centred, findLandmarks } from './find-landmarks.js';
import { LandmarkEditor } from './landmark-editor.js';
import { readPicture, show } from './picture.js';

/** Pixels of the longer side of the picture as it is shown. */
const MAX_SHOWN = 1000;

/** A place for one photograph: chosen, dropped or taken, with its five landmarks and the aligned face. */
export class PhotoSlot {
  /** The aligned face of 96×112, RGB; null where there is none yet. */
  face: Uint8Array | null = null;
  /** Of the picture, without its extension: for the names of files. */
  fileName = 'face';
  readonly #root: HTMLElement;
  readonly #editor: LandmarkEditor;
  #picture: RgbImage | null = null;
  /** The picture again, to draw parts of. */
  readonly #source = new OffscreenCanvas(1, 1);
  #zoomed = false;
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
    this.#root = elementWithin(copy, '.slot');
    const heading = elementWithin(this.#root, 'h3');
    heading.textContent = title;
    this.#root.setAttribute('role', 'group');
    this.#root.setAttribute('aria-label', title);
    elementWithin(this.#root, '.note').textContent = note;
    const input = elementWithin<HTMLInputElement>(this.#root, 'input');
    input.setAttribute('aria-label', `${title}: choose a picture`);
    elementWithin(this.#root, '.camera').setAttribute('aria-label', `${title}: use the camera`);
    onChoice(input, ([file]) => void this.#load(() => readPicture(file, file.name), file.name));
    onDrop(this.#root, ([file]) => void this.#load(() => readPicture(file, file.name), file.name));
    elementWithin(this.#root, '.camera').addEventListener('click', () => {
      void this.#load(() => fromCamera(title, 'user'), 'camera');
    });
    elementWithin(this.#root, '.reset').addEventListener('click', () => {
      const { width, height } = this.#picture!;
      this.#zoomed = false;
      this.#place(centred(width, height));
      this.#align();
    });
    elementWithin(this.#root, '.zoom').addEventListener('click', () => {
      this.#zoomed = !this.#zoomed;
      this.#place(this.#editor.points);
    });
    for (const button of this.#root.querySelectorAll<HTMLElement>('[data-scale]')) {
      button.addEventListener('click', () => {
        this.#editor.turn(Number(button.dataset.scale), Number(button.dataset.angle));
      });
    }
    this.#editor = new LandmarkEditor(
      elementWithin(this.#root, '.stage'),
      () => this.#alignSoon(),
      (text) => (elementWithin(this.#root, '.moved').textContent = text),
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
      show(this.#source, picture);
      elementWithin(this.#root, '.photo').setAttribute(
        'aria-label',
        `${this.title}: ${name}, ${width} by ${height} pixels`,
      );
      elementWithin(this.#root, '.placed').hidden = false;
      this.#root.classList.toggle('aligned', aligned);
      this.#zoomed = false;
      this.#place(points);
      showText(
        elementWithin(this.#root, '.hint'),
        aligned
          ? 'A picture of 96×112 is taken as an aligned face: there is nothing to place.'
          : found
            ? 'The browser found a face. Check the five points.'
            : 'Place the five points: drag the face by its large handle first, zoom in, then drag each point.',
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

  /** Shows the picture, or the part around the points, and the points on it. */
  #place(points: FaceLandmarks): void {
    const { width, height } = this.#picture!;
    const whole = { x: 0, y: 0, width, height };
    const view = this.#zoomed ? this.#editor.around(width, height) : whole;
    const canvas = elementWithin<HTMLCanvasElement>(this.#root, '.photo');
    const scale = Math.min(MAX_SHOWN / Math.max(view.width, view.height), this.#zoomed ? 8 : 1);
    canvas.width = Math.max(1, Math.round(view.width * scale));
    canvas.height = Math.max(1, Math.round(view.height * scale));
    const context = canvas.getContext('2d', { alpha: false })!;
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.#source, view.x, view.y, view.width, view.height, 0, 0, canvas.width, canvas.height);
    this.#editor.place(points, view);
    const zoom = elementWithin(this.#root, '.zoom');
    zoom.textContent = this.#zoomed ? 'Zoom out' : 'Zoom in';
    zoom.setAttribute('aria-pressed', String(this.#zoomed));
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
    show(elementWithin<HTMLCanvasElement>(this.#root, '.crop'), {
      width: FACE_WIDTH,
      height: FACE_HEIGHT,
      data: this.face!,
    });
    this.onFace();
  }

  #say(text: string): void {
    showText(elementWithin(this.#root, '.problem'), text);
  }
}
