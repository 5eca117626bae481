import { NoAdapterError } from '../src/common/errors.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { CodecRow } from './codec-row.js';
import { byId, elementWithin, explain, showText } from './dom.js';
import { compressFace, type FaceEncoding, restoreFace } from './face-encoding.js';
import { PageDetector } from './find-faces.js';
import { Latest } from './latest.js';
import { codecLoading, codecOn } from './models.js';
import { Newest } from './newest.js';
import { PhotoSlot } from './photo-slot.js';
import { show } from './picture.js';
import { Share } from './share.js';
import { FACE_TEXTS, inventedBare, inventedFile, inventedOriginal, type ShownFace } from './shown-face.js';
import { type Comparable, VerdictTable } from './verdicts.js';
import { Wipe } from './wipe.js';

interface Request {
  budget: number;
  face: ShownFace;
  second: Uint8Array | null;
  /** Whether JPEG and WebP keep the colour profile that the browser adds. */
  profile: boolean;
}

/** The comparison with other codecs and by the recogniser, which follows when the restored face is shown. */
interface Comparison extends Request {
  /** Null if Cameo could not encode the face. */
  encoding: FaceEncoding | null;
  /** The text about the encoding that the status shows at the end. */
  summary: string;
}

const RAW_BYTES = 3 * FACE_WIDTH * FACE_HEIGHT;

/** The first tab: a face, the face restored at a budget, and the comparison with other codecs and by the recogniser. */
export class FaceTab {
  readonly #slots: readonly [PhotoSlot, PhotoSlot];
  readonly #wipe = new Wipe();
  readonly #share = new Share();
  readonly #codecs = new CodecRow();
  readonly #verdicts: VerdictTable;
  readonly #budget = byId<HTMLInputElement>('budget');
  readonly #profile = byId<HTMLInputElement>('profile');
  readonly #status = byId('face-status');
  readonly #live: Newest<Request>;
  readonly #comparison: Latest<Comparison>;
  #face: ShownFace | null = null;

