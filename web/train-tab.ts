import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { linePlot } from '../src/evaluation/reports/plot-svg.js';
import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { type AutoencoderFile, readAutoencoder } from '../src/models/model-file.js';
import type { JointStep } from '../src/training/joint-trainer.js';
import { byId, explain, offer, showText } from './dom.js';
import { onChoice, onDrop } from './drop-zone.js';
import { readPicture, show } from './picture.js';
import { fetchFile } from './stored-files.js';
import { facesOfSheet, SMALL_HEIGHT, SMALL_WIDTH, smallFace, smallPicture } from './training-faces.js';
import { firstLook, type Look, TrainingRun } from './training-run.js';

/** Least milliseconds between two drawings of the curve. */
const DRAW_MS = 400;
/** Number of steps in the running mean of the loss. */
const WINDOW = 10;
/** Steps that are added when the user goes on after all steps are done. */
const MORE_STEPS = 500;
/** Faces that the codec has invented, and weights that were trained on them; web/invent.ts writes both. */
const PEOPLE = 'invented-people.jpg';
const START = 'training-start.safetensors';

/** The second tab, which trains an autoencoder. */
export class TrainTab {
  readonly #pictures: Uint8Array[] = [];
  readonly #status = byId('train-status');
  readonly #start = byId<HTMLButtonElement>('train-start');
  #run: TrainingRun | null = null;
  #running = false;
  #drawn = 0;
  #people: Promise<Uint8Array[]> | null = null;
  #startWeights: Promise<AutoencoderFile> | null = null;
  #looks = 0;
  /** The first step since the start button was pressed, and the time when it was done. */
  #began: { step: number; at: number } | null = null;

