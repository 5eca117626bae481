import { refuse, withDefaults } from '../../common/arguments.js';
import { ArgumentError, ShapeError } from '../../common/errors.js';
import { broadcastShapes, broadcastStrides, formatShape, type Shape, sameShape, sizeOf } from '../../common/shapes.js';
import { type KernelLimits, mostNumbers } from '../../gpu/kernel.js';
import { broadcastKernel } from '../../kernels/broadcast.js';
import { type NdArray, stridedOffsets, zeros } from '../../reference/ndarray.js';
import type { ReferenceRule } from '../../reference/reference-op.js';
import { dispatch, dispatchInPlace } from '../../tensor/dispatch.js';
import { apply, composed, type Op } from '../../tensor/tape.js';
import { scope, Tensor } from '../../tensor/tensor.js';
import { add } from '../binary.js';
import { boxOf, readBoxKernel, reshape, writeBoxKernel } from '../layout.js';
import { memoize } from '../memoize.js';
import { sumRows, sumToShape } from '../reduce.js';
import { checkFinite, checkInputs, checkMinRank, checkRank } from '../shape-checks.js';
import { affine } from '../unary.js';
import { chooseBatched, largestOperand, planBatchedMatmul } from './batched.js';
import { chooseMatmul, isLittle, type MatmulSize, type MatmulStep, type MatmulVariant, planMatmul } from './plan.js';

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
  return productShape(a, b, attrs);
}

/** Inputs a [...,M,K], b [...,K,N] (transposed as for matmul), whose other axes broadcast → [...,M,N]. */
export function batchedMatmulShape(inputs: readonly Shape[], attrs: MatmulAttrs): number[] {
  checkInputs('matmul', inputs, ['a', 'b']);
  const [a, b] = inputs;
  checkMinRank('matmul', 'a', a, 2, attrs.transposeA ? '[...,K,M]' : '[...,M,K]');
  checkMinRank('matmul', 'b', b, 2, attrs.transposeB ? '[...,N,K]' : '[...,K,N]');
  return [...broadcastShapes(a.slice(0, -2), b.slice(0, -2), 'matmul: batch axes'), ...productShape(a, b, attrs)];
}

