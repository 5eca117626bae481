import type { OpAttrs, OpName } from '../common/op-attrs.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { batchNormOps } from './batch-norm.js';
import { batchNormPreluOps } from './batch-norm-prelu.js';
import { binaryOps } from './binary.js';
import { bitsOps } from './bits.js';
import { convOps } from './conv.js';
import { cosFaceOps } from './cosface.js';
import { layoutOps } from './layout.js';
import { marginLossOps } from './margin-loss.js';
import { matmulOps } from './matmul.js';
import { mseOps } from './mse.js';
import { normalizeOps } from './normalize.js';
import { poolOps } from './pool.js';
import { preluOps } from './prelu.js';
import { quantizeOps } from './quantize.js';
import { reduceOps } from './reduce.js';
import { softmaxOps } from './softmax.js';
import { ssimOps } from './ssim.js';
import { transposeOps } from './transpose.js';
import { unaryOps } from './unary.js';
import { upsampleOps } from './upsample.js';

/** Every GPU operation by name: what tests and replays walk over. Users call the named functions instead. */
export const gpuOps: { readonly [K in OpName]?: Op<OpAttrs[K]> } = {
  ...unaryOps,
  ...binaryOps,
  ...matmulOps,
  ...reduceOps,
  ...layoutOps,
  ...transposeOps,
  ...batchNormOps,
  ...batchNormPreluOps,
  ...preluOps,
  ...convOps,
  ...quantizeOps,
  ...bitsOps,
  ...mseOps,
  ...ssimOps,
  ...normalizeOps,
  ...softmaxOps,
  ...poolOps,
  ...upsampleOps,
  ...cosFaceOps,
  ...marginLossOps,
};

/** Runs an operation by name, recorded like any other. */
export function applyByName<K extends OpName>(name: K, inputs: readonly Tensor[], attrs: OpAttrs[K]): Tensor {
  const op = gpuOps[name] as Op<OpAttrs[K]> | undefined;
  if (!op) throw new Error(`operation ${name} has no GPU implementation`);
  return apply(name, op, inputs, attrs);
}
