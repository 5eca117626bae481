import { STATES } from './entropy/dependent.js';
import { symbolCosts, TABULATED } from './trellis.js';

/*
 * The search of trellis.ts in integers: every processor finds the same symbols. `shaders/trellis.wgsl.ts` is the same search for
 * many faces at once.
 *
 * Costs are in units of 2^−20 squared steps. Those of a value are relative to its squared distance from the whole step below
 * it, and those of paths to the cheapest path, so that all fit into 32 bits.
 */

/** λ is an integer number of these parts of 1, below 1. */
export const LAMBDA_ONE = 4096;
/** A value's distance from the whole step below it is an integer number of these parts of a step. */
const VALUE_ONE = 2 ** 20;
/** Parts of a bit in the table of costs. */
const BIT_ONE = 8192;
/** λ times bits have so many binary digits too many. */
const COST_SHIFT = 5;
/** Bits of a symbol are limited to less than 128. */
const MAX_BITS = 128 * BIT_ONE - 1;
/** Steps beyond the table that count. */
const MAX_BEYOND = 1023;
/** Values of this size and more have no symbols near 0. */
const FAR = 32;
/** The cost of a state that no path has reached. */
const UNREACHED = 2 ** 29;
/** Larger values are taken for this. */
const MAX_VALUE = 32000;

const ROWS_PER_OCTAVE = 64;
const MIN_SCALE = 0.05;
/** Up to a scale of 205 steps. */
const ROWS = 12 * ROWS_PER_OCTAVE;
/** Numbers in a row: by quantizer and magnitude. */
const ROW = 2 * TABULATED;
/** Rows that the scale moves by with each quantization index. */
export const ROWS_PER_INDEX = ROWS_PER_OCTAVE / 8;

/** The scale of each row of the table, in steps. */
export const rowScales = (): Float64Array =>
  Float64Array.from({ length: ROWS }, (_, row) => MIN_SCALE * 2 ** (row / ROWS_PER_OCTAVE));

/** For the kernel. */
export const TRELLIS_CONSTANTS = {
  tabulated: TABULATED,
  rows: ROWS,
  valueOne: VALUE_ONE,
  costShift: COST_SHIFT,
  maxBits: MAX_BITS,
  maxBeyond: MAX_BEYOND,
  maxValue: MAX_VALUE,
  far: FAR,
  unreached: UNREACHED,
};

let table: Int32Array | undefined;

/** Bits of magnitudes in parts of BIT_ONE, [ROWS, 2 quantizers, TABULATED]. */
export function bitTable(): Int32Array {
  table ??= Int32Array.from(symbolCosts(rowScales()), (bits) => Math.round(bits * BIT_ONE));
  return table;
}

/**
 * The row of each scale in steps; rows outside of the table stand for its ends.
 * @param order in which the values are coded: the rows are in it
 */
export const rowsOf = (scales: ArrayLike<number>, order: ArrayLike<number>): Int32Array =>
  Int32Array.from(order, (i) => Math.round(ROWS_PER_OCTAVE * Math.log2(Math.max(scales[i], 1e-9) / MIN_SCALE)));

/** A search: at which quantization, and how much a bit weighs. */
export interface TrellisJob {
  /** What values multiply by; it is rounded to float32. */
  gain: number;
  /** What to add to the rows of `rowsOf`. */
  shift: number;
  /** In parts of `LAMBDA_ONE`. */
  lambda: number;
  /** From this step on, `lambdaThen` is used. */
  split?: number;
  lambdaThen?: number;
}

/** Symbols of dependent quantization, as `quantizeDependent` chooses them. It is used for one face after the other. */
export class IntegerTrellis {
  /** By step: from which state the best path to each state came, in four bits. */
  readonly #came: Uint8Array;
  /** By step, quantizer and parity: the best magnitude. */
  readonly #magnitudes: Int16Array;
  readonly #cost = new Int32Array(4);
  readonly #table = bitTable();

  /**
   * @param rows of `rowsOf`
   * @param order in which the values are coded
   */
  constructor(
    readonly rows: Int32Array,
    readonly order: Int32Array,
  ) {
    this.#came = new Uint8Array(order.length);
    this.#magnitudes = new Int16Array(STATES * order.length);
  }