/** [M,N] of the last two axes. */
function productShape(a: Shape, b: Shape, attrs: MatmulAttrs): [m: number, n: number] {
  const { m, n, k: ka } = sizeOfProduct(a, b, attrs);
  const kb = b[b.length - (attrs.transposeB ? 1 : 2)];
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

/** Sizes of op(a)·op(b), by the last two axes. */
function sizeOfProduct(a: Shape, b: Shape, { transposeA, transposeB }: MatmulAttrs): MatmulSize {
  const [rowsA, columnsA] = a.slice(-2);
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  return { m, n: b[b.length - (transposeB ? 2 : 1)], k };
}

function multiply(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, options: MatmulOptions): Tensor {
  const size = sizeOfProduct(a.shape, b.shape, { transposeA, transposeB });
  const { m, n } = size;
  const config = choice(size, { ...a.gpu.limits, ...options.limits }, options.variant);
  const { padA, padB, first, main } = plan(size, { transposeA, transposeB }, config);
  return scope(a.gpu, () => {
    const operands = [prepared(a, padA), prepared(b, padB)];
    const parts = dispatch(main.kernel, first === 'a' ? operands : operands.reverse(), main.shape, main.scalars);
    const [splitK] = main.shape;
    return (splitK === 1 ? parts : sumRows(parts, splitK, m * n)).view([m, n]);
  });
}

const prepared = (x: Tensor, step: MatmulStep | null) => (step ? dispatch(step.kernel, [x], step.shape) : x);

/** The gradient of a product by its operand k: a product of dy and the other one. */
function gradientOf(
  product: typeof multiply,
  k: number,
  [a, b]: readonly Tensor[],
  { transposeA, transposeB }: MatmulAttrs,
  dy: Tensor,
  options: MatmulOptions,
): Tensor {
  if (k === 0) {
    return transposeA ? product(b, dy, transposeB, true, options) : product(dy, b, false, !transposeB, options);
  }
  return transposeB ? product(dy, a, true, transposeA, options) : product(a, dy, !transposeA, false, options);
}

const batchedChoice = /* @__PURE__ */ memoize(chooseBatched);
const batchedPlan = /* @__PURE__ */ memoize(planBatchedMatmul);

/** x with its batch axes stretched to `batch`. */
function stretched(x: Tensor, batch: Shape): Tensor {
  const shape = [...batch, ...x.shape.slice(-2)];
  return sizeOf(shape) === x.size ? x : dispatch(broadcastKernel('stretch', 'x0', [x.shape], shape), [x], shape);
}

/** The product in two halves along the first batch axis that can be halved, for operands that are too large when they are stretched. */
function multiplyHalves(
  [a, b]: readonly [Tensor, Tensor],
  shape: Shape,
  multiplyPart: (a: Tensor, b: Tensor) => Tensor,
): Tensor {
  const axis = shape.findIndex((size) => size > 1);
  const half = Math.ceil(shape[axis] / 2);
  const y = Tensor.empty(a.gpu, shape);
  for (const from of [0, half]) {
    const part = (x: Tensor): Tensor => {
      const own = axis + x.shape.length - shape.length;
      if (own < 0 || x.shape[own] === 1) return x;
      const begin = x.shape.map((_, k) => (k === own ? from : 0));
      const inner = x.shape.map((size, k) => (k === own ? Math.min(half, size - from) : size));
      return dispatch(readBoxKernel(boxOf(x.shape, begin, inner)), [x], inner);
    };
    scope(a.gpu, () => {
      const product = multiplyPart(part(a), part(b));
      const begin = shape.map((_, k) => (k === axis ? from : 0));
      dispatchInPlace(writeBoxKernel(boxOf(shape, begin, product.shape)), [product, y]);
    });
  }
  return y;
}

/** The same for each matrix of a and b. */
function multiplyBatches(
  a: Tensor,
  b: Tensor,
  transposeA: boolean,
  transposeB: boolean,
  options: MatmulOptions,
): Tensor {
  const attrs = { transposeA, transposeB };
  const size = sizeOfProduct(a.shape, b.shape, attrs);
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const naive = options.variant ? options.variant === 'naive' : isLittle(size);
  const limits = { ...a.gpu.limits, ...options.limits };
  const chosen = naive ? null : batchedChoice(size, limits, options.variant);
  const count = sizeOf(batch);
  const isTooLarge = count * largestOperand(size, attrs, chosen) > mostNumbers(limits);
  const config = isTooLarge && count === 1 ? null : chosen;
  const { padA, padB, first, main } = batchedPlan(size, attrs, count, config);
  return scope(a.gpu, () => {
    if (isTooLarge && count > 1) {
      const shape = [...batch, size.m, size.n];
      return multiplyHalves([a, b], shape, (x, y) => multiplyBatches(x, y, transposeA, transposeB, options));
    }
    const operands = [prepared(stretched(a, batch), padA), prepared(stretched(b, batch), padB)];
    const y = dispatch(main.kernel, first === 'a' ? operands : operands.reverse(), main.shape, main.scalars);
    return y.view([...batch, size.m, size.n]);
  });
}

/** The operation on matrices of which there are several; options as for one. */
export function batchedMatmulOp(options: MatmulOptions = {}): Op<MatmulAttrs> {
  return {
    inputs: ['a', 'b'],
    shape: batchedMatmulShape,
    forward: ([a, b], { transposeA, transposeB }) => ({
      output: multiplyBatches(a, b, transposeA, transposeB, options),
    }),
    backward: ({ inputs, attrs, dy, needs }) =>
      inputs.map(({ shape }, k) =>
        needs[k]
          ? scope(dy.gpu, () => sumToShape(gradientOf(multiplyBatches, k, inputs, attrs, dy, options), shape))
          : null,
      ),
  };
}

/** The operation; without options, `chooseMatmul` chooses for the device. */
export function matmulOp(options: MatmulOptions = {}): Op<MatmulAttrs> {
  return {
    inputs: ['a', 'b'],
    shape: matmulShape,
    forward: ([a, b], { transposeA, transposeB }) => ({ output: multiply(a, b, transposeA, transposeB, options) }),
    backward: ({ inputs, attrs, dy, needs }) =>
      inputs.map((_, k) => (needs[k] ? gradientOf(multiply, k, inputs, attrs, dy, options) : null)),
  };
}

const matmulDefault = /* @__PURE__ */ matmulOp();
const batchedMatmulDefault = /* @__PURE__ */ batchedMatmulOp();

export const matmulOps = { matmul: matmulDefault, batchedMatmul: batchedMatmulDefault };

const DEFAULTS: MatmulAttrs = { transposeA: false, transposeB: false };

/**
 * Matrix product op(a)·op(b), where op transposes the last two axes if asked to. As numpy.matmul: the axes before the last two
 * broadcast, and a vector is one row of a, or one column of b, whose axis the result lacks.
 * @param a [...,M,K], or [...,K,M] with transposeA, or [K]
 * @param b [...,K,N], or [...,N,K] with transposeB, or [K]
 * @returns [...,M,N]
 * @throws ShapeError, ArgumentError
 */
export function matmul(a: Tensor, b: Tensor, options?: Partial<MatmulAttrs>): Tensor {
  const attrs = withDefaults('matmul', options, DEFAULTS);
  const [rankA, rankB] = [a?.shape?.length, b?.shape?.length];
  // Tensors of no axis, and what is no tensor, are refused by the operation.
  if (!rankA || !rankB || (rankA === 2 && rankB === 2)) return apply('matmul', matmulDefault, [a, b], attrs);
  if ((rankA === 1 && attrs.transposeA) || (rankB === 1 && attrs.transposeB)) {
    throw new ArgumentError('matmul: a vector has no two axes to transpose');
  }
  if (rankA === 1 || rankB === 1) {
    return composed(a, () => {
      const rows = rankA === 1 ? reshape(a, [1, a.size]) : a;
      const columns = rankB === 1 ? reshape(b, [b.size, 1]) : b;
      const product = matmul(rows, columns, attrs);
      const dropped = [rankA === 1 && -2, rankB === 1 && -1];
      return reshape(
        product,
        product.shape.filter((_, k) => !dropped.includes(k - product.shape.length)),
      );
    });
  }
  const before = b.shape.slice(0, -2);
  if (!attrs.transposeA && before.every((size) => size === 1)) {
    // All rows of a meet one matrix: one product.
    return composed(a, () => {
      const matrix = rankB === 2 ? b : reshape(b, b.shape.slice(-2));
      const product = matmul(reshape(a, [-1, a.shape[rankA - 1]]), matrix, attrs);
      return reshape(product, [...broadcastShapes(a.shape.slice(0, -2), before), a.shape[rankA - 2], product.shape[1]]);
    });
  }
  return apply('batchedMatmul', batchedMatmulDefault, [a, b], attrs);
}

/** Options of `gemm`. */
export interface GemmOptions {
  /** Factor of the product; default 1. */
  alpha?: number;
  /** Factor of c; default 1. */
  beta?: number;
  /** Whether a is [K,M]; default false. */
  transA?: boolean;
  /** Whether b is [N,K]; default false. */
  transB?: boolean;
}

/**
 * alpha·op(a)·op(b) + beta·c, where op transposes if asked to, as in BLAS.
 * @param a [M,K], or [K,M] with transA
 * @param b [K,N], or [N,K] with transB
 * @param c broadcasts to [M,N]; null for none
 * @returns [M,N]
 * @throws ShapeError, ArgumentError
 */
export function gemm(a: Tensor, b: Tensor, c: Tensor | null = null, options?: GemmOptions): Tensor {
  const { alpha, beta, transA, transB } = withDefaults('gemm', options, {
    alpha: 1,
    beta: 1,
    transA: false,
    transB: false,
  });
  checkFinite('gemm', 'alpha', alpha);
  checkFinite('gemm', 'beta', beta);
  for (const [name, tensor] of [
    ['a', a],
    ['b', b],
  ] as const) {
    if (!Array.isArray(tensor?.shape)) refuse('gemm', name, tensor, 'a tensor');
    checkRank('gemm', name, tensor.shape, 2, 'a matrix');
  }
  if (c !== null && !Array.isArray(c?.shape)) refuse('gemm', 'c', c, 'a tensor or null');
  const scaled = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : affine(x, factor, 0));
  return composed(a, () => {
    const product = matmul(a, b, { transposeA: transA, transposeB: transB });
    if (c === null) return scaled(product, alpha);
    if (!sameShape(broadcastShapes(product.shape, c.shape, 'gemm'), product.shape)) {
      throw new ShapeError(
        `gemm: c has shape ${formatShape(c.shape)}; expected one that broadcasts to ${formatShape(product.shape)}`,
      );
    }
    return add(scaled(product, alpha), scaled(c, beta));
  });
}

