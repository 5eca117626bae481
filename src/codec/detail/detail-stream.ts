import { ArgumentError, FormatError } from '../../common/errors.js';
import { clampInteger, powerOfEighths } from '../entropy/fixed-point.js';
import { MAX_SYMBOL } from '../entropy/latent-stream.js';
import {
  BITS_OF_FREQUENCY,
  FREQUENCY_TOTAL,
  golombBits,
  type RangeDecoder,
  type RangeEncoder,
} from '../entropy/range-coder.js';
import { DetailContexts, TABLE_COUNT, TABLE_ENTRIES } from './detail-contexts.js';
import { CHANCES, DETAIL_TABLES, type DetailTables } from './detail-tables.js';
import { RANKS } from './detail-transform.js';

/** The layer of a face has this many rows and columns of blocks. */
export const DETAIL_ROWS = 14;
export const DETAIL_COLUMNS = 12;
export const DETAIL_BLOCKS: number = DETAIL_ROWS * DETAIL_COLUMNS;
/** Number of step sizes, and bits of their index. */
export const DETAIL_STEPS = 64;
const STEP_BITS = 6;
const RANK_BITS = 7;
/** The finest step, in levels. */
const FINEST = 4;
/** Decisions of a symbol: is it 0, is its magnitude 1, is it 2. */
export const DECISIONS = 3;

/** The detail layer of a face: quantized coefficients of what the rest of its code leaves of the picture. */
export interface Detail {
  /** Index of the step, from 0 to 63; 8 more double it. */
  step: number;
  /** In the order [planes, ranks, blocks], with one plane for a grey face, else three. */
  symbols: Int16Array;
}

/** Levels of a symbol: 4 · 2^(step / 8). */
export const detailStep = (step: number): number => FINEST * powerOfEighths(step);

/** Planes of a layer. */
export const detailPlanes = (grey: boolean): number => (grey ? 1 : 3);

/** Chances by the logarithm of odds, from −8 to 8 in sixteenths. */
const CHANCE = /* @__PURE__ */ Int32Array.from({ length: 2 * CHANCES.length - 1 }, (_, k) =>
  k < CHANCES.length ? CHANCES[k] : FREQUENCY_TOTAL - CHANCES[2 * CHANCES.length - 2 - k],
);
/** The largest logarithm of odds. */
const MAX_ODDS = 128;

/** The chance that a decision is yes, in parts of 65536. */
export function chanceOf(odds: Int8Array, decision: number, entries: Int32Array): number {
  const from = decision * TABLE_ENTRIES;
  let sum = 0;
  for (let k = 0; k < TABLE_COUNT; k++) sum += odds[from + entries[k]];
  return CHANCE[clampInteger(sum, -MAX_ODDS, MAX_ODDS) + MAX_ODDS];
}

/** Goes through a layer in coding order; `code` gives or takes the symbol at an index, whose table entries it gets. */
export function walkDetail(
  step: number,
  ranks: readonly number[],
  code: (index: number, entries: Int32Array) => number,
  tables: DetailTables = DETAIL_TABLES,
): void {
  const contexts = new DetailContexts(DETAIL_ROWS, DETAIL_COLUMNS, ranks.length);
  ranks.forEach((count, plane) => {
    const positions = plane === 0 ? 0 : DETAIL_BLOCKS;
    for (let rank = 0; rank < count; rank++) {
      contexts.begin(plane, rank);
      const index = (plane * RANKS + rank) * DETAIL_BLOCKS;
      const scale = tables.frequency[plane * RANKS + rank] - step + PRIOR_OFFSET;
      for (let block = 0; block < DETAIL_BLOCKS; block++) {
        contexts.find(block, clampInteger((scale + tables.position[positions + block]) >> 1, 0, 39));
        contexts.add(block, code(index + block, contexts.entries));
      }
    }
  });
}
/** Eighths of an octave by which the lowest prior is below one step. */
const PRIOR_OFFSET = 52;

/** For each plane, the number of ranks up to the last one with a symbol other than 0. */
export function usedRanks(symbols: ArrayLike<number>): number[] {
  const perPlane = RANKS * DETAIL_BLOCKS;
  return Array.from({ length: symbols.length / perPlane }, (_, plane) => {
    let last = perPlane - 1;
    while (last >= 0 && symbols[plane * perPlane + last] === 0) last--;
    return last < 0 ? 0 : Math.floor(last / DETAIL_BLOCKS) + 1;
  });
}

/** @throws ArgumentError for a layer that no stream can hold */
export function encodeDetail(coder: RangeEncoder, { step, symbols }: Detail, grey: boolean): void {
  const planes = detailPlanes(grey);
  if (!(Number.isInteger(step) && step >= 0 && step < DETAIL_STEPS)) {
    throw new ArgumentError(`detail: step ${step}; expected an integer from 0 to ${DETAIL_STEPS - 1}`);
  }
  if (symbols.length !== planes * RANKS * DETAIL_BLOCKS) {
    throw new ArgumentError(`detail: ${symbols.length} symbols; expected ${planes * RANKS * DETAIL_BLOCKS}`);
  }
  const { odds } = DETAIL_TABLES;
  const ranks = usedRanks(symbols);
  coder.bits(step, STEP_BITS);
  for (const count of ranks) coder.bits(count, RANK_BITS);
  const decide = (decision: number, entries: Int32Array, yes: boolean): void => {
    const chance = chanceOf(odds, decision, entries);
    if (yes) coder.encode(0, chance);
    else coder.encode(chance, FREQUENCY_TOTAL - chance);
  };
  walkDetail(step, ranks, (index, entries) => {
    const symbol = symbols[index];
    const magnitude = Math.abs(symbol);
    decide(0, entries, magnitude === 0);
    if (magnitude === 0) return 0;
    coder.bits(symbol < 0 ? 1 : 0, 1);
    for (let n = 1; n < DECISIONS; n++) {
      decide(n, entries, magnitude === n);
      if (magnitude === n) return symbol;
    }
    coder.golomb(magnitude - DECISIONS, 0);
    return symbol;
  });
}

