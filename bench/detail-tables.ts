import { readFile } from 'node:fs/promises';
import { dataFolder } from '../src/cli/places.js';
import { TABLE_COUNT, TABLE_ENTRIES, TABLE_STARTS } from '../src/codec/detail/detail-contexts.js';
import {
  chooseDetail,
  DECISIONS,
  DETAIL_BLOCKS,
  type Detail,
  detailStep,
  usedRanks,
  walkDetail,
} from '../src/codec/detail/detail-stream.js';
import { CHANCES, type DetailTables } from '../src/codec/detail/detail-tables.js';
import { detailCoefficients, RANKS } from '../src/codec/detail/detail-transform.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { ArgumentError } from '../src/common/errors.js';
import { openFaceFolder } from '../src/data/faces/face-set.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * tsx bench/detail-tables.ts [FACES]: fits the integers of the codec's detail layer to faces of split train, and writes them to
 * src/codec/detail/detail-tables.ts. They are part of the format: a change makes all faces with a detail layer unreadable, so it
 * needs another version of the format. Default: 400 faces.
 */

const STEPS = [10, 14, 16, 18, 20, 22, 24, 26];
const LAMBDA = 0.14;
const BASE_BYTES = 1000;
const ROUNDS = 3;
/** Samples of one gradient, and the number of gradients for each decision, at least. */
const BATCH = 32768;
const GRADIENTS = 600;

const words = process.argv.slice(2);
const count = Number(words[0] ?? 400);
if (words.length > 1 || !Number.isInteger(count) || count < 8) {
  throw new ArgumentError(`"${words.join(' ')}"; expected the number of faces, at least 8, or nothing`);
}

/** What the codec leaves of faces: coefficients [3, ranks, blocks]. */
async function residuals(): Promise<Float64Array[]> {
  const gpu = await openGpu();
  const codec = FaceCodec.fromWeights(gpu, new Uint8Array(await readFile('models/face.safetensors')));
  try {
    const set = await openFaceFolder(dataFolder(), { split: 'train', limit: count });
    const faces = await set.batch(await set.readable());
    const coded = await codec.symbolsOf(faces, { maxBytes: BASE_BYTES }, 'bare');
    const bases = await codec.restore(coded.map(({ detail: _, ...face }) => face));
    return faces.map((face, k) => detailCoefficients(face, bases[k], codec.faceSize, 3));
  } finally {
    codec.dispose();
    gpu.destroy();
  }
}

const eighths = (meanSquare: number): number => Math.max(-128, Math.min(127, Math.round(4 * Math.log2(meanSquare))));

/** Usual sizes of coefficients by frequency, and by position relative to these. */
function sizesOf(all: readonly Float64Array[]): Pick<DetailTables, 'frequency' | 'position'> {
  const byFrequency = new Float64Array(3 * RANKS).fill(1e-9);
  for (const own of all) {
    own.forEach((value, at) => {
      byFrequency[Math.floor(at / DETAIL_BLOCKS)] += value * value;
    });
  }
  const squares = byFrequency.map((sum) => sum / (all.length * DETAIL_BLOCKS));
  const byPosition = new Float64Array(2 * DETAIL_BLOCKS);
  for (const own of all) {
    own.forEach((value, at) => {
      const plane = Math.floor(at / (RANKS * DETAIL_BLOCKS));
      const share = (value * value) / squares[Math.floor(at / DETAIL_BLOCKS)];
      byPosition[(plane === 0 ? 0 : DETAIL_BLOCKS) + (at % DETAIL_BLOCKS)] += share / (plane === 0 ? RANKS : 2 * RANKS);
    });
  }
  return {
    frequency: Int8Array.from(squares, (square) => eighths(square / detailStep(0) ** 2)),
    position: Int8Array.from(byPosition, (sum) => eighths(sum / all.length)),
  };
}

/** Table entries and outcomes of one decision. */
class Samples {
  entries = new Int16Array(1 << 20);
  yes = new Uint8Array(1 << 18);
  count = 0;

  add(entries: Int32Array, yes: boolean): void {
    if ((this.count + 1) * TABLE_COUNT > this.entries.length) {
      const [entriesBefore, yesBefore] = [this.entries, this.yes];
      this.entries = new Int16Array(2 * entriesBefore.length);
      this.entries.set(entriesBefore);
      this.yes = new Uint8Array(2 * yesBefore.length);
      this.yes.set(yesBefore);
    }
    this.entries.set(entries, this.count * TABLE_COUNT);
    this.yes[this.count++] = yes ? 1 : 0;
  }

