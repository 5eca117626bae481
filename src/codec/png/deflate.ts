import {
  type BlockPlan,
  emptyHistogram,
  type Histogram,
  META_EXTRA_BITS,
  planBlock,
  refineBlock,
} from './deflate-block.js';
import { findMatches, type Matches } from './deflate-matches.js';
import {
  CODE_LENGTH_ORDER,
  distanceBase,
  distanceCode,
  distanceExtra,
  END_OF_BLOCK,
  lengthBase,
  lengthCode,
  lengthExtra,
  MIN_MATCH,
} from './deflate-tables.js';
import { huffmanCodes } from './huffman.js';

/** Greatest number of pieces between which block borders are searched; the search is quadratic in it. */
const MAX_PIECES = 16;

/**
 * The data as a chain of steps: from position i the next step goes to i + length[i]; a length of 1 is a literal,
 * else a match at distance[i]. Only positions on the chain count.
 */
interface Parse {
  length: Uint16Array;
  distance: Uint16Array;
}

/** data[from, to) and the codes that it is written with. */
interface Block {
  from: number;
  to: number;
  plan: BlockPlan;
}

/** Price in bits of each literal, match length and distance code, extra bits included. */
interface Prices {
  literal: Float64Array;
  length: Float64Array;
  distance: Float64Array;
}

/**
 * Deflated data (RFC 1951, no zlib frame), as small as this encoder can make it. Unlike zlib it weighs every match
 * against literals at the price of the codes in use, cuts the data into blocks where that pays, and bends the codes
 * towards shorter headers. Borders between blocks are searched after the first `headLength` bytes, and from there at
 * multiples of `pieceLength` bytes.
 */
export function deflateSmallest(data: Uint8Array, pieceLength: number, headLength = 0): Uint8Array {
  const { parse, blocks } = planBlocks(data, pieceLength, headLength);
  return writeBlocks(data, parse, blocks);
}

/** What the parts of deflated data take, in bits. */
export interface DeflateParts {
  /** Types of blocks, and the tables of their codes. */
  tables: number;
  literals: number;
  /** Lengths and distances of matches, extra bits included. */
  matches: number;
  /** Ends of blocks. */
  ends: number;
}

/** The parts of what {@link deflateSmallest} writes; only the padding to a whole byte is left out. */
export function deflateParts(data: Uint8Array, pieceLength: number, headLength = 0): DeflateParts {
  const { parse, blocks } = planBlocks(data, pieceLength, headLength);
  const parts: DeflateParts = { tables: 0, literals: 0, matches: 0, ends: 0 };
  for (const { from, to, plan } of blocks) {
    let [literals, matches] = [0, 0];
    for (let i = from; i < to; i += parse.length[i]) {
      const length = parse.length[i];
      if (length === 1) literals += plan.literalLengths[data[i]];
      else {
        const [l, d] = [lengthCode[length], distanceCode(parse.distance[i])];
        matches += plan.literalLengths[257 + l] + lengthExtra[l] + plan.distanceLengths[d] + distanceExtra[d];
      }
    }
    const end = plan.literalLengths[END_OF_BLOCK];
    parts.literals += literals;
    parts.matches += matches;
    parts.ends += end;
    parts.tables += plan.bits - literals - matches - end;
  }
  return parts;
}

function planBlocks(data: Uint8Array, pieceLength: number, headLength: number): { parse: Parse; blocks: Block[] } {
  const matches = findMatches(data);
  const parse: Parse = { length: new Uint16Array(data.length), distance: new Uint16Array(data.length) };
  bestParse(data, matches, parse, 0, data.length);
  const borders = splitIntoBlocks(data, parse, pieceBorders(data.length, pieceLength, headLength));
  const blocks: Block[] = [];
  for (let k = 0; k + 1 < borders.length; k++) {
    const [from, to] = [borders[k], borders[k + 1]];
    bestParse(data, matches, parse, from, to);
    let plan = refineBlock(histogramOf(data, parse, from, to));
    // The refined codes price the matches anew.
    const path = cheapestPath(data, matches, pricesOf(plan, false), from, to);
    const next = refineBlock(histogramOf(data, path, from, to, from));
    if (next.bits < plan.bits) {
      plan = next;
      parse.length.set(path.length, from);
      parse.distance.set(path.distance, from);
    }
    blocks.push({ from, to, plan });
  }
  return { parse, blocks };
}

