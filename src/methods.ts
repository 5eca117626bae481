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
  asin,
  asinh,
  atan,
  atanh,
  avgPool2d,
  cast,
  ceil,
  clamp,
  conv2d,
  convTranspose2d,
  cos,
  cosh,
  div,
  dropout,
  elu,
  equal,
  erf,
  exp,
  floor,
  gelu,
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
  matmul,
  maximum,
  maxPool2d,
  mean,
  minimum,
  mod,
  mse,
  mul,
  neg,
  pad,
  pow,
  prelu,
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
  sqrt,
  square,
  sub,
  sum,
  Tensor,
  tan,
  tanh,
  transpose,
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
  asin,
  asinh,
  atan,
  atanh,
  avgPool2d,
  cast,
  ceil,
  clamp,
  conv2d,
  convTranspose2d,
  cos,
  cosh,
  div,
  dropout,
  elu,
  equal,
  erf,
  exp,
  floor,
  gelu,
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
  matmul,
  maximum,
  maxPool2d,
  mean,
  minimum,
  mod,
  mse,
  mul,
  neg,
  pad,
  pow,
  prelu,
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
  sqrt,
  square,
  sub,
  sum,
  tan,
  tanh,
  transpose,
  upsampleBilinear,
  upsampleNearest,
};

type Operations = typeof operations;

/** Each operation without its first argument, which is the tensor itself. */
export type TensorMethods = {
  // biome-ignore lint/suspicious/noExplicitAny: the first argument may be a tensor of any type
  [K in keyof Operations]: Operations[K] extends (x: any, ...rest: infer R) => infer T ? (...rest: R) => T : never;
};

declare module './tensor/tensor.js' {
  interface Tensor<D> extends TensorMethods {}
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
  for (const [name, operation] of Object.entries(operations)) {
    Object.defineProperty(Tensor.prototype, name, {
      configurable: true,
      writable: true,
      value(this: Tensor, ...rest: unknown[]) {
        return (operation as (...all: unknown[]) => unknown)(this, ...rest);
      },
    });
  }
}
