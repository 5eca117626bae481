import type { ChosenSymbols } from '../byte-budget.js';
import { encodeFace, type FaceSymbols } from '../container/face-code.js';
import type { LatentModel } from '../entropy/latent-model.js';
import { codeLength } from '../entropy/latent-stream.js';
import { type ChosenDetail, chooseDetail, DETAIL_STEPS, detailPlanes } from './detail-stream.js';
import { detailCoefficients } from './detail-transform.js';

/** The weight of a bit against squared error in squared steps, at the step that fits. */
const LAMBDA = 0.14;
/** λ of the search for the bytes that are left lies between these. */
const MIN_LAMBDA = 0.06;
const MAX_LAMBDA = 0.3;
/** log2 of how many more bits a step takes than the next coarser one, where nothing else is known. */
const BITS_BY_STEP = 0.17;
/** log2 of bits by log2 of λ, where λ falls. */
const BITS_BY_LAMBDA = 0.4;
const FIRST_STEP = 22;
const MAX_TRIES = 7;
const MAX_LAMBDAS = 5;
/** With this few bits left, the search ends. */
const SPENT = 16;
/** Bits that the range coder takes beyond the code length. */
const CODER_BITS = 0.5;

/** A face with a detail layer, its code, and the squared error of its picture before rounding. */
export type DetailedFace = FaceSymbols & ChosenSymbols & { code: Uint8Array; error: number };

/**
 * Adds the detail layer of least squared error with which the code of a face takes at most `maxBytes`.
 * @param original RGB, 3 bytes a pixel
 * @param base what `face` is restored to
 * @returns undefined where the layer does not fit, or has nothing to add
 */
export function withDetail(
  original: Uint8Array,
  base: Uint8Array,
  face: FaceSymbols & ChosenSymbols,
  { latents, maxBytes, size }: { latents: LatentModel; maxBytes: number; size: { width: number; height: number } },
): DetailedFace | undefined {
  const spare = 8 * maxBytes - CODER_BITS - codeLength(face.symbols, latents, face.qIndex);
  const coefficients = detailCoefficients(original, base, size, detailPlanes(face.grey));
  for (const { step, symbols, error } of layersWithin(coefficients, spare)) {
    if (symbols.every((symbol) => symbol === 0)) continue;
    const detailed = { ...face, detail: { step, symbols } };
    const code = encodeFace(detailed, latents);
    if (code.length <= maxBytes) return { ...detailed, code, error };
  }
  return undefined;
}

/** Layers of at most so many bits, the best ones first. */
function layersWithin(coefficients: Float64Array, spare: number): ChosenDetail[] {
  const all: ChosenDetail[] = [];
  const at = (step: number, lambda: number): ChosenDetail => {
    const tried = chooseDetail(coefficients, step, lambda);
    all.push(tried);
    return tried;
  };
  const near = nearestStep(at, spare);
  // Then λ at this step, between one with too many bits and one that fits.
  let [low, high, slope] = [MIN_LAMBDA, MAX_LAMBDA, BITS_BY_LAMBDA];
  let last = { lambda: LAMBDA, bits: near.bits };
  const aim = Math.max(1, spare - SPENT / 2);
  for (let k = 0; k < MAX_LAMBDAS && !(last.bits <= spare && last.bits > spare - SPENT); k++) {
    if (last.bits > spare) low = last.lambda;
    else high = last.lambda;
    const there = last.lambda * (last.bits / aim) ** (1 / slope);
    const lambda = low * (high / low) ** clampNumber(Math.log(there / low) / Math.log(high / low), 0.03, 0.97);
    const { bits } = at(near.step, lambda);
    const measured = Math.log(last.bits / bits) / Math.log(lambda / last.lambda);
    slope = clampNumber(Number.isFinite(measured) ? measured : slope, 0.1, 1.5);
    last = { lambda, bits };
  }
  return all.filter(({ bits }) => bits <= spare).sort((a, b) => a.error - b.error);
}

/** Of the finest step that fits at the usual λ and the next finer one, that whose bits are nearer. */
function nearestStep(at: (step: number, lambda: number) => ChosenDetail, spare: number): ChosenDetail {
  let [over, under]: (ChosenDetail | undefined)[] = [];
  let [step, slope] = [FIRST_STEP, BITS_BY_STEP];
  let last: ChosenDetail | undefined;
  const log = (bits: number): number => Math.log2(Math.max(1, bits));
  for (let k = 0; k < MAX_TRIES; k++) {
    const tried = at(step, LAMBDA);
    if (tried.bits > spare) over = tried;
    else under = tried;
    const [low, high] = [over ? over.step + 1 : 0, under ? under.step - 1 : DETAIL_STEPS - 1];
    if (low > high) break;
    if (last) slope = Math.min(0.5, Math.max(0.05, (log(last.bits) - log(tried.bits)) / (tried.step - last.step)));
    last = tried;
    step = Math.min(high, Math.max(low, step + Math.round((log(tried.bits) - log(spare)) / slope)));
  }
  const distance = ({ bits }: ChosenDetail): number => Math.abs(log(bits) - log(spare));
  if (!over || !under) return (over ?? under)!;
  return distance(over) < distance(under) ? over : under;
}

const clampNumber = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