  /** @param onOwnFile is called with a file of Cameo's that is dropped or chosen where a photograph is expected */
  constructor(
    private readonly device: DeviceKeeper,
    onOwnFile: (file: File) => void,
  ) {
    const fail = (error: unknown): void => {
      this.#status.textContent = '';
      showText(byId('face-problem'), explain(error));
    };
    this.#live = new Newest((request) => this.#encode(request), fail);
    this.#comparison = new Latest((work, signal) => this.#compare(work, signal), fail);
    this.#verdicts = new VerdictTable(device);
    const detector = new PageDetector(device);
    this.#slots = [
      new PhotoSlot(byId('photo-1'), byId('face'), 'Photograph', detector, onOwnFile, () => {
        const { face: original, fileName: name } = this.#slots[0];
        if (original) this.#show({ from: 'photograph', original, name });
      }),
      new PhotoSlot(byId('photo-2'), byId('photo-2'), 'Second photograph', detector, onOwnFile, () => {
        if (this.#face?.from === 'photograph') this.#update();
        else showText(byId('verdict'), 'Choose the first photograph at the top. Then the two are compared.');
      }),
    ];
    this.#budget.addEventListener('input', () => {
      this.#showBudget();
      this.#update();
    });
    this.#profile.addEventListener('change', () => this.#update());
    this.#showBudget();
    codecLoading.onProgress = (loaded, total) => {
      const of = total > 0 ? ` of ${megabytes(total)}` : '';
      this.#status.textContent = `Loading the codec, once: ${megabytes(loaded)}${of}…`;
    };
  }

  /** The aligned faces of the photographs that the user has chosen. */
  get faces(): Uint8Array[] {
    return this.#slots.flatMap(({ face }) => (face ? [face] : []));
  }

  /** Shows the invented face: its bytes and QR code at once, and the restored face when weights and device are ready. */
  async showInvented(): Promise<void> {
    const file = inventedFile();
    this.#showBytes(file.length);
    await this.#share.show({ file, bare: inventedBare(), name: 'invented-face' });
    try {
      const original = await inventedOriginal(elementWithin<HTMLImageElement>(byId('wipe'), 'img'));
      if (this.#face) return; // the user has chosen a photograph meanwhile
      show(byId<HTMLCanvasElement>('original'), { width: FACE_WIDTH, height: FACE_HEIGHT, data: original });
      this.#show({ from: 'invented', original, name: 'invented-face' });
    } catch (error) {
      showText(byId('face-problem'), explain(error));
    }
  }

  /** Shows the face of a link, of which there are only the bytes and no original. */
  showLinked(bytes: Uint8Array): void {
    this.#share.hide();
    this.#show({ from: 'link', bytes, name: 'face' });
  }

  #show(face: ShownFace): void {
    this.#face = face;
    const { kind, note } = FACE_TEXTS[face.from];
    byId('face-kind').textContent = kind;
    byId('face-note').textContent = note;
    const compared = face.from !== 'link';
    this.#wipe.compare(compared);
    byId('photo-1').classList.toggle('linked', !compared);
    for (const id of ['budget-place', 'beside', 'second']) byId(id).hidden = !compared;
    // An address with another face would be misleading.
    if (face.from === 'photograph' && location.hash.startsWith('#face=')) history.replaceState(null, '', '.');
    if (face.from !== 'link') this.#codecs.showOriginal(face.original);
    this.#update();
  }

  #update(): void {
    if (!this.#face) return;
    this.#comparison.cancel();
    this.#live.request({
      budget: this.#budget.valueAsNumber,
      face: this.#face,
      second: this.#slots[1].face,
      profile: this.#profile.checked,
    });
  }

  #showBudget(): void {
    const text = `${this.#budget.value} bytes`;
    byId('budget-value').textContent = text;
    this.#budget.setAttribute('aria-valuetext', text);
  }

  #showBytes(bytes: number | null): void {
    byId('face-bytes').textContent = bytes === null ? '–' : String(bytes);
    byId('face-share').textContent =
      bytes === null
        ? ''
        : `1/${Math.round(RAW_BYTES / bytes)} of the picture's ${RAW_BYTES.toLocaleString('en')} bytes`;
  }

  async #encode(request: Request): Promise<void> {
    const { face, budget } = request;
    const known = face.from === 'link' ? face.bytes : this.#knownBytes(request);
    if (face !== this.#face) return;
    showText(byId('face-problem'), '');
    this.#status.textContent = performance.getEntriesByName('first-face').length > 0 ? '' : 'Starting the codec…';
    let encoding: FaceEncoding | null = null;
    let summary = '';
    try {
      encoding = await this.device.run(async (gpu) => {
        const codec = await codecOn(gpu);
        if (known) return restoreFace(codec, known);
        return compressFace(codec, 'original' in face ? face.original : face.bytes, budget);
      });
      if (face !== this.#face) return; // another face is shown meanwhile
      const bytes = encoding.file.length;
      summary = `Cameo: ${bytes} bytes.`;
      if (face.from !== 'link') {
        const quality = psnr(face.original, encoding.restored);
        summary = `Cameo: ${bytes} of ${budget} bytes, ${quality.toFixed(1)} dB.`;
        this.#codecs.showCameo(face.original, { restored: encoding.restored, bytes, psnr: quality });
      }
      this.#showRestored(encoding.restored, bytes);
      await this.#share.show({ file: encoding.file, bare: encoding.bare, name: face.name });
    } catch (error) {
      this.#showFailure(face, error);
      if (face !== this.#face) return;
    }
    this.#comparison.request({ ...request, encoding, summary });
  }

  /** The bytes of the invented face, which the page brings for the budget that it opens with; else null. */
  #knownBytes({ face, budget }: Request): Uint8Array | null {
    const file = inventedFile();
    return face.from === 'invented' && budget === Number(this.#budget.defaultValue) ? file : null;
  }

  #showRestored(data: Uint8Array, bytes: number): void {
    this.#showBytes(bytes);
    const canvas = byId<HTMLCanvasElement>('restored');
    canvas.setAttribute('aria-label', `The face that ${bytes} bytes restore`);
    show(canvas, { width: FACE_WIDTH, height: FACE_HEIGHT, data });
    byId('wipe').classList.add('ready');
    if (performance.getEntriesByName('first-face').length === 0) performance.mark('first-face');
  }

  /** Takes away the results, which are those of another face or budget, and shows the error. JPEG and WebP are still compared. */
  #showFailure(face: ShownFace, error: unknown): void {
    byId('wipe').classList.remove('ready');
    this.#showBytes(null);
    if (face.from === 'link') {
      showText(byId('link-problem'), `The face in the link cannot be restored: ${explain(error)}`);
      this.#face = null;
      void this.showInvented();
      return;
    }
    this.#codecs.showCameo(face.original, null);
    if (face.from === 'photograph') this.#share.hide();
    showText(
      byId('face-problem'),
      error instanceof NoAdapterError ? `Cameo cannot run here: ${error.message}` : explain(error),
    );
  }

  async #compare({ face, second, budget, profile, encoding, summary }: Comparison, signal: AbortSignal): Promise<void> {
    if (face.from === 'link') {
      this.#status.textContent = summary;
      return;
    }
    const compared: Comparable[] = await this.#codecs.showOthers(face.original, budget, profile, signal);
    if (face.from === 'photograph') {
      this.#status.textContent = `${summary} Asking the recogniser…`;
      if (encoding) {
        const restoredSecond = second && (await this.#restoredAt(second, budget));
        compared.unshift({ title: 'Cameo', a: encoding.restored, b: restoredSecond });
      }
      signal.throwIfAborted();
      await this.#verdicts.show({ a: face.original, b: second, compared }, signal);
    }
    this.#status.textContent = summary;
  }

  async #restoredAt(face: Uint8Array, budget: number): Promise<Uint8Array> {
    return this.device.run(async (gpu) => (await compressFace(await codecOn(gpu), face, budget)).restored);
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
