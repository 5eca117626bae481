import { dropoutPlan, dropoutShader } from '../../shaders/dropout.wgsl.js';
import { checkOptions, checkWord, refuse } from '../common/arguments.js';
import { quantizationNoise } from '../common/random.js';
import type { Shape } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { chooseVectors, elementKernel, type VectorChoice } from '../kernels/elementwise.js';
import { map, type NdArray } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs } from './shape-checks.js';

/**
 * An element becomes 0 where its random number is below `rate`, and else is multiplied by 1 / (1 − rate). The number is uniform in
 * [0, 1), from Threefry-2x32 (key = [seed, stream], counter = [element, 0]).
 */
export interface DropoutAttrs {
  rate: number;
  seed: number;
  stream: number;
}

/** @throws ArgumentError */
function checkDropout({ rate, seed, stream }: DropoutAttrs): void {
  // A rate that float32 rounds to 1 would divide by 0.
  if (!(rate >= 0 && Math.fround(rate) < 1)) refuse('dropout', 'rate', rate, 'a number from 0 to below 1');
  checkWord('dropout', 'seed', seed);
  checkWord('dropout', 'stream', stream);
}

function dropoutShape(inputs: readonly Shape[], attrs: DropoutAttrs): number[] {
  checkInputs('dropout', inputs, ['input']);
  checkDropout(attrs);
  return [...inputs[0]];
}

/** Bindings x, y, then the uniform; `width` elements an invocation, a divisor of `size`. The gradient is the same of dy. */
export function dropoutKernel(size: number, width: 1 | 4): Kernel {
  return elementKernel('dropout', dropoutShader(width), size / width);
}

/** The kernel's uniform, checked in each run of a recorded step, because `stream` may change. */
const scalarsOf = (attrs: DropoutAttrs) => (): ArrayBuffer => {
  checkDropout(attrs);
  const { rate, seed, stream } = attrs;
  return dropoutPlan.pack({ key: [seed, stream], rate, scale: 1 / (1 - rate) });
};

/** The operation with as many elements an invocation as `choose` says; tests replace the default by one. */
export function dropoutOp(choose: VectorChoice = chooseVectors): Op<DropoutAttrs> {
  const run = (x: Tensor, attrs: DropoutAttrs): Tensor =>
    dispatch(dropoutKernel(x.size, choose(x.size)), [x], x.shape, scalarsOf(attrs));
  return {
    inputs: ['x'],
    shape: dropoutShape,
    forward: ([x], attrs) => ({ output: run(x, attrs) }),
    backward: ({ attrs, dy }) => [run(dy, attrs)],
  };
}

export const dropoutOps = { dropout: /* @__PURE__ */ dropoutOp() };

/** Options of `dropout`. */
export interface DropoutOptions {
  /** Share of the elements that become 0, from 0 to below 1. */
  rate: number;
  /** Unsigned 32-bit integers that key the random numbers; give each step and each use its own stream (default 0). */
  seed?: number;
  /** A function is called in each run of a recorded step, more than once. */
  stream?: number | (() => number);
}

/**
 * Sets a random share of the elements to 0, and multiplies the others by 1 / (1 − rate), so that the mean stays. Which ones depends only on seed,
 * stream and the flat index: the same on every device. NaN and infinity of an element that is dropped give NaN.
 * Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
 *
 * @throws ArgumentError
 */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  const { rate, seed = 0, stream = 0 } = checkOptions('dropout', options, ['rate', 'seed', 'stream']);
  return apply('dropout', dropoutOps.dropout, [x], {
    rate,
    seed,
    get stream() {
      return typeof stream === 'function' ? stream() : stream;
    },
  });
}

function dropped(x: NdArray, { rate, seed, stream }: DropoutAttrs): NdArray {
  return map(x, (v, i) => v * (quantizationNoise(seed, stream, i) + 0.5 >= Math.fround(rate) ? 1 / (1 - rate) : 0));
}

export const dropoutReference: ReferenceRule<DropoutAttrs> = {
  forward: ([x], attrs) => dropped(x, attrs),
  backward: (_inputs, _y, dy, attrs) => [dropped(dy, attrs)],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const dropoutReferences = { dropout: dropoutReference };