/** Size in bits that one block would have: a fast estimate with which to compare ways to arrange the same data. */
export function deflateSize(data: Uint8Array): number {
  const parse: Parse = { length: new Uint16Array(data.length), distance: new Uint16Array(data.length) };
  return bestParse(data, findMatches(data), parse, 0, data.length).bits;
}

/** Positions where a block may begin or end: the head's end, then every `pieceLength`, thinned out evenly if too many. */
function pieceBorders(total: number, pieceLength: number, headLength: number): number[] {
  const step = pieceLength * Math.ceil((total - headLength) / pieceLength / MAX_PIECES);
  const borders = [0];
  for (let at = headLength || step; at < total; at += step) borders.push(at);
  borders.push(total);
  return borders;
}

/**
 * Chooses literals and matches for data[from, to), iterating between the cheapest path under given prices and the
 * prices that the path's Huffman code has. Writes the best path into `parse` and returns its plan.
 */
function bestParse(data: Uint8Array, matches: Matches, parse: Parse, from: number, to: number): BlockPlan {
  for (let i = from; i < to; i++) parse.length[i] = 1;
  let best = planBlock(histogramOf(data, parse, from, to));
  let prices = pricesOf(best, true);
  for (let round = 0; round < 6; round++) {
    const trial = cheapestPath(data, matches, prices, from, to);
    const plan = planBlock(histogramOf(data, trial, from, to, from));
    if (plan.bits >= best.bits && round > 0) break;
    if (plan.bits < best.bits) {
      best = plan;
      parse.length.set(trial.length, from);
      parse.distance.set(trial.distance, from);
    }
    prices = pricesOf(plan, false);
  }
  return best;
}

/** Prices that a plan's codes give; codes not in use get a guess, a low one where matches are still to be tried. */
function pricesOf(plan: BlockPlan, inviteMatches: boolean): Prices {
  const literal = Float64Array.from(plan.literalLengths.subarray(0, 256), (bits) => bits || 12);
  const length = new Float64Array(259);
  for (let k = MIN_MATCH; k <= 258; k++) {
    const code = lengthCode[k];
    length[k] = (plan.literalLengths[257 + code] || (inviteMatches ? 5 : 9)) + lengthExtra[code];
  }
  const distance = Float64Array.from(
    plan.distanceLengths,
    (bits, code) => (bits || (inviteMatches ? 2 : 6)) + distanceExtra[code],
  );
  return { literal, length, distance };
}

/** The path of least price through data[from, to); positions in the result count from `from`. */
function cheapestPath(data: Uint8Array, matches: Matches, prices: Prices, from: number, to: number): Parse {
  const n = to - from;
  const cost = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
  const stepLength = new Uint16Array(n + 1);
  const stepDistance = new Uint16Array(n + 1);
  cost[0] = 0;
  for (let i = 0; i < n; i++) {
    const here = cost[i];
    const single = here + prices.literal[data[from + i]];
    if (single < cost[i + 1]) {
      cost[i + 1] = single;
      stepLength[i + 1] = 1;
    }
    let k = MIN_MATCH;
    for (let m = matches.start[from + i]; m < matches.start[from + i + 1]; m++) {
      const base = here + prices.distance[distanceCode(matches.distance[m])];
      for (const end = Math.min(matches.length[m], n - i); k <= end; k++) {
        const price = base + prices.length[k];
        if (price < cost[i + k]) {
          cost[i + k] = price;
          stepLength[i + k] = k;
          stepDistance[i + k] = matches.distance[m];
        }
      }
    }
  }
  // Steps were noted where they end; a parse notes them where they begin.
  const path: Parse = { length: new Uint16Array(n), distance: new Uint16Array(n) };
  for (let at = n; at > 0; ) {
    const length = stepLength[at];
    const distance = stepDistance[at];
    at -= length;
    path.length[at] = length;
    path.distance[at] = distance;
  }
  return path;
}

/** Counts the codes of the steps that begin in [from, to); `shift` is the data position of the parse's first entry. */
function histogramOf(data: Uint8Array, parse: Parse, from: number, to: number, shift = 0): Histogram {
  const histogram = emptyHistogram();
  for (let i = from; i < to; i += parse.length[i - shift]) addStep(histogram, data, parse, i, shift);
  return histogram;
}