  /** @param values in units, rounded to float32 */
  choose(
    values: Float32Array,
    { gain, shift, lambda: first, split = this.order.length, lambdaThen = first }: TrellisJob,
  ): Int16Array {
    const { rows, order } = this;
    const table = this.#table;
    const came = this.#came;
    const magnitudes = this.#magnitudes;
    const cost = this.#cost;
    const count = order.length;
    const factor = Math.fround(gain);
    let [p0, p1, p2, p3] = [0, UNREACHED, UNREACHED, UNREACHED];
    for (let k = 0; k < count; k++) {
      const lambda = k < split ? first : lambdaThen;
      const value = Math.min(Math.abs(Math.fround(values[order[k]] * factor)), MAX_VALUE);
      const whole = value | 0;
      const part = ((value - whole) * VALUE_ONE) | 0;
      let row = rows[k] + shift;
      row = ROW * (row < 0 ? 0 : row >= ROWS ? ROWS - 1 : row);
      const at = STATES * k;
      let [c0, c1, c2, c3] = [0, 0, 0, 0];
      if (whole === 0) {
        // Most values: of the first quantizer 0 and 1 are possible, of the second 0 and ½, or also 1½.
        c0 = Math.imul(table[row], lambda) >>> COST_SHIFT;
        c1 = VALUE_ONE - 2 * part + (Math.imul(table[row + 1], lambda) >>> COST_SHIFT);
        c2 = Math.imul(table[row + TABULATED], lambda) >>> COST_SHIFT;
        c3 = VALUE_ONE / 4 - part + (Math.imul(table[row + TABULATED + 1], lambda) >>> COST_SHIFT);
        magnitudes[at] = magnitudes[at + 2] = 0;
        magnitudes[at + 1] = magnitudes[at + 3] = 1;
        if (part >= VALUE_ONE / 2) {
          const far = (9 * VALUE_ONE) / 4 - 3 * part + (Math.imul(table[row + TABULATED + 2], lambda) >>> COST_SHIFT);
          if (far <= c2) {
            c2 = far;
            magnitudes[at + 2] = 2;
          }
        }
      } else {
        this.#findCandidates(at, row, whole, part, lambda);
        c0 = cost[0];
        c1 = cost[1];
        c2 = cost[2];
        c3 = cost[3];
      }
      // Two states lead to each state; of equal paths, the one from the lower state is taken.
      let bits = 0;
      let n0 = p0 + c0;
      if (p1 + c1 < n0) {
        n0 = p1 + c1;
        bits = 1;
      }
      let n1 = p2 + c2;
      if (p3 + c3 < n1) {
        n1 = p3 + c3;
        bits |= 2;
      }
      let n2 = p0 + c1;
      if (p1 + c0 < n2) {
        n2 = p1 + c0;
        bits |= 4;
      }
      let n3 = p2 + c3;
      if (p3 + c2 < n3) {
        n3 = p3 + c2;
        bits |= 8;
      }
      came[k] = bits;
      const least = Math.min(n0, n1, n2, n3);
      p0 = n0 - least;
      p1 = n1 - least;
      p2 = n2 - least;
      p3 = n3 - least;
    }
    return this.#symbols(values, p0 === 0 ? 0 : p1 === 0 ? 1 : p2 === 0 ? 2 : 3);
  }

  /** Finds the best magnitudes of a value of one step or more: for step `at`, by quantizer and parity. */
  #findCandidates(at: number, row: number, whole: number, part: number, lambda: number): void {
    const table = this.#table;
    for (let quantizer = 0; quantizer < 2; quantizer++) {
      // The largest magnitude whose point is at most the value; the next one is nearest of the other parity.
      const below = quantizer === 0 || part < VALUE_ONE / 2 ? whole : whole + 1;
      for (let n = below; n < below + 2; n++) {
        const parity = n & 1;
        let best = costOf(table, row, quantizer, n, whole, part, lambda);
        let magnitude = n;
        if (n - 2 > parity) {
          const cost = costOf(table, row, quantizer, n - 2, whole, part, lambda);
          if (cost < best) {
            best = cost;
            magnitude = n - 2;
          }
        }
        if (n > parity && whole < FAR) {
          const cost = costOf(table, row, quantizer, parity, whole, part, lambda);
          if (cost < best) {
            best = cost;
            magnitude = parity;
          }
        }
        this.#cost[2 * quantizer + parity] = best;
        this.#magnitudes[at + 2 * quantizer + parity] = magnitude;
      }
    }
  }

  /** Goes back along the best path from its last state. */
  #symbols(values: Float32Array, state: number): Int16Array {
    const { order } = this;
    const symbols = new Int16Array(values.length);
    for (let k = order.length - 1; k >= 0; k--) {
      const other = (this.#came[k] >> state) & 1;
      // The symbol's parity, and the quantizer of the state before it.
      const parity = other ^ (state >> 1);
      const quantizer = state & 1;
      const magnitude = this.#magnitudes[STATES * k + 2 * quantizer + parity];
      symbols[order[k]] = values[order[k]] < 0 ? -magnitude : magnitude;
      state = 2 * quantizer + other;
    }
    return symbols;
  }
}

/** The cost of a magnitude. */
function costOf(
  table: Int32Array,
  row: number,
  quantizer: number,
  n: number,
  whole: number,
  part: number,
  lambda: number,
): number {
  // Half steps from the whole step below the value to the point.
  const half = 2 * (n - whole) - (quantizer === 1 && n > 0 ? 1 : 0);
  const first = row + TABULATED * quantizer;
  let bits = table[first + Math.min(n, TABULATED - 1)];
  if (n >= TABULATED) {
    const each = bits - table[first + TABULATED - 2];
    bits = Math.min(bits + Math.min(n - TABULATED + 1, MAX_BEYOND) * each, MAX_BITS);
  }
  return half * ((VALUE_ONE / 4) * half - part) + (Math.imul(bits, lambda) >>> COST_SHIFT);
}
