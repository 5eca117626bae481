import { refuse, withDefaults } from '../../common/arguments.js';
import { ShapeError } from '../../common/errors.js';
import { formatShape, type Shape } from '../../common/shapes.js';
import type { KernelLimits } from '../../gpu/kernel.js';
import { type NdArray, zeros } from '../../reference/ndarray.js';
import type { ReferenceRule } from '../../reference/reference-op.js';
import { dispatch } from '../../tensor/dispatch.js';
import { apply, type Op } from '../../tensor/tape.js';
import { scope, type Tensor } from '../../tensor/tensor.js';
import { add } from '../binary.js';
import { memoize } from '../memoize.js';
import { sumRows } from '../reduce.js';
import { checkInputs, checkRank } from '../shape-checks.js';
import { chooseMatmul, type MatmulStep, type MatmulVariant, planMatmul } from './plan.js';

/** Inputs a [M,K] ([K,M] if transposeA), b [K,N] ([N,K] if transposeB) → [M,N]. */
export interface MatmulAttrs {
  transposeA: boolean;
  transposeB: boolean;
}

export function matmulShape(inputs: readonly Shape[], attrs: MatmulAttrs): number[] {
  checkInputs('matmul', inputs, ['a', 'b']);
  const [a, b] = inputs;
  checkRank('matmul', 'a', a, 2, attrs.transposeA ? '[K,M]' : '[M,K]');
  checkRank('matmul', 'b', b, 2, attrs.transposeB ? '[N,K]' : '[K,N]');
  const [m, ka] = attrs.transposeA ? [a[1], a[0]] : [a[0], a[1]];
  const [kb, n] = attrs.transposeB ? [b[1], b[0]] : [b[0], b[1]];
  if (ka !== kb) {
    const side = (shape: Shape, transposed: boolean): string =>
      `${formatShape(shape)}${transposed ? ' transposed' : ''}`;
    throw new ShapeError(
      `matmul: inner sizes differ: ${ka} in a ${side(a, attrs.transposeA)}, ${kb} in b ${side(b, attrs.transposeB)}`,
    );
  }
  return [m, n];
}

/** For tests and benches: another kernel than the chosen one, or a choice for other limits than the device's. */
export interface MatmulOptions {
  variant?: MatmulVariant;
  limits?: Partial<KernelLimits>;
}

const choice = /* @__PURE__ */ memoize(chooseMatmul);
const plan = /* @__PURE__ */ memoize(planMatmul);

function multiply(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, options: MatmulOptions): Tensor {
  const [m, k] = transposeA ? [a.shape[1], a.shape[0]] : a.shape;
  const n = transposeB ? b.shape[0] : b.shape[1];
  const size = { m, n, k };
  const config = choice(size, { ...a.gpu.limits, ...options.limits }, options.variant);
  const { padA, padB, first, main } = plan(size, { transposeA, transposeB }, config);
  const prepared = (x: Tensor, step: MatmulStep | null) => (step ? dispatch(step.kernel, [x], step.shape) : x);
  return scope(a.gpu, () => {
    const operands = [prepared(a, padA), prepared(b, padB)];
    const parts = dispatch(main.kernel, first === 'a' ? operands : operands.reverse(), main.shape, main.scalars);
    const [splitK] = main.shape;
    return (splitK === 1 ? parts : sumRows(parts, splitK, m * n)).view([m, n]);
  });
}

/** The operation; without options, `chooseMatmul` chooses for the device. */
export function matmulOp(options: MatmulOptions = {}): Op<MatmulAttrs> {
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

/** op(a)·op(b) of two matrices, where op transposes if asked to. */
export function multiplyReference(a: NdArray, b: NdArray, transposeA = false, transposeB = false): NdArray {
  const [m, inner] = transposeA ? [a.shape[1], a.shape[0]] : [a.shape[0], a.shape[1]];
  const n = transposeB ? b.shape[0] : b.shape[1];
  const [aRow, aColumn] = transposeA ? [1, m] : [inner, 1];
  const [bRow, bColumn] = transposeB ? [1, inner] : [n, 1];
  const out = zeros([m, n]);
  const [as, bs, outs] = [a.data, b.data, out.data];
  for (let i = 0; i < m; i++) {
    for (let k = 0; k < inner; k++) {
      const value = as[i * aRow + k * aColumn];
      for (let j = 0; j < n; j++) outs[i * n + j] += value * bs[k * bRow + j * bColumn];
    }
  }
  return out;
}

export const matmulReference: ReferenceRule<MatmulAttrs> = {
  forward: ([a, b], { transposeA, transposeB }) => multiplyReference(a, b, transposeA, transposeB),
  backward: ([a, b], _output, dy, { transposeA, transposeB }) => [
    transposeA ? multiplyReference(b, dy, transposeB, true) : multiplyReference(dy, b, false, !transposeB),
    transposeB ? multiplyReference(dy, a, true, transposeA) : multiplyReference(a, dy, !transposeA, false),
  ],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const matmulReferences = { matmul: matmulReference };