/**
 * Fully connected layer: x·w + bias.
 * @param x [...,K]
 * @param w [K,N]
 * @param bias [N] or null
 * @returns [...,N]
 * @throws ShapeError
 */
export function linear(x: Tensor, w: Tensor, bias: Tensor | null = null): Tensor {
  if (bias !== null && !Array.isArray(bias?.shape)) refuse('linear', 'bias', bias, 'a tensor or null');
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== w?.shape?.[1])) {
    throw new ShapeError(
      `linear: bias has shape ${formatShape(bias.shape)}; expected [${w.shape[1]}], the columns of w`,
    );
  }
  if (Array.isArray(w?.shape)) checkRank('linear', 'w', w.shape, 2, '[K,N]');
  return composed(x, () => {
    const product = matmul(x, w);
    return bias ? add(product, bias) : product;
  });
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

/** Matrix k of an array of them. */
function matrixOf(x: NdArray, k: number): NdArray {
  const shape = x.shape.slice(-2);
  const size = shape[0] * shape[1];
  return { shape, data: x.data.subarray(k * size, (k + 1) * size) };
}

/** Calls `visit` with the number of each product, and of its matrices in a and b. */
function forEachProduct([a, b]: readonly NdArray[], visit: (product: number, ofA: number, ofB: number) => void): void {
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const batch = broadcastShapes(batchA, batchB);
  const [inA, inB] = [batchA, batchB].map((own) => stridedOffsets(batch, broadcastStrides(own, batch)));
  inA.forEach((ofA, product) => {
    visit(product, ofA, inB[product]);
  });
}

export const batchedMatmulReference: ReferenceRule<MatmulAttrs> = {
  forward(inputs, { transposeA, transposeB }, shape) {
    const [a, b] = inputs;
    const out = zeros(shape);
    forEachProduct(inputs, (k, ofA, ofB) => {
      matrixOf(out, k).data.set(multiplyReference(matrixOf(a, ofA), matrixOf(b, ofB), transposeA, transposeB).data);
    });
    return out;
  },
  backward(inputs, output, dy, attrs) {
    const gradients = inputs.map(({ shape }) => zeros(shape));
    forEachProduct(inputs, (k, ofA, ofB) => {
      const places = [ofA, ofB];
      const pair = inputs.map((x, i) => matrixOf(x, places[i]));
      matmulReference.backward(pair, matrixOf(output, k), matrixOf(dy, k), attrs).forEach((gradient, i) => {
        const sum = matrixOf(gradients[i], places[i]).data;
        gradient?.data.forEach((value, e) => {
          sum[e] += value;
        });
      });
    });
    return gradients;
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const matmulReferences = { matmul: matmulReference, batchedMatmul: batchedMatmulReference };