function addStep(histogram: Histogram, data: Uint8Array, parse: Parse, i: number, shift: number): void {
  const length = parse.length[i - shift];
  if (length === 1) histogram.literals[data[i]]++;
  else {
    histogram.literals[257 + lengthCode[length]]++;
    histogram.distances[distanceCode(parse.distance[i - shift])]++;
  }
}

/**
 * The subset of `borders` that makes the blocks smallest in sum: a shortest path over the borders, where an edge costs
 * what a block from one to the other takes. A match that crosses a border counts where it begins.
 */
function splitIntoBlocks(data: Uint8Array, parse: Parse, borders: number[]): number[] {
  const pieces = borders.length - 1;
  const cost = new Float64Array(pieces + 1).fill(Number.POSITIVE_INFINITY);
  const origin = new Int32Array(pieces + 1);
  cost[0] = 0;
  const firstStep = new Int32Array(pieces + 1);
  for (let i = 0, piece = 0; i < data.length; i += parse.length[i]) {
    while (piece < pieces && borders[piece] <= i) firstStep[piece++] = i;
  }
  firstStep[pieces] = data.length;
  for (let a = 0; a < pieces; a++) {
    const histogram = emptyHistogram();
    let at = firstStep[a];
    for (let b = a + 1; b <= pieces; b++) {
      for (; at < borders[b]; at += parse.length[at]) addStep(histogram, data, parse, at, 0);
      const total = cost[a] + planBlock(histogram).bits;
      if (total < cost[b]) {
        cost[b] = total;
        origin[b] = a;
      }
    }
  }
  const chosen = [borders[pieces]];
  for (let b = pieces; b > 0; b = origin[b]) chosen.unshift(borders[origin[b]]);
  return chosen;
}

/** Collects bits, least significant first, as deflate orders them. */
class BitWriter {
  private readonly bytes: number[] = [];
  private pending = 0;
  private count = 0;

  write(value: number, bits: number): void {
    this.pending |= value << this.count;
    this.count += bits;
    while (this.count >= 8) {
      this.bytes.push(this.pending & 255);
      this.pending >>>= 8;
      this.count -= 8;
    }
  }

  finish(): Uint8Array {
    if (this.count > 0) this.bytes.push(this.pending & 255);
    return Uint8Array.from(this.bytes);
  }
}

function writeBlocks(data: Uint8Array, parse: Parse, blocks: readonly Block[]): Uint8Array {
  const out = new BitWriter();
  blocks.forEach(({ from, to, plan }, index) => {
    writeHeader(out, plan, index === blocks.length - 1);
    const codes = huffmanCodes(plan.literalLengths);
    const distanceCodes = huffmanCodes(plan.distanceLengths);
    for (let i = from; i < to; i += parse.length[i]) {
      const length = parse.length[i];
      const distance = parse.distance[i];
      if (length === 1) {
        out.write(codes[data[i]], plan.literalLengths[data[i]]);
        continue;
      }
      const l = lengthCode[length];
      out.write(codes[257 + l], plan.literalLengths[257 + l]);
      out.write(length - lengthBase[l], lengthExtra[l]);
      const d = distanceCode(distance);
      out.write(distanceCodes[d], plan.distanceLengths[d]);
      out.write(distance - distanceBase[d], distanceExtra[d]);
    }
    out.write(codes[END_OF_BLOCK], plan.literalLengths[END_OF_BLOCK]);
  });
  return out.finish();
}

function writeHeader(out: BitWriter, { header }: BlockPlan, last: boolean): void {
  out.write(last ? 1 : 0, 1);
  out.write(header ? 2 : 1, 2);
  if (!header) return;
  out.write(header.literalCount - 257, 5);
  out.write(header.distanceCount - 1, 5);
  out.write(header.metaCount - 4, 4);
  for (let k = 0; k < header.metaCount; k++) out.write(header.metaLengths[CODE_LENGTH_ORDER[k]], 3);
  const codes = huffmanCodes(header.metaLengths);
  for (const { symbol, extra } of header.instructions) {
    out.write(codes[symbol], header.metaLengths[symbol]);
    out.write(extra, META_EXTRA_BITS[symbol]);
  }
}
