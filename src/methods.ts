/**
 * `cameo/methods`: operations as methods of tensors, for those who write `x.add(1).relu()`. The functions remain; programs that do not
 * import this bundle only those that they use.
 */
import {
  abs,
  acos,
  acosh,
  add,
  affine,
  argmax,
  argmin,
  asin,
  asinh,
  atan,
  atanh,
  avgPool,
  avgPool2d,
  cast,
  ceil,
  clamp,
  conv2d,
  convTranspose2d,
  cos,
  cosh,
  cumprod,
  cumsum,
  type DType,
  depthToSpace,
  div,
  dropout,
  elu,
  equal,
  erf,
  exp,
  expand,
  flip,
  floor,
  gelu,
  gemm,
  globalAvgPool2d,
  globalMaxPool2d,
  greater,
  greaterEqual,
  hardSigmoid,
  hardSwish,
  isInf,
  isNan,
  l2Normalize,
  leakyRelu,
  less,
  lessEqual,
  linear,
  log,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  logSoftmax,
  lpPool2d,
  matmul,
  max,
  maximum,
  maxPool,
  maxPool2d,
  mean,
  min,
  minimum,
  mod,
  mse,
  mul,
  neg,
  type Operand,
  pad,
  pow,
  prelu,
  prod,
  reciprocal,
  relu,
  reshape,
  round,
  selu,
  sigmoid,
  sign,
  silu,
  sin,
  sinh,
  slice,
  softmax,
  softplus,
  spaceToDepth,
  split,
  sqrt,
  square,
  squeeze,
  stridedSlice,
  sub,
  sum,
  Tensor,
  tan,
  tanh,
  tile,
  topK,
  transpose,
  unsqueeze,
  upsampleBilinear,
  upsampleNearest,
} from './engine.js';

/** The operations that become methods: those whose first argument is a tensor. */
const operations = {
  abs,
  acos,
  acosh,
  add,
  affine,
  argmax,
  argmin,
  asin,
  asinh,
  atan,
  atanh,
  avgPool,
  avgPool2d,
  ceil,
  clamp,
  conv2d,
  convTranspose2d,
  cos,
  cosh,
  cumprod,
  cumsum,
  depthToSpace,
  div,
  dropout,
  elu,
  equal,
  erf,
  exp,
  expand,
  flip,
  floor,
  gelu,
  gemm,
  globalAvgPool2d,
  globalMaxPool2d,
  greater,
  greaterEqual,
  hardSigmoid,
  hardSwish,
  isInf,
  isNan,
  l2Normalize,
  leakyRelu,
  less,
  lessEqual,
  linear,
  log,
  logSoftmax,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  lpPool2d,
  matmul,
  max,
  maxPool,
  maxPool2d,
  maximum,
  mean,
  min,
  minimum,
  mod,
  mse,
  mul,
  neg,
  pad,
  pow,
  prelu,
  prod,
  reciprocal,
  relu,
  reshape,
  round,
  selu,
  sigmoid,
  sign,
  silu,
  sin,
  sinh,
  slice,
  softmax,
  softplus,
  spaceToDepth,
  split,
  sqrt,
  square,
  squeeze,
  stridedSlice,
  sub,
  sum,
  tan,
  tanh,
  tile,
  topK,
  transpose,
  unsqueeze,
  upsampleBilinear,
  upsampleNearest,
};

type Operations = typeof operations;

/** Operations of two tensors that keep the type of elements, and comparisons of two tensors of one type. */
type Arithmetic = 'add' | 'sub' | 'mul' | 'div' | 'mod' | 'minimum' | 'maximum';
type Comparison = 'equal' | 'less' | 'lessEqual' | 'greater' | 'greaterEqual';
/** Operations of one tensor that keep its type of elements. */
type Keeping =
  | ('reshape' | 'transpose' | 'pad' | 'slice' | 'squeeze' | 'unsqueeze' | 'tile' | 'expand' | 'flip' | 'stridedSlice')
  | ('depthToSpace' | 'spaceToDepth' | 'max' | 'min' | 'prod' | 'sum' | 'cumsum' | 'cumprod');
type Plain = Exclude<keyof Operations, Arithmetic | Comparison | Keeping | 'split'>;

// biome-ignore lint/suspicious/noExplicitAny: the first argument may be a tensor of any type
type Rest<F> = F extends (x: any, ...rest: infer R) => unknown ? R : never;

/** A method of one argument. Written as one, it lets a tensor of float32 pass where any tensor is taken. */
type Method<B, T> = { of(b: B): T }['of'];

/** Each operation without its first argument, which is the tensor itself. */
export type TensorMethods<D extends DType> = {
  [K in Plain]: (...rest: Rest<Operations[K]>) => ReturnType<Operations[K]>;
} & { [K in Arithmetic]: Method<Operand<D>, Tensor<D>> } & { [K in Comparison]: Method<Operand<D>, Tensor<'bool'>> } & {
  [K in Keeping]: (...rest: Rest<Operations[K]>) => Tensor<D>;
} & {
  split(...rest: Rest<Operations['split']>): Tensor<D>[];
  cast<T extends DType>(dtype: T): Tensor<T>;
};

declare module './tensor/tensor.js' {
  interface Tensor<D> extends TensorMethods<D> {}
}

/**
 * Gives tensors the operations as methods: `x.add(1).relu()` is `relu(add(x, 1))`. Call it once, at the start.
 *
 * @example
 * import { enableMethods } from 'cameo/methods';
 * enableMethods();
 * const y = x.sub(x.mean([0])).square().sum();
 */
export function enableMethods(): void {
  for (const [name, operation] of Object.entries({ ...operations, cast })) {
    Object.defineProperty(Tensor.prototype, name, {
      configurable: true,
      writable: true,
      value(this: Tensor, ...rest: unknown[]) {
        return (operation as (...all: unknown[]) => unknown)(this, ...rest);
      },
    });
  }
}
