import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { byId, explain, showText } from './dom.js';
import { embedderOn, type RecognizerFigures, recognizerFigures } from './models.js';

/** The faces of one or both photographs as a codec restores them. */
export interface Comparable {
  /** The name of the codec. */
  title: string;
  a: Uint8Array;
  b?: Uint8Array | null;
}

/** The faces of the photographs, `b` being null without a second one, and the same after codecs. */
export interface Compared {
  a: Uint8Array;
  b: Uint8Array | null;
  compared: readonly Comparable[];
}

interface Row {
  title: string;
  similarity: number;
}

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const oneIn = (rate: string): string => `1 in ${Math.round(1 / Number(rate)).toLocaleString('en')}`;

/** The table with the similarities of pairs of faces, and the decisions at the chosen false accept rate. */
export class VerdictTable {
  #rows: Row[] = [];
  #hasSecond = false;
  readonly #rate = byId<HTMLSelectElement>('far');

  constructor(private readonly device: DeviceKeeper) {
    this.#rate.addEventListener('change', () => void this.#draw());
  }

  async show({ a, b, compared }: Compared, signal: AbortSignal): Promise<void> {
    const pairs: { title: string; faces: [Uint8Array, Uint8Array] }[] = [];
    const add = (title: string, first: Uint8Array, second: Uint8Array | null | undefined): void => {
      if (second) pairs.push({ title, faces: [first, second] });
    };
    add('Both photographs, uncompressed', a, b);
    for (const { title, a: restored } of compared) add(`The first by ${title}, the second uncompressed`, restored, b);
    for (const { title, a: first, b: second } of compared) add(`Both by ${title}`, first, second);
    for (const { title, a: restored } of compared) add(`The first, and what ${title} restores of it`, a, restored);
    try {
      this.#rows = await this.device.run(async (gpu) => {
        const embedder = await embedderOn(gpu);
        const { similarity } = await import('./similarity.js');
        const rows: Row[] = [];
        for (const { title, faces } of pairs) {
          signal.throwIfAborted();
          rows.push({ title, similarity: await similarity(embedder, ...faces) });
        }
        return rows;
      });
      this.#hasSecond = b !== null;
      showText(byId('verdict-problem'), '');
      await this.#draw();
      byId('recogniser').hidden = this.#rows.length === 0;
    } catch (error) {
      if (signal.aborted) throw error;
      showText(byId('verdict-problem'), explain(error));
    }
  }

  async #draw(): Promise<void> {
    const figures = await recognizerFigures();
    const threshold = figures.thresholds[this.#rate.value];
    const decide = (similarity: number): string => (similarity >= threshold ? 'same person' : 'not the same person');
    byId('verdicts').replaceChildren(
      ...this.#rows.map(({ title, similarity }) => {
        const row = document.createElement('tr');
        const texts = [similarity.toFixed(3), threshold === undefined ? 'no threshold is known' : decide(similarity)];
        row.append(
          Object.assign(document.createElement('th'), { scope: 'row', textContent: title }),
          ...texts.map((textContent) => Object.assign(document.createElement('td'), { textContent })),
        );
        return row;
      }),
    );
    showText(byId('verdict'), this.#hasSecond && threshold !== undefined ? this.#verdictText(threshold) : '');
    showText(byId('rates'), threshold === undefined ? '' : ratesText(this.#rate.value, threshold, figures));
  }

  /** The decision about the two photographs without compression. */
  #verdictText(threshold: number): string {
    const { similarity } = this.#rows[0];
    const same = similarity >= threshold;
    const side = same ? 'at or above' : 'below';
    return `${same ? 'Same person' : 'Not the same person'}: similarity ${similarity.toFixed(3)}, ${side} the threshold of ${threshold.toFixed(3)}.`;
  }
}

/** Sentences about how often the recogniser errs at a threshold. */
function ratesText(rate: string, threshold: number, { pairs, lfw }: RecognizerFigures): string {
  const texts = [`Two faces count as one person from ${threshold.toFixed(3)} on.`];
  const tar = pairs?.tar[rate];
  if (pairs && tar !== undefined) {
    texts.push(
      `At this threshold ${oneIn(rate)} pairs of different persons passes. Of the pairs of the same person ${percent(tar)} pass, and ${percent(1 - tar)} are missed (measured on ${pairs.impostor.toLocaleString('en')} and ${pairs.genuine.toLocaleString('en')} pairs of photographs).`,
    );
  }
  if (lfw) {
    texts.push(
      `The recogniser is small and weak: it judges ${percent1(lfw.accuracy)} of LFW's pairs correctly; published ones reach 99 %. Do not rely on it for anything important.`,
    );
  }
  return texts.join(' ');
}

const percent1 = (share: number): string => `${(100 * share).toFixed(1)} %`;
