import { ArgumentError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { SYMBOL_RANGE } from '../models/autoencoder.js';
import { add, div, mul, sub } from '../ops/binary.js';
import { pad, reshape, slice } from '../ops/layout.js';
import { quantize } from '../ops/quantize.js';
import { sum } from '../ops/reduce.js';
import { transpose } from '../ops/transpose.js';
import { affine, clamp, log, relu } from '../ops/unary.js';
import { keep, Tensor } from '../tensor/tensor.js';

/**
 * Bits of the deflated symbols of a face, as a linear function of `literals` and `runs`. Least squares on the sizes of real files;
 * `npx tsx bench/png-rate.ts` fits these numbers and writes results/paper/png-rate.md, which has the errors on other faces.
 */
export const PNG_FIT = { literals: 0.971, runs: 1.7, rest: 267 } as const;

/** So many zeros are literals before a run begins, whose further zeros cost nothing. */
const BEFORE_RUN = 5;
/** Magnitudes between which the prices of symbols are interpolated: rare symbols share a price. */
const MAGNITUDES = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, SYMBOL_RANGE.max];
/** A symbol that a file does not have yet costs as much as one that it has so often. */
const LEAST_COUNT = 0.5;

/** Of each face, [N]. */
export interface PngFeatures {
  /** Bits of the symbols that are literals, in a Huffman code of all of them: at least 1 bit each. */
  literals: Tensor;
  /** Runs of zeros. */
  runs: Tensor;
}

/** How the symbols of a map are used: as weights of the magnitudes at which prices are known. */
interface Use {
  /** [N, symbols, values] */
  shares: Tensor;
  /** Which symbols are 0, [N, symbols]. */
  zeros: Tensor;
  /** Which symbols come after zeros that begin a run, [N, symbols]. */
  inRun: Tensor;
}

/**
 * Estimates what PNG takes for symbols, so that a gradient follows it. Deflate has one Huffman code for all channels, in which a
 * literal takes at least 1 bit, and a run of zeros costs as much as a few literals, however long it is. So a face's bits are
 * modelled by two features of its symbols, channel after channel: bits of the literals in the face's own distribution, and the number of runs.
 *
 * The prices of symbols come from rounded symbols. The gradient is that of the prices, interpolated between integers,
 * at the values before rounding, as if the prices did not change: the entropy's gradient by its own distribution is 0.
 */
export class PngRate {
  /** Values with a price, [values, 1]; the reciprocal distances to the next smaller and greater one; log2 of the values that one stands for. */
  readonly #values: Tensor;
  readonly #below: Tensor;
  readonly #above: Tensor;
  readonly #width: Tensor;
  readonly #count: number;

  constructor(gpu: Gpu) {
    const values = [
      ...MAGNITUDES.slice(1)
        .reverse()
        .map((value) => -value),
      ...MAGNITUDES,
    ];
    this.#count = values.length;
    const gap = (k: number): number => values[k + 1] - values[k];
    const below = values.map((_, k) => (k > 0 ? gap(k - 1) : 1));
    const above = values.map((_, k) => (k + 1 < values.length ? gap(k) : 1));
    const row = (numbers: readonly number[]): Tensor =>
      keep(Tensor.from(gpu, Float32Array.from(numbers), [numbers.length]));
    this.#values = row(values);
    this.#below = row(below.map((distance) => 1 / distance));
    this.#above = row(above.map((distance) => 1 / distance));
    this.#width = row(values.map((_, k) => Math.log2((below[k] + above[k]) / 2)));
  }

  /**
   * @param values before rounding, [N,h,w,C] in steps
   * @returns `bits` of each face's rounded symbols, [N], without a gradient; and `loss`, [], whose gradient is that of the sum of all bits
   * @throws ArgumentError for values of another rank
   */
  bits(values: Tensor): { bits: Tensor; loss: Tensor } {
    const { own, rounded } = this.#uses(values);
    const prices = this.#prices(rounded);
    const total = (use: Use): Tensor => {
      const { literals, runs } = PNG_FIT;
      const bits = add(affine(this.#literals(use, prices), literals), affine(runsOf(use), runs));
      return affine(bits, 1, PNG_FIT.rest);
    };
    return { bits: total(rounded), loss: sum(total(own)) };
  }

  /**
   * The features of rounded symbols.
   * @param values as `bits` takes them
   */
  features(values: Tensor): PngFeatures {
    const { rounded } = this.#uses(values);
    return { literals: this.#literals(rounded, this.#prices(rounded)), runs: runsOf(rounded) };
  }

  #uses(values: Tensor): { own: Use; rounded: Use } {
    if (values.shape.length !== 4) {
      throw new ArgumentError(`PNG's rate: the values have shape [${values.shape}]; expected [N,h,w,C]`);
    }
    const { min, max } = SYMBOL_RANGE;
    return {
      own: this.#useOf(clamp(values, min, max)),
      rounded: this.#useOf(quantize(values, { mode: 'hard', min, max })),
    };
  }

  #useOf(values: Tensor): Use {
    const [n, h, w, c] = values.shape;
    const symbols = h * w * c;
    // Channel after channel, as the file has them.
    const planes = reshape(transpose(values, [0, 3, 1, 2]), [n, symbols, 1]);
    const distance = sub(planes, this.#values);
    const outside = add(mul(relu(distance), this.#above), mul(relu(affine(distance, -1)), this.#below));
    const shares = relu(affine(outside, -1, 1));
    const zeros = reshape(slice(shares, [0, 0, MAGNITUDES.length - 1], [n, symbols, 1]), [n, symbols]);
    const earlier = pad(zeros, [0, BEFORE_RUN], [0, 0]);
    let inRun = slice(earlier, [0, 0], [n, symbols]);
    for (let k = 1; k < BEFORE_RUN; k++) inRun = mul(inRun, slice(earlier, [0, k], [n, symbols]));
    return { shares, zeros, inRun };
  }

  /** Bits of each value as a literal, [N, values]. */
  #prices({ shares, zeros, inRun }: Use): Tensor {
    const [n, , values] = shares.shape;
    const middle = MAGNITUDES.length - 1;
    const free = reshape(sum(mul(zeros, inRun), [1]), [n, 1]);
    const counts = sub(sum(shares, [1]), pad(free, [0, middle], [0, values - middle - 1]));
    const total = sum(counts, [1], true);
    const atLeast = affine(relu(affine(counts, 1, -LEAST_COUNT)), 1, LEAST_COUNT);
    const ideal = add(affine(log(div(total, atLeast)), 1 / Math.LN2), this.#width);
    return affine(relu(affine(ideal, 1, -1)), 1, 1);
  }

  #literals({ shares, zeros, inRun }: Use, prices: Tensor): Tensor {
    const [n] = shares.shape;
    const all = sum(mul(shares, reshape(prices, [n, 1, this.#count])), [1, 2]);
    const zero = slice(prices, [0, MAGNITUDES.length - 1], [n, 1]);
    return sub(all, sum(mul(mul(zeros, inRun), zero), [1]));
  }

  dispose(): void {
    for (const tensor of [this.#values, this.#below, this.#above, this.#width]) tensor.dispose();
  }
}

/** Runs end before a symbol that is not 0, or with the map. */
function runsOf({ zeros, inRun }: Use): Tensor {
  const [n, symbols] = zeros.shape;
  const at = (all: Tensor): Tensor => reshape(slice(all, [0, symbols - 1], [n, 1]), [n]);
  return add(sum(mul(inRun, affine(zeros, -1, 1)), [1]), mul(at(inRun), at(zeros)));
}
