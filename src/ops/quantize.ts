import { quantizeGradientShader, quantizePlan, quantizeShader } from '../../shaders/quantize.wgsl.js';
import { checkOptions } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import { quantizationNoise } from '../common/random.js';
import type { Shape } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { chooseVectors, elementKernel, type VectorChoice } from '../kernels/elementwise.js';
import { map, type NdArray } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { roundToEven, within } from '../reference/scalar-functions.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkInputs, checkIntegers, checkPositive, checkRange } from './shape-checks.js';

/**
 * v = x·scale; 'noise': v + u, u uniform in [−½, ½) from Threefry-2x32 (key = [seed, stream], counter = [element, 0]);
 * 'straightThrough' and 'hard': round half to even. Then clamped to [min, max]: the output is in integer units.
 * Gradient: dy·scale where min ≤ unclamped ≤ max, else 0; none for 'hard'.
 */
export interface QuantizeAttrs {
  mode: 'noise' | 'straightThrough' | 'hard';
  scale: number;
  min: number;
  max: number;
  seed: number;
  stream: number;
}

/** Up to here float32 holds every integer. */
const MAX_INTEGER = 0x1000000;

/** @throws ArgumentError */
export function checkQuantize(attrs: QuantizeAttrs): void {
  const op = 'quantize';
  if (!['noise', 'straightThrough', 'hard'].includes(attrs.mode)) {
    throw new ArgumentError(`${op}: mode is ${attrs.mode}; expected noise, straightThrough or hard`);
  }
  checkPositive(op, 'scale', attrs.scale);
  checkRange(op, attrs.min, attrs.max);
  if (!Number.isInteger(attrs.min) || !Number.isInteger(attrs.max)) {
    throw new ArgumentError(`${op}: the range [${attrs.min}, ${attrs.max}] must have integer ends`);
  }
  if (Math.max(Math.abs(attrs.min), Math.abs(attrs.max)) > MAX_INTEGER) {
    throw new ArgumentError(`${op}: the range [${attrs.min}, ${attrs.max}] must lie within ±2^24, as float32 holds`);
  }
  for (const name of ['seed', 'stream'] as const) {
    checkIntegers(op, name, [attrs[name]], 1, 0);
    if (attrs[name] > 0xffffffff) throw new ArgumentError(`${op}: ${name} is ${attrs[name]}; expected 32 bits`);
  }
}

export function quantizeShape(inputs: readonly Shape[], attrs: QuantizeAttrs): number[] {
  checkInputs('quantize', inputs, ['input']);
  checkQuantize(attrs);
  return [...inputs[0]];
}

/** Bindings x, y, then the scalars of `quantizeScalars`; `width` elements an invocation, a divisor of `size`. */
export function quantizeKernel(mode: QuantizeAttrs['mode'], size: number, width: 1 | 4): Kernel {
  return elementKernel(`quantize (${mode})`, quantizeShader(width, mode === 'noise'), size / width);
}

/** Bindings x, dy, dx, then the scalars. */
export function quantizeGradientKernel(mode: QuantizeAttrs['mode'], size: number, width: 1 | 4): Kernel {
  return elementKernel(`quantize (${mode}) gradient`, quantizeGradientShader(width, mode === 'noise'), size / width);
}

/** The uniform of both kernels. */
export function quantizeScalars({ seed, stream, scale, min, max }: QuantizeAttrs): ArrayBuffer {
  return quantizePlan.pack({ key: [seed, stream], scale, low: min, high: max });
}

/** The kernels' uniform, checked in each run of a recorded step, since `stream` may change. */
const scalarsOf = (attrs: QuantizeAttrs) => (): ArrayBuffer => {
  checkQuantize(attrs);
  return quantizeScalars(attrs);
};

/** The operation with as many elements an invocation as `choose` says; tests replace the default by one. */
export function quantizeOp(choose: VectorChoice = chooseVectors): Op<QuantizeAttrs> {
  return {
    inputs: ['x'],
    shape: quantizeShape,
    forward([x], attrs, shape) {
      const kernel = quantizeKernel(attrs.mode, x.size, choose(x.size));
      return { output: dispatch(kernel, [x], shape, scalarsOf(attrs)) };
    },
    backward({ inputs: [x], attrs, dy }) {
      if (attrs.mode === 'hard') return [null];
      const kernel = quantizeGradientKernel(attrs.mode, x.size, choose(x.size));
      return [dispatch(kernel, [x, dy], x.shape, scalarsOf(attrs))];
    },
  };
}

export const quantizeOps = { quantize: /* @__PURE__ */ quantizeOp() };

/** Options of `quantize`. */
export interface QuantizeOptions {
  /**
   * 'noise' adds uniform noise in [−½, ½), for training: Ballé, Laparra, Simoncelli 2017, arXiv 1611.01704.
   * 'straightThrough' rounds and passes the gradient as if it had not rounded; 'hard' rounds and passes no gradient.
   */
  mode: QuantizeAttrs['mode'];
  /** Integer units in one unit of x (default 1). */
  scale?: number;
  /** Least and greatest result: integers. */
  min: number;
  max: number;
  /** Unsigned 32-bit integers that key the noise; give each step and each use its own stream (default 0). */
  seed?: number;
  /** A function is called in each run of a recorded step. */
  stream?: number | (() => number);
}

/**
 * Quantises x to integer units: x·scale, plus noise or rounded (halves to the even neighbour), then clamped to
 * [min, max]. The gradient is dy·scale where the value is not clamped, else 0.
 *
 * The noise of an element depends only on seed, stream and its flat index: it is the same to the bit on every device
 * (Threefry-2x32, see `quantizationNoise`). No option is written into the kernel, so all may change from step to step.
 *
 * @throws ArgumentError
 */
export function quantize(x: Tensor, options: QuantizeOptions): Tensor {
  const known = ['mode', 'scale', 'min', 'max', 'seed', 'stream'];
  const { mode, scale = 1, min, max, seed = 0, stream = 0 } = checkOptions('quantize', options, known);
  return apply('quantize', quantizeOps.quantize, [x], {
    mode,
    scale,
    min,
    max,
    seed,
    get stream() {
      return typeof stream === 'function' ? stream() : stream;
    },
  });
}

/** The quantised value before the clamp. */
function unclamped(x: NdArray, attrs: QuantizeAttrs): NdArray {
  const { mode, scale, seed, stream } = attrs;
  if (mode === 'noise') return map(x, (v, i) => v * scale + quantizationNoise(seed, stream, i));
  return map(x, (v) => roundToEven(v * scale));
}

/** Additive uniform noise: Ballé, Laparra, Simoncelli 2017, "End-to-end optimized image compression", arXiv 1611.01704. */
export const quantizeReference: ReferenceRule<QuantizeAttrs> = {
  forward: ([x], attrs) => map(unclamped(x, attrs), (v) => Math.min(Math.max(v, attrs.min), attrs.max)),
  backward([x], _output, dy, attrs) {
    if (attrs.mode === 'hard') return [null];
    return [map(unclamped(x, attrs), (v, i) => within(v, attrs.min, attrs.max, dy.data[i] * attrs.scale))];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const quantizeReferences = { quantize: quantizeReference };