  /** Odds of least code length, by Adam (Kingma and Ba 2015) over interleaved batches. */
  fit(): { odds: Float64Array; bits: number } {
    const odds = new Float64Array(TABLE_ENTRIES);
    const [first, second, gradient] = [odds.slice(), odds.slice(), odds.slice()];
    const batches = Math.max(1, Math.floor(this.count / BATCH));
    const rounds = Math.max(3, Math.ceil(GRADIENTS / batches));
    let [t, bits] = [0, 0];
    for (let round = 0; round < rounds; round++) {
      bits = 0;
      for (let batch = 0; batch < batches; batch++) {
        gradient.fill(0);
        for (let i = batch; i < this.count; i += batches) bits += this.#sample(i, odds, gradient);
        t++;
        const rate = 0.08 * (1 - t / (rounds * batches)) + 0.002;
        for (let k = 0; k < TABLE_ENTRIES; k++) {
          const g = (gradient[k] * batches) / this.count + 1e-6 * odds[k];
          first[k] = 0.9 * first[k] + 0.1 * g;
          second[k] = 0.99 * second[k] + 0.01 * g * g;
          odds[k] -= (rate * (first[k] / (1 - 0.9 ** t))) / (Math.sqrt(second[k] / (1 - 0.99 ** t)) + 1e-7);
        }
      }
    }
    return { odds, bits };
  }

  /** Adds a sample to the gradient. @returns its bits */
  #sample(i: number, odds: Float64Array, gradient: Float64Array): number {
    let sum = 0;
    for (let k = i * TABLE_COUNT; k < (i + 1) * TABLE_COUNT; k++) sum += odds[this.entries[k]];
    const chance = 1 / (1 + Math.exp(-sum));
    const off = chance - this.yes[i];
    for (let k = i * TABLE_COUNT; k < (i + 1) * TABLE_COUNT; k++) gradient[this.entries[k]] += off;
    return -Math.log2(this.yes[i] ? chance : 1 - chance);
  }
}

/** Fits the odds to layers. */
function fitOdds(layers: readonly Detail[], tables: DetailTables): Int8Array {
  const samples = Array.from({ length: DECISIONS }, () => new Samples());
  for (const { step, symbols } of layers) {
    const code = (index: number, entries: Int32Array): number => {
      const magnitude = Math.abs(symbols[index]);
      for (let n = 0; n < DECISIONS && n <= magnitude; n++) samples[n].add(entries, magnitude === n);
      return symbols[index];
    };
    walkDetail(step, usedRanks(symbols), code, tables);
  }
  const odds = new Int8Array(DECISIONS * TABLE_ENTRIES);
  samples.forEach((own, n) => {
    const fitted = own.fit();
    fitted.odds.forEach((value, k) => {
      odds[n * TABLE_ENTRIES + k] = Math.max(-127, Math.min(127, Math.round(16 * value)));
    });
    console.log(`decision ${n}: ${own.count} times, ${(fitted.bits / 8 / layers.length).toFixed(1)} bytes a face`);
  });
  return odds;
}

/** Odds to begin with: those of 0 fall with the usual size. */
function firstOdds(): Int8Array {
  const odds = new Int8Array(DECISIONS * TABLE_ENTRIES);
  for (let prior = 0; prior < TABLE_STARTS[1]; prior++) {
    odds[prior] = Math.max(-127, Math.min(127, Math.round(16 * (3.5 - (prior - 26) / 5))));
    for (let n = 1; n < DECISIONS; n++) odds[n * TABLE_ENTRIES + prior] = 16;
  }
  return odds;
}

/** The file with other tables. */
function withTables(text: string, tables: DetailTables): string {
  const literal = (values: Int8Array): string =>
    Buffer.from(values.buffer, values.byteOffset, values.length)
      .toString('base64')
      .match(/.{1,110}/g)!
      .map((line) => `  '${line}',\n`)
      .join('');
  let changed = text;
  for (const name of ['frequency', 'position', 'odds'] as const) {
    const list = new RegExp(`(const ${name.toUpperCase()}: readonly string\\[\\] = \\[)[^\\]]*(\\];)`);
    if (!list.test(changed)) throw new ArgumentError(`${PLACE} has no list ${name.toUpperCase()}`);
    changed = changed.replace(list, (_, begin, end) => `${begin}\n${literal(tables[name])}${end}`);
  }
  return changed;
}
const PLACE = 'src/codec/detail/detail-tables.ts';

if (CHANCES.length !== 129) throw new ArgumentError(`${PLACE} has ${CHANCES.length} chances, expected 129`);
const all = await residuals();
let tables: DetailTables = { ...sizesOf(all), odds: firstOdds() };
for (let round = 0; round < ROUNDS; round++) {
  const layers = all.map((own, k) => chooseDetail(own, STEPS[k % STEPS.length], LAMBDA, tables));
  tables = { ...tables, odds: fitOdds(layers, tables) };
}
await writeFileAtomic(PLACE, withTables(await readFile(PLACE, 'utf8'), tables));
