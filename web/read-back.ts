import type { FaceCollection } from '../src/codec/container/face-archive.js';
import type { FaceCodec } from '../src/codec/face-codec.js';
import { CameoError, FormatError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { searchFrames } from './camera.js';
import { byId, explain, showText } from './dom.js';
import { onChoice, onDrop } from './drop-zone.js';
import type { FoundFaces } from './face-files.js';
import { codecOn, pngCodecOn } from './models.js';
import { show } from './picture.js';

/** The most faces of an archive that the list shows by name; the user chooses others by their number. */
const MAX_LISTED = 500;

/** The face in the QR code in a frame; null if there is no code, or a code without a face, so that the search goes on. */
function faceInFrame(bytesOf: (frame: RgbImage) => Uint8Array, frame: RgbImage, codec: FaceCodec): FoundFaces | null {
  try {
    const bytes = bytesOf(frame);
    codec.unpack(bytes);
    return { kind: 'face', bytes, from: 'the QR code before the camera' };
  } catch (error) {
    if (error instanceof CameoError) return null;
    throw error;
  }
}

/** The section that restores faces from files of every kind, pictures of QR codes, and the camera. */
export class ReadBack {
  readonly #status = byId('read-status'); // never hidden; otherwise screen readers would not read its first text aloud
  readonly #choice = byId<HTMLSelectElement>('read-choice');
  readonly #number = byId<HTMLInputElement>('read-number');
  #archive: { faces: FaceCollection; from: string } | null = null;
  #reads = 0;

  constructor(private readonly device: DeviceKeeper) {
    onChoice(byId<HTMLInputElement>('read-file'), ([file]) => this.open(file));
    onDrop(byId('read'), ([file]) => this.open(file));
    byId('read-camera').addEventListener('click', () => {
      void this.#read(async () => {
        const codec = await codecOn(await this.device.open());
        const { codeInFrame } = await import('./face-files.js');
        return searchFrames('Hold the QR code before the camera', (frame) => faceInFrame(codeInFrame, frame, codec));
      });
    });
    this.#choice.addEventListener('change', () => this.#choose(Number(this.#choice.value)));
    this.#number.addEventListener('change', () => this.#choose(this.#number.valueAsNumber - 1));
  }

  /** Reads a file, and brings the section into view. */
  open(file: File): void {
    byId('read').scrollIntoView({ block: 'nearest' });
    void this.#read(async () => (await import('./face-files.js')).facesIn(file));
  }

  async #read(find: () => Promise<FoundFaces | null>): Promise<void> {
    byId('read-faces').hidden = true;
    this.#archive = null;
    await this.#show(async (newer) => {
      const found = await find();
      if (!found || newer()) return null;
      if (found.kind !== 'archive') return { face: await this.#restore(found), from: found.from, bytes: found.bytes };
      if (found.faces.count === 0) throw new FormatError(`${found.from}: the archive has no faces`);
      this.#archive = found;
      if (!(await this.#list(found.faces, newer))) return null;
      return this.#faceOf(found, 0);
    });
  }

  #choose(k: number): void {
    const archive = this.#archive;
    if (archive) void this.#show(() => this.#faceOf(archive, k));
  }

  /** Shows the face that `find` gives, unless the user has asked for another one meanwhile. @param find gets a function that tells so */
  async #show(
    find: (newer: () => boolean) => Promise<{ face: Uint8Array; from: string; bytes: { length: number } } | null>,
  ): Promise<void> {
    const read = ++this.#reads;
    const newer = (): boolean => read !== this.#reads;
    showText(byId('read-problem'), '');
    byId('read-place').hidden = true;
    this.#status.textContent = 'Reading…';
    try {
      const restored = await find(newer);
      if (newer()) return;
      this.#status.textContent = '';
      if (!restored) return;
      show(byId<HTMLCanvasElement>('read-face'), { width: FACE_WIDTH, height: FACE_HEIGHT, data: restored.face });
      byId('read-place').hidden = false;
      this.#status.textContent = `Restored from ${restored.from}: ${restored.bytes.length} bytes.`;
    } catch (error) {
      if (newer()) return;
      this.#status.textContent = '';
      showText(byId('read-problem'), explain(error));
    }
  }

  async #restore({ kind, bytes }: { kind: 'face' | 'png'; bytes: Uint8Array }): Promise<Uint8Array> {
    const [face] = await this.device.run(async (gpu) =>
      (kind === 'png' ? await pngCodecOn(gpu) : await codecOn(gpu)).decode([bytes]),
    );
    return face;
  }

  async #faceOf({ faces, from }: { faces: FaceCollection; from: string }, k: number) {
    const name = (await faces.name(k)) ?? `face ${k + 1}`; // throws if there is no face k
    const entry = await faces.entry(k);
    const [face] = await this.device.run(async (gpu) => {
      const codec = await codecOn(gpu);
      return codec.restore([await faces.face(k, codec.latents)]);
    });
    return { face, from: `${name}, ${k + 1} of ${faces.count} in ${from}`, bytes: { length: entry.bytes } };
  }

  /**
   * Offers the faces of an archive by name, and also by number if there are many.
   * @returns false if the user has asked for another file meanwhile
   */
  async #list(faces: FaceCollection, newer: () => boolean): Promise<boolean> {
    const listed = Math.min(faces.count, MAX_LISTED);
    const options: HTMLOptionElement[] = [];
    for (let k = 0; k < listed; k++) {
      const name = await faces.name(k).catch(() => undefined); // choosing this face will show the error
      options.push(new Option(name ?? `face ${k + 1}`, String(k)));
    }
    if (newer()) return false;
    this.#choice.replaceChildren(...options);
    this.#number.max = String(faces.count);
    this.#number.value = '1';
    byId('read-many').hidden = faces.count <= MAX_LISTED;
    byId('read-faces').hidden = false;
    return true;
  }
}
