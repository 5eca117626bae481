import { clampInteger, log2Sixteenths } from '../entropy/fixed-point.js';
import { BLOCK_SIDE, FREQUENCIES, RANKS } from './detail-transform.js';

/*
 * The contexts of the detail layer. Its symbols go plane by plane, within a plane rank by rank, within a rank block by block. What
 * is known about a symbol before it is decoded gives one entry in each of several tables; the sum of these entries is a
 * logarithm of odds (an additive logistic model). All of it is integers.
 */

/** Tables, and how many entries each has. */
export const TABLES = {
  /** How large the coefficient usually is, in steps. */
  prior: 40,
  /** Frequency: 64 of the grey plane, 64 of both colour planes. */
  frequency: 2 * RANKS,
  /** Lower frequencies in the block × the same frequency in blocks before. */
  near: 8 * 8,
  /** Last frequencies of the block × those of the blocks around it. */
  recent: 10 * 12,
  /** Lower frequencies of the blocks around × prior. */
  ring: 8 * 10,
  /** Lower frequencies in the block × prior. */
  nearPrior: 8 * 10,
  /** The same frequency in the planes before. */
  planes: 17,
} as const;

export const TABLE_COUNT = 7;
/** Where each table begins. */
export const TABLE_STARTS: readonly number[] = /* @__PURE__ */ (() => {
  const starts = [0];
  for (const size of Object.values(TABLES)) starts.push(starts[starts.length - 1] + size);
  return starts;
})();
/** Entries of all tables of a decision. */
export const TABLE_ENTRIES: number = /* @__PURE__ */ (() => TABLE_STARTS[TABLE_COUNT])();

/** Magnitudes above it count as it. */
const MAX_MAGNITUDE = 15;
const SUM_BUCKETS = /* @__PURE__ */ Uint8Array.of(0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7);
const bucketOf = (sum: number): number => (sum > 15 ? 7 : SUM_BUCKETS[sum]);

/** Half octaves of 1 + x / 8. */
const RECENT_BUCKETS = /* @__PURE__ */ Uint8Array.from({ length: 1024 }, (_, x) =>
  Math.min(9, (log2Sixteenths(8 + x) - 48) >> 3),
);
/** Half octaves of 1 + x / 16. */
const AROUND_BUCKETS = /* @__PURE__ */ Uint8Array.from({ length: 4096 }, (_, x) =>
  Math.min(11, (log2Sixteenths(16 + x) - 64) >> 3),
);

/** The rank with these frequencies; that of no coefficient for negative ones. */
const rankOf = (row: number, column: number): number =>
  row < 0 || column < 0 ? RANKS : FREQUENCIES.findIndex(([u, v]) => u === row && v === column);

/** For each rank, those of lower frequencies: one lower along an axis (2), both, two lower along an axis (2), and the one before on the same diagonal. */
const LOWER = /* @__PURE__ */ (() =>
  Uint8Array.from(
    FREQUENCIES.flatMap(([u, v]) => [
      rankOf(u - 1, v),
      rankOf(u, v - 1),
      rankOf(u - 1, v - 1),
      rankOf(u - 2, v),
      rankOf(u, v - 2),
      v + 1 < BLOCK_SIDE ? rankOf(u - 1, v + 1) : RANKS,
    ]),
  ))();
const LOWER_COUNT = 6;

/** What was decoded of a face, with a border of zeros around the blocks. */
export class DetailContexts {
  readonly #stride: number;
  /** Positions of a rank. */
  readonly #size: number;
  /** [planes, ranks + 1, positions]: the last rank of a plane stays 0. */
  readonly #magnitudes: Uint8Array;
  readonly #recent: Int32Array;
  /** Position of each block. */
  readonly #positions: Int32Array;
  #plane = 0;
  #rank = 0;
  /** Where the magnitudes of the rank begin, and those of each of its lower frequencies. */
  #own = 0;
  readonly #lower: Int32Array = new Int32Array(LOWER_COUNT);
  /** Entry of the table of frequencies. */
  #frequency = 0;
  /** Entries of the tables for the current symbol, counted from the first table. */
  readonly entries: Int32Array = new Int32Array(TABLE_COUNT);

