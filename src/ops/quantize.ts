import { checkOptions } from '../common/arguments.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { checkQuantize, quantizeShape } from '../common/op-shapes.js';
import { chooseVectors, type VectorChoice } from '../kernels/binary.js';
import { quantizeGradientKernel, quantizeKernel, quantizeScalars } from '../kernels/quantize.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';

/** The kernels' uniform, checked in each run of a recorded step, since `stream` may change. */
const scalarsOf = (attrs: OpAttrs['quantize']) => (): ArrayBuffer => {
  checkQuantize(attrs);
  return quantizeScalars(attrs);
};

/** The operation with as many elements an invocation as `choose` says; tests replace the default by one. */
export function quantizeOp(choose: VectorChoice = chooseVectors): Op<OpAttrs['quantize']> {
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

/** What `quantize` takes beside the tensor. */
export interface QuantizeOptions {
  /**
   * 'noise' adds uniform noise in [−½, ½), for training: Ballé, Laparra, Simoncelli 2017, arXiv 1611.01704.
   * 'straightThrough' rounds and passes the gradient as if it had not; 'hard' rounds and passes none.
   */
  mode: OpAttrs['quantize']['mode'];
  /** Integer units in one unit of x (default 1). */
  scale?: number;
  /** Least and greatest result: integers. */
  min: number;
  max: number;
  /** Unsigned 32-bit integers that key the noise; give each step and each use its own stream (default 0). */
  seed?: number;
  /** As a function it is called anew in each run of a recorded step. */
  stream?: number | (() => number);
}

/**
 * Quantises x to integer units: x·scale, plus noise or rounded (halves to the even neighbour), then clamped to
 * [min, max]. The gradient is dy·scale where the clamp does nothing, else 0.
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