/** How messages about a layer that no encoder writes begin. */
const CORRUPT = 'the face is corrupt or cut off: its detail layer';

/** @throws FormatError for a layer that no encoder writes */
export function decodeDetail(coder: RangeDecoder, grey: boolean): Detail {
  const planes = detailPlanes(grey);
  const symbols = new Int16Array(planes * RANKS * DETAIL_BLOCKS);
  const { odds } = DETAIL_TABLES;
  const step = coder.bits(STEP_BITS);
  const ranks = Array.from({ length: planes }, () => coder.bits(RANK_BITS));
  for (const count of ranks)
    if (count > RANKS) throw new FormatError(`${CORRUPT} has ${count} ranks; expected at most ${RANKS}`);
  const decide = (decision: number, entries: Int32Array): boolean => {
    const chance = chanceOf(odds, decision, entries);
    const yes = coder.target() < chance;
    if (yes) coder.take(0, chance);
    else coder.take(chance, FREQUENCY_TOTAL - chance);
    return yes;
  };
  walkDetail(step, ranks, (index, entries) => {
    if (decide(0, entries)) return 0;
    const sign = coder.bits(1) === 1 ? -1 : 1;
    let magnitude = 1;
    while (magnitude < DECISIONS && !decide(magnitude, entries)) magnitude++;
    if (magnitude === DECISIONS) magnitude += coder.golomb(0);
    if (magnitude > MAX_SYMBOL)
      throw new FormatError(`${CORRUPT} has a symbol of size ${magnitude}; expected at most ${MAX_SYMBOL}`);
    symbols[index] = sign * magnitude;
    return symbols[index];
  });
  if (usedRanks(symbols).some((count, plane) => count !== ranks[plane])) {
    throw new FormatError(`${CORRUPT} ends with a rank of zeros`);
  }
  return { step, symbols };
}

/** A layer, and what it costs. */
export interface ChosenDetail extends Detail {
  /** Bits of its code. */
  bits: number;
  /** Squared error of the coefficients, in squared levels. */
  error: number;
}

/**
 * Rounds coefficients to symbols, one by one in coding order, so that squared error plus λ times bits is least; λ is in squared
 * steps. What a symbol does to the contexts of later ones is not counted.
 * @param coefficients [planes, ranks, blocks], in levels
 */
export function chooseDetail(
  coefficients: Float64Array,
  step: number,
  lambda: number,
  tables: DetailTables = DETAIL_TABLES,
): ChosenDetail {
  const levels = detailStep(step);
  const symbols = new Int16Array(coefficients.length);
  const { odds } = tables;
  const planes = coefficients.length / (RANKS * DETAIL_BLOCKS);
  const within = Int8Array.from(coefficients, (value) => (Math.abs(value) > SURELY_ZERO * levels ? 1 : 0));
  const ranks = usedRanks(within);
  let [bits, error] = [STEP_BITS + planes * RANK_BITS, 0];
  walkDetail(
    step,
    ranks,
    (index, entries) => {
      const value = Math.abs(coefficients[index]) / levels;
      const zero = chanceOf(odds, 0, entries);
      let [best, own, least] = [0, BITS_OF_FREQUENCY[zero], value * value + lambda * BITS_OF_FREQUENCY[zero]];
      const nearest = Math.min(MAX_SYMBOL, Math.floor(value + 0.5));
      for (let n = Math.max(1, nearest - 1); n <= nearest; n++) {
        const bitsThere = BITS_OF_FREQUENCY[FREQUENCY_TOTAL - zero] + 1 + magnitudeBits(odds, entries, n);
        const cost = (value - n) ** 2 + lambda * bitsThere;
        if (cost < least) [best, own, least] = [n, bitsThere, cost];
      }
      bits += own;
      error += (value - best) ** 2;
      if (best === 0) return 0;
      symbols[index] = coefficients[index] < 0 ? -best : best;
      return symbols[index];
    },
    tables,
  );
  let rest = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (let k = (plane * RANKS + ranks[plane]) * DETAIL_BLOCKS; k < (plane + 1) * RANKS * DETAIL_BLOCKS; k++)
      rest += coefficients[k] * coefficients[k];
  }
  return { step, symbols, bits, error: error * levels * levels + rest };
}
/** A smaller share of a step never becomes a symbol. */
const SURELY_ZERO = 0.5;

/** Bits of a magnitude above 0, without those of its sign. */
function magnitudeBits(odds: Int8Array, entries: Int32Array, magnitude: number): number {
  let bits = 0;
  for (let n = 1; n < DECISIONS; n++) {
    const chance = chanceOf(odds, n, entries);
    if (magnitude === n) return bits + BITS_OF_FREQUENCY[chance];
    bits += BITS_OF_FREQUENCY[FREQUENCY_TOTAL - chance];
  }
  return bits + golombBits(magnitude - DECISIONS, 0);
}
