import { clampInteger, powerOfEighths } from './fixed-point.js';
import { BITS_OF_FREQUENCY, FREQUENCY_TOTAL, golombBits, type RangeDecoder, type RangeEncoder } from './range-coder.js';

/*
 * The probability of each integer when a real number is rounded. The number has a given mean, a given scale and a distribution
 * of a given shape. The shape is a table of integers that belongs to the model: the upper tail P(x > i/64) of a symmetric distribution
 * of scale 1, in units of 2^−20. Symbols far from the mean share the outermost two, followed by an Exp-Golomb code.
 */

/** Scales go in eighths of an octave from 2^−4 to almost 2^8 quantization steps. */
export const SCALE_COUNT = 96;
/** The index of scale 1. */
export const SCALE_ONE = 32;
/** Denominator of means, in quantization steps. */
export const MEAN_UNITS = 16;
export const MAX_MEAN = 2048 * MEAN_UNITS;

export const SHAPE_ENTRIES = 1024;
/** Entries of the table in one scale. */
export const SHAPE_RESOLUTION = 64;
export const SHAPE_HALF = 1 << 19;
const SHAPE_TOTAL = 2 * SHAPE_HALF;

const SCALES = { length: SCALE_COUNT };
/** How far to either side of the mean symbols have a frequency of their own. */
const REACH = /* @__PURE__ */ Int32Array.from(SCALES, (_, k) =>
  clampInteger(Math.ceil(10 * powerOfEighths(k - SCALE_ONE)) + 1, 2, 1024),
);
const ENTRY_FRACTION = 65536;
/** Powers of two: a product with them is as exact as a division, and faster. */
const ENTRY_PART = 1 / ENTRY_FRACTION;
const SHAPE_PART = 1 / SHAPE_TOTAL;
/** Table entries in 1/16 of a step, times 2^16. */
const ENTRIES = /* @__PURE__ */ Float64Array.from(SCALES, (_, k) =>
  Math.floor((SHAPE_RESOLUTION / MEAN_UNITS) * ENTRY_FRACTION * powerOfEighths(SCALE_ONE - k) + 0.5),
);
const GOLOMB_ORDER = /* @__PURE__ */ Int32Array.from(SCALES, (_, k) => clampInteger((k - SCALE_ONE) >> 3, 0, 7));

/** Tables of shapes one after another, {@link SHAPE_ENTRIES} each. */
export type ShapeTables = Int32Array;

/** Says what is wrong with a table; null if it is valid. */
export function shapeProblem(table: ArrayLike<number>): string | null {
  if (table.length !== SHAPE_ENTRIES) return `has ${table.length} entries, must have ${SHAPE_ENTRIES}`;
  if (table[0] !== SHAPE_HALF) return `begins with ${table[0]}, must begin with ${SHAPE_HALF}`;
  for (let i = 1; i < SHAPE_ENTRIES; i++) {
    if (!(table[i] >= 0 && table[i] <= table[i - 1])) return `entry ${i} is ${table[i]}, after ${table[i - 1]}`;
  }
  return null;
}

/**
 * Where a symbol's cell begins, in 1/16 of a step.
 * @param inner how much farther from 0 than half a step the border between 0 and ±1 is, in 1/16 of a step
 * @param outer the same for the borders beyond, which are else at 1½, 2½, …
 */
export function borderBelow(symbol: number, inner: number, outer: number): number {
  const middle = symbol * MEAN_UNITS - MEAN_UNITS / 2;
  if (symbol > 0) return middle + (symbol === 1 ? inner : outer);
  return middle - (symbol === 0 ? inner : outer);
}

/**
 * The distribution of one symbol. One object is used for one symbol after another: a face has thousands, and all of them
 * together must take no more than a few milliseconds.
 */
export class SymbolDistribution {
  #scale = 0;
  /** The symbol nearest to the mean, and the mean's distance from it in 1/16. */
  #centre = 0;
  #offset = 0;
  #table = 0;
  #reach = 0;
  #deadInner = 0;
  #deadOuter = 0;

  constructor(private readonly shapes: ShapeTables) {}

