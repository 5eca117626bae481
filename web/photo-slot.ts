import { ImageError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { alignFace, FACE_HEIGHT, FACE_WIDTH, type FaceLandmarks } from '../src/detection/align.js';
import type { DetectedFace } from '../src/detection/face-detector.js';
import { takePhoto } from './camera.js';
import { byId, elementWithin, explain, showText } from './dom.js';
import { isFaceContainer, onChoice, onDrop } from './drop-zone.js';
import { FaceBoxes } from './face-boxes.js';
import { centred, type PageDetector, whyNoFaces } from './find-faces.js';
import { LandmarkEditor, viewAround } from './landmark-editor.js';
import { readPicture, show } from './picture.js';

/** The most pixels of the longer side of the picture that is shown. */
const MAX_SHOWN = 1000;
/** The least pixels of a side; in a smaller picture, the five points of a face cannot be told apart. */
const MIN_SIDE = 8;
const BY_HAND = 'Place the five points: drag the face by its large handle first, zoom in, then drag each point.';

/** The landmarks of one face in the picture: as they were found, and as the user has moved them. */
interface FacePoints {
  readonly first: FaceLandmarks;
  now: FaceLandmarks;
}

/** The section of one photograph, which the user chooses, drops or takes, with its five landmarks and the aligned face. */
export class PhotoSlot {
  /** The aligned face, RGB, 96×112; null before there is one. */
  face: Uint8Array | null = null;
  /** The name of the picture without its extension, for the names of downloaded files. */
  fileName = 'face';
  readonly #root: HTMLElement;
  readonly #editor: LandmarkEditor;
  readonly #boxes: FaceBoxes;
  #picture: RgbImage | null = null;
  #name = 'face';
  /** The points of each face that was found, or of one face in the middle. */
  #places: FacePoints[] = [];
  #chosen = 0;
  /** The picture on a canvas, from which parts are drawn. */
  readonly #source = new OffscreenCanvas(1, 1);
  #zoomed = false;
  #alignPending = false;
  #loads = 0;

  /**
   * @param root the section's element; see index.html
   * @param zone the element on which pictures may be dropped
   * @param onOwnFile is called with a file of Cameo's that comes in place of a picture
   * @param onFace is called when there is another aligned face
   */
  constructor(
    root: HTMLElement,
    zone: HTMLElement,
    private readonly title: string,
    private readonly detector: PageDetector,
    private readonly onOwnFile: (file: File) => void,
    private readonly onFace: () => void,
  ) {
    this.#root = root;
    this.#part('.placed').append(byId<HTMLTemplateElement>('placing').content.cloneNode(true));
    this.#editor = new LandmarkEditor(
      this.#part('.stage'),
      (points) => {
        this.#places[this.#chosen].now = points;
        this.#alignSoon();
      },
      (text) => (this.#part('.moved').textContent = text),
    );
    this.#boxes = new FaceBoxes(this.#part('.boxes'), (face) => this.#choose(face));
    this.#listen(zone);
  }

  #listen(zone: HTMLElement): void {
    const input = this.#part<HTMLInputElement>('[type=file]');
    input.setAttribute('aria-label', `${this.title}: choose a picture`);
    onChoice(input, ([file]) => void this.#open(file));
    onDrop(zone, ([file]) => void this.#open(file));
    const camera = this.#part('.camera');
    camera.setAttribute('aria-label', `${this.title}: use the camera`);
    camera.addEventListener('click', () => {
      void this.#load(() => takePhoto(this.title, this.detector), 'camera');
    });
    this.#part('.by-hand').addEventListener('click', () => this.#placeFaces([], BY_HAND));
    this.#part('.reset').addEventListener('click', () => {
      const place = this.#places[this.#chosen];
      place.now = place.first;
      this.#zoomed = false;
      this.#draw();
      this.#align();
    });
    this.#part('.zoom').addEventListener('click', () => {
      this.#zoomed = !this.#zoomed;
      this.#draw();
    });
    for (const button of this.#root.querySelectorAll<HTMLElement>('[data-scale]')) {
      button.addEventListener('click', () => {
        this.#editor.turn(Number(button.dataset.scale), Number(button.dataset.angle));
      });
    }
  }

  async #open(file: File): Promise<void> {
    if (await isFaceContainer(file)) this.onOwnFile(file);
    else await this.#load(() => readPicture(file, file.name), file.name);
  }

  /** Shows the picture that `read` gives, unless the user has chosen another one meanwhile, and searches it for faces. */
  async #load(read: () => Promise<RgbImage | null>, name: string): Promise<void> {
    const load = ++this.#loads;
    this.#say('');
    try {
      const picture = await read();
      if (!picture || load !== this.#loads) return;
      this.#show(picture, name);
    } catch (error) {
      if (load === this.#loads) this.#say(explain(error));
    }
  }

  /** @throws ImageError for a picture that is too small to hold a face */
  #show(picture: RgbImage, name: string): void {
    const { width, height, data } = picture;
    if (Math.min(width, height) < MIN_SIDE) {
      throw new ImageError(
        `${name}: the picture is ${width}×${height}, too small to hold a face; at least ${MIN_SIDE}×${MIN_SIDE} is needed`,
      );
    }
    const aligned = width === FACE_WIDTH && height === FACE_HEIGHT;
    this.#picture = picture;
    this.#name = name;
    show(this.#source, picture);
    this.#part('.photo').setAttribute('aria-label', `${this.title}: ${name}, ${width} by ${height} pixels`);
    this.#part('.placed').hidden = false;
    this.#root.classList.toggle('aligned', aligned);
    this.#placeAt([centred(width, height)]);
    this.#setLooking(!aligned);
    if (aligned) {
      this.#hint('A picture of 96×112 counts as an aligned face, so there are no points to place.');
      this.#take(data);
    } else {
      this.#hint('Looking for faces…');
      void this.#find(picture);
    }
  }

  async #find(picture: RgbImage): Promise<void> {
    let faces: DetectedFace[] = [];
    let hint = `No face was found. ${BY_HAND}`;
    try {
      faces = await this.detector.inPicture(picture);
      if (faces.length === 1) hint = 'A face was found.';
      if (faces.length > 1) {
        hint = `${faces.length} faces were found, and the largest is chosen. Choose another by its box.`;
      }
    } catch (error) {
      hint = `${whyNoFaces(error)} ${BY_HAND}`;
    }
    // Meanwhile the user may have chosen another picture, or place the points by hand.
    if (picture === this.#picture && this.#looking) this.#placeFaces(faces, hint);
  }

  /** Whether a search for faces runs; the points are hidden then. */
  get #looking(): boolean {
    return this.#root.classList.contains('looking');
  }

  #setLooking(looking: boolean): void {
    this.#root.classList.toggle('looking', looking);
    this.#part('.waiting').hidden = !looking;
  }

  /** Ends the search. @param faces the largest first; if there is none, the points start in the middle */
  #placeFaces(faces: readonly DetectedFace[], hint: string): void {
    const focused = document.activeElement === this.#part('.by-hand'); // which is now hidden
    this.#setLooking(false);
    this.#root.classList.toggle('found', faces.length > 0);
    this.#hint(hint);
    if (faces.length > 0) {
      this.#placeAt(
        faces.map(({ landmarks }) => landmarks),
        faces,
      );
    }
    this.#part<HTMLDetailsElement>('.tools-place').open = faces.length === 0;
    this.#part('.reset').textContent = faces.length > 0 ? 'As found' : 'To the middle';
    if (focused) this.#part(faces.length > 1 ? '.box' : '.handle.whole').focus();
    this.#align();
  }

  /** Sets the points of each face, and shows those of the first. */
  #placeAt(points: readonly FaceLandmarks[], faces: readonly DetectedFace[] = []): void {
    this.#places = points.map((first) => ({ first, now: first }));
    this.#chosen = 0;
    this.#zoomed = false;
    this.#boxes.show(faces);
    this.#draw();
  }

  #choose(face: number): void {
    this.#chosen = face;
    this.#draw();
    this.#align();
  }

  /** Shows the picture, or the part around the points, and on it the boxes and the points. */
  #draw(): void {
    const { width, height } = this.#picture!;
    const whole = { x: 0, y: 0, width, height };
    const points = this.#places[this.#chosen].now;
    const view = this.#zoomed ? viewAround(points, width, height) : whole;
    const canvas = this.#part<HTMLCanvasElement>('.photo');
    const scale = Math.min(MAX_SHOWN / Math.max(view.width, view.height), this.#zoomed ? 8 : 1);
    canvas.width = Math.max(1, Math.round(view.width * scale));
    canvas.height = Math.max(1, Math.round(view.height * scale));
    const context = canvas.getContext('2d', { alpha: false })!;
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.#source, view.x, view.y, view.width, view.height, 0, 0, canvas.width, canvas.height);
    this.#editor.place(points, view);
    this.#boxes.place(view);
    const zoom = this.#part('.zoom');
    zoom.textContent = this.#zoomed ? 'Zoom out' : 'Zoom in';
    zoom.setAttribute('aria-pressed', String(this.#zoomed));
  }

  /** Aligns at the next frame, so only once per frame however often a point moves. */
  #alignSoon(): void {
    if (this.#alignPending) return;
    this.#alignPending = true;
    const picture = this.#picture;
    requestAnimationFrame(() => {
      this.#alignPending = false;
      if (picture === this.#picture && !this.#looking) this.#align();
    });
  }

  #align(): void {
    try {
      const { data } = alignFace(this.#picture!, this.#places[this.#chosen].now);
      this.#say('');
      this.#take(data);
    } catch (error) {
      this.#say(explain(error)); // the last aligned face stays until the points are again those of a face
    }
  }

  /** Shows an aligned face, and calls `onFace`. */
  #take(face: Uint8Array): void {
    this.face = face;
    this.#root.classList.add('filled');
    this.fileName = this.#name.replace(/\.[^.]*$/, '') || 'face';
    show(this.#part<HTMLCanvasElement>('.crop'), { width: FACE_WIDTH, height: FACE_HEIGHT, data: face });
    this.onFace();
  }

  #hint(text: string): void {
    this.#part('.hint').textContent = text;
  }

  #say(text: string): void {
    showText(this.#part('.problem'), text);
  }

  #part<T extends HTMLElement = HTMLElement>(selector: string): T {
    return elementWithin<T>(this.#root, selector);
  }
}
