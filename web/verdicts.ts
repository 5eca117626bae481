import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { byId, explain, showText } from './dom.js';
import { embedderOn, thresholds } from './models.js';
import { similarity } from './similarity.js';

/** Faces after a codec. */
export interface Comparable {
  title: string;
  a: Uint8Array;
  b?: Uint8Array;
}

export interface Compared {
  a: Uint8Array;
  b: Uint8Array | null;
  compared: readonly Comparable[];
}

interface Row {
  title: string;
  similarity: number;
}

/** Similarities of pairs of faces, and the decision at the false accept rate that is chosen. */
export class VerdictTable {
  #rows: Row[] = [];
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
        const rows: Row[] = [];
        for (const { title, faces } of pairs) {
          signal.throwIfAborted();
          rows.push({ title, similarity: await similarity(embedder, ...faces) });
        }
        return rows;
      });
      showText(byId('verdict-problem'), '');
      await this.#draw();
      byId('recogniser').hidden = false;
    } catch (error) {
      if (signal.aborted) throw error;
      showText(byId('verdict-problem'), explain(error));
    }
  }

  async #draw(): Promise<void> {
    const threshold = (await thresholds())[this.#rate.value];
    byId('verdicts').replaceChildren(
      ...this.#rows.map(({ title, similarity }) => {
        const row = document.createElement('tr');
        const decision = similarity >= threshold ? 'same person' : 'not the same person';
        const texts = [similarity.toFixed(3), threshold === undefined ? 'no threshold is known' : decision];
        row.append(
          Object.assign(document.createElement('th'), { scope: 'row', textContent: title }),
          ...texts.map((textContent) => Object.assign(document.createElement('td'), { textContent })),
        );
        return row;
      }),
    );
    showText(byId('threshold'), threshold === undefined ? '' : `Same person from ${threshold.toFixed(3)} on.`);
  }
}