  /** @param faces the aligned faces of the first tab */
  constructor(
    private readonly device: DeviceKeeper,
    private readonly faces: () => Uint8Array[],
  ) {
    const add = (files: File[]): void => void this.#add(files);
    onChoice(byId<HTMLInputElement>('train-files'), add);
    onDrop(byId('train'), add);
    byId('train-form').addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#running) this.#run?.stop();
      else void this.#train();
    });
    byId('train-over').addEventListener('click', () => this.#startOver());
    byId('train-from').addEventListener('change', () => this.describe());
  }

  /** Shows which pictures it trains on. To be called when the tab is shown. */
  describe(): void {
    const [fromFirstTab, added] = [this.faces().length, this.#pictures.length];
    const parts = [
      ...(fromFirstTab > 0 ? [`${fromFirstTab} of the first tab`] : []),
      ...(added > 0 ? [`${added} that you added`] : []),
    ];
    const text = parts.length > 0 ? parts.join(' and ') : '48 invented faces, because there are no other pictures yet';
    const later = this.#run ? ' (for the next training; the present one keeps its pictures)' : '';
    byId('train-pictures').textContent = `Pictures to train on: ${text}${later}.`;
    if (!this.#run && !this.#running) void this.#lookFirst();
  }

  /** The pictures to train on. */
  async #faces(): Promise<Uint8Array[]> {
    const pictures = [...this.faces().map(smallFace), ...this.#pictures];
    if (pictures.length > 0) return pictures;
    this.#people ??= inventedPeople().catch((error) => {
      this.#people = null; // the next call tries again
      throw error;
    });
    return this.#people;
  }

  async #weights(): Promise<AutoencoderFile | null> {
    if (byId<HTMLSelectElement>('train-from').value === 'nothing') return null;
    this.#startWeights ??= fetchFile(START)
      .then(readAutoencoder)
      .catch((error) => {
        this.#startWeights = null;
        throw error;
      });
    return this.#startWeights;
  }

  /** Shows the pictures as the start weights restore them. */
  async #lookFirst(): Promise<void> {
    const thisLook = ++this.#looks;
    try {
      const [faces, start] = await Promise.all([this.#faces(), this.#weights()]);
      if (!start) return byId('train-look').replaceChildren();
      const look = await this.device.run((gpu) => firstLook(gpu, start, faces));
      if (thisLook === this.#looks && !this.#run) this.#showLook(look);
    } catch (error) {
      if (thisLook === this.#looks && !this.#run) showText(byId('train-problem'), explain(error));
    }
  }

  async #add(files: File[]): Promise<void> {
    const problems: string[] = [];
    for (const file of files) {
      try {
        const picture = await readPicture(file, file.name);
        const aligned = picture.width === FACE_WIDTH && picture.height === FACE_HEIGHT;
        this.#pictures.push(aligned ? smallFace(picture.data) : smallPicture(picture));
      } catch (error) {
        problems.push(explain(error));
      }
    }
    showText(byId('train-problem'), problems.join('\n'));
    this.describe();
  }

  /** The present run, or a new one if there is none. */
  async #runToTrain(): Promise<TrainingRun> {
    const steps = byId<HTMLInputElement>('train-steps');
    if (!this.#run) {
      const [faces, start] = await Promise.all([this.#faces(), this.#weights()]);
      const targetBytes = byId<HTMLInputElement>('train-bytes').valueAsNumber;
      const settings = { steps: steps.valueAsNumber, targetBytes, start };
      this.#run = new TrainingRun(this.device, faces, settings, {
        onStep: (step) => this.#showStep(step),
        onLook: (look) => this.#showLook(look),
      });
    }
    const run = this.#run;
    if (run.steps.length >= steps.valueAsNumber) steps.value = String(run.steps.length + MORE_STEPS);
    run.settings.steps = steps.valueAsNumber;
    return run;
  }

  async #train(): Promise<void> {
    showText(byId('train-problem'), '');
    this.#looks++; // a first look that is not done yet must not be shown any more
    this.#setRunning(true);
    this.#status.textContent = 'Training… The first step takes longest, because it compiles the kernels.';
    this.#began = null;
    try {
      const run = await this.#runToTrain();
      await run.run();
      this.#status.textContent = `${run.done ? 'Done' : 'Stopped'} after ${run.steps.length} steps. ${summary(run.steps)}`;
    } catch (error) {
      this.#status.textContent = '';
      showText(byId('train-problem'), explain(error));
    } finally {
      byId('train-progress').textContent = '';
      this.#setRunning(false);
      this.#draw();
      const weights = this.#run?.weights();
      if (this.#run && weights) {
        offer(byId<HTMLAnchorElement>('train-download'), weights, 'cameo-page.safetensors');
        offer(byId<HTMLAnchorElement>('train-csv'), csvOf(this.#run.steps), 'cameo-page.csv');
        byId('train-files-out').hidden = false;
      }
    }
  }

  #startOver(): void {
    if (this.#running) return;
    this.#run = null;
    for (const id of ['train-curve', 'train-look']) byId(id).replaceChildren();
    byId('train-files-out').hidden = true;
    this.#status.textContent = 'Ready to start again.';
    this.#label();
    this.describe();
  }

  #setRunning(running: boolean): void {
    this.#running = running;
    for (const id of ['train-over', 'train-from']) byId(id).toggleAttribute('disabled', running);
    byId<HTMLInputElement>('train-bytes').disabled = this.#run !== null;
    byId<HTMLInputElement>('train-steps').disabled = running;
    this.#label();
    this.describe();
  }

  #label(): void {
    const fresh = !this.#run || this.#run.steps.length === 0;
    this.#start.textContent = this.#running ? 'Stop' : fresh ? 'Start' : 'Go on';
    byId<HTMLInputElement>('train-bytes').disabled = this.#run !== null;
  }

  #showStep({ step }: JointStep): void {
    this.#began ??= { step, at: performance.now() };
    if (performance.now() - this.#drawn < DRAW_MS) return;
    this.#drawn = performance.now();
    const { steps, settings } = this.#run!;
    // This element has no role "status", because screen readers would read it aloud all the time.
    byId('train-progress').textContent =
      `Step ${step + 1} of ${settings.steps}. ${this.#timeLeft(step)}${summary(steps)}`;
    this.#draw();
  }

  #timeLeft(step: number): string {
    const { step: first, at } = this.#began!;
    if (step === first) return '';
    const seconds = ((performance.now() - at) / (step - first) / 1000) * (this.#run!.settings.steps - step - 1);
    return seconds < 90 ? `About ${Math.ceil(seconds)} s left. ` : `About ${Math.round(seconds / 60)} minutes left. `;
  }

  #draw(): void {
    const steps = this.#run?.steps ?? [];
    if (steps.length === 0) return;
    const smooth = steps.map((_, k): [number, number] => {
      const window = steps.slice(Math.max(0, k - WINDOW + 1), k + 1);
      return [k + 1, window.reduce((sum, { loss }) => sum + loss, 0) / window.length];
    });
    // The plot escapes every text that it is given.
    byId('train-curve').innerHTML = linePlot({
      title: 'Loss',
      xLabel: 'step',
      yLabel: '100 · squared error + weight · bits',
      logY: true,
      series: [
        { name: 'each step', points: steps.map(({ loss }, k) => [k + 1, loss]) },
        { name: `mean of ${WINDOW}`, points: smooth },
      ],
    });
  }

  #showLook({ originals, restored }: Look): void {
    const rows = [
      { title: 'Original', faces: originals },
      { title: 'Restored', faces: restored },
    ].map(({ title, faces }) => {
      const row = document.createElement('figure');
      row.append(
        ...faces.map((data, k) => {
          const canvas = document.createElement('canvas');
          canvas.setAttribute('role', 'img');
          canvas.setAttribute('aria-label', `${title}, picture ${k + 1}`);
          show(canvas, { width: SMALL_WIDTH, height: SMALL_HEIGHT, data });
          return canvas;
        }),
        Object.assign(document.createElement('figcaption'), { textContent: title }),
      );
      return row;
    });
    byId('train-look').replaceChildren(...rows);
  }
}

/** Loads the invented faces. */
async function inventedPeople(): Promise<Uint8Array[]> {
  return facesOfSheet(await readPicture(new Blob([await fetchFile(PEOPLE)]), PEOPLE));
}

function csvOf(steps: readonly JointStep[]): Blob {
  const lines = steps.map(({ step, loss, psnr, bytes }) => [step + 1, loss, psnr, bytes].join(','));
  return new Blob([['step,loss,psnr,bytes', ...lines, ''].join('\n')], { type: 'text/csv' });
}

/** A sentence with the mean figures of the last steps. */
function summary(steps: readonly JointStep[]): string {
  const last = steps.slice(-WINDOW);
  if (last.length === 0) return '';
  const mean = (of: (step: JointStep) => number): number => last.reduce((sum, step) => sum + of(step), 0) / last.length;
  const psnr = -10 * Math.log10(mean(({ mse }) => mse));
  return `Loss ${mean(({ loss }) => loss).toFixed(3)}, ${psnr.toFixed(1)} dB, about ${mean(({ bytes }) => bytes).toFixed(0)} bytes per picture.`;
}
