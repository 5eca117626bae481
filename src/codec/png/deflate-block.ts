import {
  CODE_LENGTH_ORDER,
  DISTANCE_CODES,
  distanceExtra,
  END_OF_BLOCK,
  LITERAL_CODES,
  lengthExtra,
} from './deflate-tables.js';
import { huffmanLengths } from './huffman.js';

/** How often each code of the two alphabets is used in a block; the end-of-block symbol counts once. */
export interface Histogram {
  literals: Uint32Array;
  distances: Uint32Array;
}

/** One instruction of the run-length coded list of code lengths: symbol 0..18 and the value of its extra bits. */
export interface LengthInstruction {
  symbol: number;
  extra: number;
}

/** A Huffman block, all but its data: the two codes, and how the header transmits them. */
export interface BlockPlan {
  /** Code lengths, 288 or 286 and 30 entries. */
  literalLengths: Uint8Array;
  distanceLengths: Uint8Array;
  /** Null for the code that RFC 1951 fixes (section 3.2.6), which needs no transmission. */
  header: BlockHeader | null;
  /** Size of header and data, extra bits and end of block included. */
  bits: number;
}

/** How the two codes of a dynamic-Huffman block are transmitted (RFC 1951, section 3.2.7). */
export interface BlockHeader {
  /** Number of lengths sent for each alphabet. */
  literalCount: number;
  distanceCount: number;
  instructions: LengthInstruction[];
  /** Lengths of the code-length code, and how many of them are sent. */
  metaLengths: Uint8Array;
  metaCount: number;
}

export function emptyHistogram(): Histogram {
  const literals = new Uint32Array(LITERAL_CODES);
  literals[END_OF_BLOCK] = 1;
  return { literals, distances: new Uint32Array(DISTANCE_CODES) };
}

/** Extra bits of each symbol of the code-length alphabet. */
export const META_EXTRA_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];

/** Costs in bits assumed for the code-length symbols before the first Huffman code of them exists. */
const typicalMetaCosts = [3, 6, 5, 4, 4, 4, 3, 3, 3, 4, 5, 6, 6, 6, 6, 6, 5, 5, 5];

const runCost = /* @__PURE__ */ new Float64Array(64);
const runStep = /* @__PURE__ */ new Uint8Array(64);

/** Splits a run of one length into instructions of least cost; `costs` in bits, without extra bits. */
function runInstructions(value: number, run: number, costs: ArrayLike<number>, out: LengthInstruction[]): void {
  // Nothing beats one long repeat for a long run of zeros, so the search below sees only short runs.
  for (; value === 0 && run > 20; ) {
    const k = run <= 138 ? run : Math.min(138, run - 11);
    out.push({ symbol: 18, extra: k - 11 });
    run -= k;
  }
  if (value !== 0) {
    // A repeat of a nonzero length needs the length itself before it.
    out.push({ symbol: value, extra: 0 });
    run--;
    for (; run > 20; run -= 6) out.push({ symbol: 16, extra: 3 });
  }
  for (let r = 1; r <= run; r++) {
    runCost[r] = runCost[r - 1] + costs[value];
    runStep[r] = 1;
    for (let k = Math.min(r, value === 0 ? 20 : 6); k >= 3; k--) {
      const symbol = repeatSymbol(value, k);
      const cost = runCost[r - k] + costs[symbol] + META_EXTRA_BITS[symbol];
      if (cost < runCost[r]) {
        runCost[r] = cost;
        runStep[r] = k;
      }
    }
  }
  for (let r = run; r > 0; r -= runStep[r]) {
    const k = runStep[r];
    const symbol = k === 1 ? value : repeatSymbol(value, k);
    out.push({ symbol, extra: k === 1 ? 0 : k - (symbol === 18 ? 11 : 3) });
  }
}

function repeatSymbol(value: number, count: number): number {
  if (value !== 0) return 16;
  return count <= 10 ? 17 : 18;
}

/** The list of code lengths as instructions, of least cost under `costs`. */
function instructionsFor(lengths: Uint8Array, costs: ArrayLike<number>): LengthInstruction[] {
  const out: LengthInstruction[] = [];
  for (let i = 0; i < lengths.length; ) {
    let run = 1;
    while (i + run < lengths.length && lengths[i + run] === lengths[i]) run++;
    runInstructions(lengths[i], run, costs, out);
    i += run;
  }
  return out;
}

/** What the code-length symbols cost under a code; one not in use would get a long code. */
function metaCosts(metaLengths: Uint8Array): Uint8Array {
  return metaLengths.map((length) => length || 7);
}

/** Size in bits of the codes and extra bits that a histogram counts. */
function dataBits({ literals, distances }: Histogram, literalLengths: Uint8Array, distanceLengths: Uint8Array): number {
  let bits = 0;
  for (let s = 0; s < LITERAL_CODES; s++) {
    bits += literals[s] * (literalLengths[s] + (s > END_OF_BLOCK ? lengthExtra[s - 257] : 0));
  }
  for (let s = 0; s < DISTANCE_CODES; s++) bits += distances[s] * (distanceLengths[s] + distanceExtra[s]);
  return bits;
}