  constructor(rows: number, columns: number, planes: number) {
    this.#stride = columns + 2;
    this.#size = (rows + 2) * this.#stride;
    this.#magnitudes = new Uint8Array(planes * (RANKS + 1) * this.#size);
    this.#recent = new Int32Array(this.#size);
    this.#positions = Int32Array.from(
      { length: rows * columns },
      (_, block) => (Math.floor(block / columns) + 1) * this.#stride + (block % columns) + 1,
    );
  }

  /** Begins a rank of a plane. */
  begin(plane: number, rank: number): void {
    if (rank === 0) this.#recent.fill(0);
    this.#plane = plane;
    this.#rank = rank;
    const offset = (other: number): number => (plane * (RANKS + 1) + other) * this.#size;
    this.#own = offset(rank);
    for (let k = 0; k < LOWER_COUNT; k++) this.#lower[k] = offset(LOWER[rank * LOWER_COUNT + k]);
    this.#frequency = TABLE_STARTS[1] + (plane === 0 ? 0 : RANKS) + rank;
  }

  /**
   * Sets `entries` for a symbol.
   * @param prior its prior, from 0 to 39
   */
  find(block: number, prior: number): void {
    const at = this.#positions[block];
    const nearBucket = bucketOf(this.#near(at));
    const coarse = prior >> 2;
    const { entries } = this;
    entries[0] = prior;
    entries[1] = this.#frequency;
    entries[2] = TABLE_STARTS[2] + 8 * nearBucket + bucketOf(this.#same(this.#own + at));
    const around = AROUND_BUCKETS[Math.min(4095, this.#around(at) >> 1)];
    entries[3] = TABLE_STARTS[3] + 12 * RECENT_BUCKETS[Math.min(1023, this.#recent[at])] + around;
    entries[4] = TABLE_STARTS[4] + 10 * bucketOf(this.#ring(at)) + coarse;
    entries[5] = TABLE_STARTS[5] + 10 * nearBucket + coarse;
    entries[6] = TABLE_STARTS[6] + this.#planesEntry(at);
  }

  /** The same frequency in the blocks before. */
  #same(own: number): number {
    const [stride, magnitudes] = [this.#stride, this.#magnitudes];
    return (
      2 * (magnitudes[own - 1] + magnitudes[own - stride]) + magnitudes[own - stride - 1] + magnitudes[own - stride + 1]
    );
  }

  /** Lower frequencies in the block. */
  #near(at: number): number {
    const [lower, magnitudes] = [this.#lower, this.#magnitudes];
    return (
      2 * (magnitudes[lower[0] + at] + magnitudes[lower[1] + at]) +
      magnitudes[lower[2] + at] +
      magnitudes[lower[3] + at] +
      magnitudes[lower[4] + at] +
      magnitudes[lower[5] + at]
    );
  }

  /** The two next lower frequencies in the blocks around. */
  #ring(at: number): number {
    const [stride, magnitudes] = [this.#stride, this.#magnitudes];
    const [up, left] = [this.#lower[0] + at, this.#lower[1] + at];
    return (
      magnitudes[up - 1] +
      magnitudes[up + 1] +
      magnitudes[up - stride] +
      magnitudes[up + stride] +
      magnitudes[left - 1] +
      magnitudes[left + 1] +
      magnitudes[left - stride] +
      magnitudes[left + stride]
    );
  }

  /** The last frequencies of the blocks around. */
  #around(at: number): number {
    const [stride, recent] = [this.#stride, this.#recent];
    return (
      2 * (recent[at - 1] + recent[at + 1] + recent[at - stride] + recent[at + stride]) +
      recent[at - stride - 1] +
      recent[at - stride + 1] +
      recent[at + stride - 1] +
      recent[at + stride + 1]
    );
  }

  /** The same frequency in the planes before. */
  #planesEntry(at: number): number {
    if (this.#plane === 0) return 0;
    const [size, stride, magnitudes] = [this.#size, this.#stride, this.#magnitudes];
    const grey = this.#rank * size + at;
    const beside = magnitudes[grey - 1] + magnitudes[grey + 1] + magnitudes[grey - stride] + magnitudes[grey + stride];
    const sum = 2 * magnitudes[grey] + beside;
    if (this.#plane === 1) return 1 + bucketOf(sum);
    return 9 + bucketOf(sum + 3 * magnitudes[grey + (RANKS + 1) * size]);
  }

  /** Goes on after a symbol. */
  add(block: number, symbol: number): void {
    const at = this.#positions[block];
    const magnitude = clampInteger(Math.abs(symbol), 0, MAX_MAGNITUDE);
    this.#magnitudes[this.#own + at] = magnitude;
    const before = this.#recent[at];
    this.#recent[at] = before + 16 * magnitude - ((before + 7) >> 3);
  }
}