  /**
   * @param scale 0..{@link SCALE_COUNT} − 1
   * @param mean in 1/16 of a step, at most {@link MAX_MEAN} in size
   * @param shape which of the tables
   * @param deadInner, deadOuter see `borderBelow`
   */
  set(scale: number, mean: number, shape: number, deadInner = 0, deadOuter = 0): this {
    this.#deadInner = deadInner;
    this.#deadOuter = deadOuter;
    this.#scale = scale;
    this.#centre = (mean + MEAN_UNITS / 2) >> 4;
    this.#offset = mean - this.#centre * MEAN_UNITS;
    this.#table = shape * SHAPE_ENTRIES;
    this.#reach = REACH[scale];
    return this;
  }

  encode(symbol: number, coder: RangeEncoder): void {
    const reach = this.#reach;
    const distance = symbol - this.#centre;
    const own = clampInteger(distance, -reach, reach);
    const start = this.#below(own);
    coder.encode(start, this.#below(own + 1) - start);
    if (own === reach || own === -reach) coder.golomb(Math.abs(distance) - reach, GOLOMB_ORDER[this.#scale]);
  }

  decode(coder: RangeDecoder): number {
    const reach = this.#reach;
    const target = coder.target();
    // below(low) ≤ target < below(high); most symbols are the nearest to their mean, or beside it.
    let low = 0;
    let high = 1;
    if (target < this.#below(0)) {
      for (let step = 1; ; step *= 2) {
        high = low;
        low = Math.max(-reach, low - step);
        if (this.#below(low) <= target) break;
      }
    } else {
      for (let step = 1; this.#below(high) <= target; step *= 2) {
        low = high;
        high = Math.min(reach + 1, high + step);
      }
    }
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#below(middle) <= target) low = middle;
      else high = middle;
    }
    const start = this.#below(low);
    coder.take(start, this.#below(low + 1) - start);
    const escaped = low === reach || low === -reach ? coder.golomb(GOLOMB_ORDER[this.#scale]) : 0;
    return this.#centre + (low < 0 ? low - escaped : low + escaped);
  }

  /** The frequency of a symbol, of {@link FREQUENCY_TOTAL}; for a symbol out of reach, that of all such symbols on its side. */
  frequency(symbol: number): number {
    const own = clampInteger(symbol - this.#centre, -this.#reach, this.#reach);
    return this.#below(own + 1) - this.#below(own);
  }

  /** Bits that {@link encode} takes. Not for decoders: logarithms differ between JavaScript engines. */
  bits(symbol: number): number {
    const distance = Math.abs(symbol - this.#centre);
    const own = BITS_OF_FREQUENCY[this.frequency(symbol)];
    return distance < this.#reach ? own : own + golombBits(distance - this.#reach, GOLOMB_ORDER[this.#scale]);
  }

  /** Sum of the frequencies of all symbols below the one at `distance` from the centre. */
  #below(distance: number): number {
    const reach = this.#reach;
    if (distance <= -reach) return 0;
    if (distance > reach) return FREQUENCY_TOTAL;
    const symbol = this.#centre + distance;
    const edge = borderBelow(symbol, this.#deadInner, this.#deadOuter) - this.#centre * MEAN_UNITS - this.#offset;
    const tail = this.#tail(edge < 0 ? -edge : edge);
    const mass = edge < 0 ? tail : SHAPE_TOTAL - tail;
    // A frequency of 1 for each symbol, so that none is impossible; the rest by the shape.
    return ((mass * (FREQUENCY_TOTAL - 2 * reach - 1) * SHAPE_PART) | 0) + distance + reach;
  }

  /** P(x > edge), from the table by linear interpolation. */
  #tail(edge: number): number {
    const at = edge * ENTRIES[this.#scale];
    const index = (at * ENTRY_PART) | 0;
    if (index >= SHAPE_ENTRIES - 1) return this.shapes[this.#table + SHAPE_ENTRIES - 1];
    const here = this.shapes[this.#table + index];
    const drop = here - this.shapes[this.#table + index + 1];
    return here - ((drop * (at - index * ENTRY_FRACTION) * ENTRY_PART) | 0);
  }
}
