import { NoAdapterError } from '../src/common/errors.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { BrowserEncoder, type BrowserFormat } from './browser-codecs.js';
import { byId, explain, offer, showText } from './dom.js';
import { encodeFaces } from './face-encoding.js';
import { PageDetector } from './find-faces.js';
import { Latest } from './latest.js';
import { codecOn } from './models.js';
import { PhotoSlot } from './photo-slot.js';
import { showQr } from './qr-view.js';
import { ResultCards } from './result-cards.js';
import { type Comparable, VerdictTable } from './verdicts.js';

interface Request {
  budget: number;
  a: Uint8Array;
  b: Uint8Array | null;
  /** Whether JPEG and WebP keep the colour profile that the browser adds. */
  profile: boolean;
  name: string;
}

const FORMATS: readonly { format: BrowserFormat; title: string }[] = [
  { format: 'jpeg', title: 'JPEG' },
  { format: 'webp', title: 'WebP' },
];

/** The first tab: photographs, budget, and what codecs and recogniser make of them. */
export class FaceTab {
  readonly #slots: PhotoSlot[];
  readonly #cards = new ResultCards(byId('cards'));
  readonly #verdicts: VerdictTable;
  readonly #budget = byId<HTMLInputElement>('budget');
  readonly #profile = byId<HTMLInputElement>('profile');
  readonly #status = byId('face-status');
  #encoder: BrowserEncoder | null = null;

  constructor(private readonly device: DeviceKeeper) {
    const template = byId<HTMLTemplateElement>('slot');
    const latest = new Latest<Request>(
      (request, signal) => this.#compare(request, signal),
      (error) => {
        this.#status.textContent = '';
        showText(byId('face-problem'), explain(error));
      },
    );
    const update = (): void => {
      const [a, b] = this.#slots.map(({ face }) => face);
      if (!a) return;
      byId('compressed').hidden = false;
      latest.request({
        budget: this.#budget.valueAsNumber,
        a,
        b,
        profile: this.#profile.checked,
        name: this.#slots[0].fileName,
      });
    };
    const detector = new PageDetector(device);
    this.#slots = [
      new PhotoSlot(template, 'Photograph', 'This one is compressed.', detector, update),
      new PhotoSlot(
        template,
        'Second photograph',
        'Of the same person or another, for the recogniser; not needed.',
        detector,
        update,
      ),
    ];
    this.#verdicts = new VerdictTable(device);
    this.#budget.addEventListener('input', () => {
      this.#showBudget();
      update();
    });
    this.#profile.addEventListener('change', update);
    this.#showBudget();
  }

  /** The aligned faces that are there. */
  get faces(): Uint8Array[] {
    return this.#slots.flatMap(({ face }) => (face ? [face] : []));
  }

  #showBudget(): void {
    const text = `${this.#budget.value} bytes`;
    byId('budget-value').textContent = text;
    this.#budget.setAttribute('aria-valuetext', text);
  }

  async #compare({ budget, a, b, profile, name }: Request, signal: AbortSignal): Promise<void> {
    showText(byId('face-problem'), '');
    this.#status.textContent = 'Encoding… The first time takes longest, as the kernels are compiled.';
    this.#cards.show('original', { title: 'Original', face: a, note: `${FACE_WIDTH}×${FACE_HEIGHT} pixels` });
    const compared: Comparable[] = [];
    let summary = '';
    try {
      const faces = b ? [a, b] : [a];
      const [own, second] = await this.device.run(async (gpu) => encodeFaces(await codecOn(gpu), faces, budget));
      signal.throwIfAborted();
      const quality = psnr(a, own.restored);
      this.#cards.show('cameo', {
        title: 'Cameo',
        face: own.restored,
        original: a,
        bytes: own.file.length,
        psnr: quality,
      });
      offer(byId<HTMLAnchorElement>('download-file'), own.file, `${name}.cameo`);
      byId('file-place').hidden = false;
      await showQr(own.bare, name);
      compared.push({ title: 'Cameo', a: own.restored, b: second?.restored });
      summary = `Cameo: ${own.file.length} of ${budget} bytes, ${quality.toFixed(1)} dB.`;
    } catch (error) {
      if (signal.aborted) throw error;
      // What is there is of another face or budget. JPEG and WebP need no GPU.
      this.#cards.remove('cameo');
      for (const id of ['file-place', 'qr-place']) byId(id).hidden = true;
      showText(
        byId('face-problem'),
        error instanceof NoAdapterError ? `Cameo cannot run here: ${error.message}` : explain(error),
      );
    }
    if (this.#encoder?.face !== a || this.#encoder.profile !== profile) this.#encoder = new BrowserEncoder(a, profile);
    for (const { format, title } of FORMATS) {
      const encoding = await this.#encoder.encode(format, budget, signal);
      signal.throwIfAborted();
      if (encoding === 'unknown') {
        this.#cards.show(format, { title, note: `This browser writes no ${title}.` });
      } else if (!encoding) {
        this.#cards.show(format, { title, note: `This browser's encoder makes no file this small.` });
      } else {
        const { restored, blob, psnr } = encoding;
        this.#cards.show(format, { title, face: restored, original: a, bytes: blob.size, psnr });
        compared.push({ title, a: restored });
      }
    }
    this.#status.textContent = `${summary} Asking the recogniser…`;
    await this.#verdicts.show({ a, b, compared }, signal);
    this.#status.textContent = summary;
  }
}
