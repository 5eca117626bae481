import { refuse, withDefaults } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { matmulShape } from '../common/op-shapes.js';
import { formatShape } from '../common/shapes.js';
import type { KernelLimits } from '../gpu/kernel.js';
import { chooseMatmul, type MatmulStep, type MatmulVariant, planMatmul } from '../kernels/matmul.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { add } from './binary.js';
import { sumRows } from './reduce.js';

/** For tests and benches: another kernel than the chosen one, or a choice for other limits than the device's. */
export interface MatmulOptions {
  variant?: MatmulVariant;
  limits?: Partial<KernelLimits>;
}

function multiply(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, options: MatmulOptions): Tensor {
  const [m, k] = transposeA ? [a.shape[1], a.shape[0]] : a.shape;
  const n = transposeB ? b.shape[0] : b.shape[1];
  const size = { m, n, k };
  const config = chooseMatmul(size, { ...a.gpu.limits, ...options.limits }, options.variant);
  const { padA, padB, first, main } = planMatmul(size, { transposeA, transposeB }, config);
  const prepared = (x: Tensor, step: MatmulStep | null) => (step ? dispatch(step.kernel, [x], step.shape) : x);
  return scope(a.gpu, () => {
    const operands = [prepared(a, padA), prepared(b, padB)];
    const parts = dispatch(main.kernel, first === 'a' ? operands : operands.reverse(), main.shape, main.scalars);
    const [splitK] = main.shape;
    return (splitK === 1 ? parts : sumRows(parts, splitK, m * n)).view([m, n]);
  });
}

/** The operation; without options, `chooseMatmul` chooses for the device. */
export function matmulOp(options: MatmulOptions = {}): Op<OpAttrs['matmul']> {
  return {
    inputs: ['a', 'b'],
    shape: matmulShape,
    forward: ([a, b], { transposeA, transposeB }) => ({ output: multiply(a, b, transposeA, transposeB, options) }),
    backward({ inputs: [a, b], attrs: { transposeA, transposeB }, dy, needs }) {
      const byA = () =>
        transposeA ? multiply(b, dy, transposeB, true, options) : multiply(dy, b, false, !transposeB, options);
      const byB = () =>
        transposeB ? multiply(dy, a, true, transposeA, options) : multiply(a, dy, !transposeA, false, options);
      return [needs[0] ? byA() : null, needs[1] ? byB() : null];
    },
  };
}

export const matmulOps = { matmul: /* @__PURE__ */ matmulOp() };

/**
 * Matrix product op(a)·op(b), where op transposes if asked to.
 * @param a [M,K], or [K,M] with transposeA
 * @param b [K,N], or [N,K] with transposeB
 * @returns [M,N]
 * @throws ShapeError, ArgumentError
 */
export function matmul(a: Tensor, b: Tensor, options?: { transposeA?: boolean; transposeB?: boolean }): Tensor {
  const attrs = withDefaults('matmul', options, { transposeA: false, transposeB: false });
  return apply('matmul', matmulOps.matmul, [a, b], attrs);
}

/**
 * Fully connected layer: x·w + bias.
 * @param x [B,K]
 * @param w [K,N]
 * @param bias [N] or null
 * @returns [B,N]
 * @throws ShapeError
 */
export function linear(x: Tensor, w: Tensor, bias: Tensor | null = null): Tensor {
  if (bias !== null && !Array.isArray(bias?.shape)) refuse('linear', 'bias', bias, 'a tensor or null');
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== w?.shape?.[1])) {
    throw new ShapeError(
      `linear: bias has shape ${formatShape(bias.shape)}; expected [${w.shape[1]}], the columns of w`,
    );
  }
  const product = matmul(x, w);
  return bias ? add(product, bias) : product;
}