/**
 * Completes a plan: the cheapest header found for these two codes, and the size of the whole block.
 * The search for the header starts from `similar`, the header of a plan that differs little.
 */
function planWithLengths(
  histogram: Histogram,
  literalLengths: Uint8Array,
  distanceLengths: Uint8Array,
  similar: BlockHeader | null,
): BlockPlan {
  let literalCount = LITERAL_CODES;
  while (literalLengths[literalCount - 1] === 0) literalCount--;
  let distanceCount = DISTANCE_CODES;
  while (distanceCount > 1 && distanceLengths[distanceCount - 1] === 0) distanceCount--;
  // Both lists are sent as one, and a run may go from the first into the second.
  const all = new Uint8Array(literalCount + distanceCount);
  all.set(literalLengths.subarray(0, literalCount));
  all.set(distanceLengths.subarray(0, distanceCount), literalCount);

  let header: BlockHeader | null = null;
  let headerBits = Number.POSITIVE_INFINITY;
  let costs: ArrayLike<number> = similar ? metaCosts(similar.metaLengths) : typicalMetaCosts;
  for (let round = 0; round < 2; round++) {
    const instructions = instructionsFor(all, costs);
    const counts = new Uint32Array(19);
    let bits = 3 + 5 + 5 + 4;
    for (const { symbol } of instructions) {
      counts[symbol]++;
      bits += META_EXTRA_BITS[symbol];
    }
    const metaLengths = huffmanLengths(counts, 7);
    let metaCount = 19;
    while (metaCount > 4 && metaLengths[CODE_LENGTH_ORDER[metaCount - 1]] === 0) metaCount--;
    bits += 3 * metaCount;
    for (let s = 0; s < 19; s++) bits += counts[s] * metaLengths[s];
    if (bits >= headerBits) break;
    header = { literalCount, distanceCount, instructions, metaLengths, metaCount };
    headerBits = bits;
    costs = metaCosts(metaLengths);
  }
  const bits = headerBits + dataBits(histogram, literalLengths, distanceLengths);
  return { literalLengths, distanceLengths, header, bits };
}

const fixedLiteralLengths = /* @__PURE__ */ (() => new Uint8Array(288).fill(8).fill(9, 144, 256).fill(7, 256, 280))();
const fixedDistanceLengths = /* @__PURE__ */ (() => new Uint8Array(DISTANCE_CODES).fill(5))();

/** The plan from plain Huffman codes or the fixed ones: good enough to compare ways to cut the data into blocks. */
export function planBlock(histogram: Histogram): BlockPlan {
  const plan = planWithLengths(
    histogram,
    huffmanLengths(histogram.literals, 15),
    huffmanLengths(histogram.distances, 15),
    null,
  );
  const fixedBits = 3 + dataBits(histogram, fixedLiteralLengths, fixedDistanceLengths);
  if (plan.bits <= fixedBits) return plan;
  return {
    literalLengths: fixedLiteralLengths,
    distanceLengths: fixedDistanceLengths,
    header: null,
    bits: fixedBits,
  };
}

/**
 * The plan with a code that is worse for the data but shorter to send: in blocks of some hundred symbols the header is
 * a large part. Neighbouring counts are averaged, window by window, wherever the block shrinks by it.
 */
export function refineBlock(histogram: Histogram): BlockPlan {
  let best = planBlock(histogram);
  if (!best.header) return best;
  for (const alphabet of ['literals', 'distances'] as const) {
    const counts = histogram[alphabet].slice();
    for (const width of [2, 3, 4, 6]) {
      for (let from = 0; from + width <= counts.length; from++) {
        const saved = average(
          counts,
          alphabet === 'literals' ? best.literalLengths : best.distanceLengths,
          from,
          width,
        );
        if (!saved) continue;
        const lengths = huffmanLengths(counts, 15);
        const plan =
          alphabet === 'literals'
            ? planWithLengths(histogram, lengths, best.distanceLengths, best.header)
            : planWithLengths(histogram, best.literalLengths, lengths, best.header);
        if (plan.bits < best.bits) best = plan;
        else counts.set(saved, from);
      }
    }
  }
  return best;
}

/**
 * Replaces counts[from, from + width) by their mean, 1 at least, and returns the old ones; null, with nothing changed,
 * where the code lengths are all the same already.
 */
function average(counts: Uint32Array, lengths: Uint8Array, from: number, width: number): Uint32Array | null {
  let sum = 0;
  let even = true;
  for (let i = from; i < from + width; i++) {
    sum += counts[i];
    even &&= lengths[i] === lengths[from];
  }
  if (even) return null;
  const saved = counts.slice(from, from + width);
  counts.fill(Math.max(1, Math.round(sum / width)), from, from + width);
  return saved;
}
