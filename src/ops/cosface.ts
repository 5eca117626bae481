import { withDefaults } from '../common/arguments.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { cosFaceShape } from '../common/op-shapes.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { type MarginLossKernels, marginLossOp } from './margin-loss.js';

/** The operation: the margin loss `cosface` under a name of its own. */
export function cosFaceOp(kernels: MarginLossKernels = {}): Op<OpAttrs['cosFace']> {
  const { forward, backward } = marginLossOp(kernels);
  const asMarginLoss = ({ s, m }: OpAttrs['cosFace']) => ({ loss: 'cosface' as const, s, m, lambda: 0 });
  return {
    inputs: ['embeddings', 'weights', 'labels'],
    shape: cosFaceShape,
    forward: (inputs, attrs, shape) => forward(inputs, asMarginLoss(attrs), shape),
    backward: (context) => backward({ ...context, attrs: asMarginLoss(context.attrs) }),
  };
}

export const cosFaceOps = { cosFace: /* @__PURE__ */ cosFaceOp() };

/**
 * CosFace, the large margin cosine loss: softmax cross-entropy of the logits s·(cos θ − m·[c is the label]), where θ is
 * the angle between an embedding and the weights of class c; mean over the batch. Wang et al. 2018, arXiv 1801.09414,
 * eq. 4.
 *
 * @param embeddings [B,D], of any length: they are normalised here
 * @param weights [classes,D], likewise
 * @param labels [B], from `labelsTensor`; they have no gradient
 * @param options.s scale of the cosines (default 64)
 * @param options.m margin, in units of the cosine (default 0.35)
 * @returns a scalar, in nats
 * @throws ShapeError, ArgumentError
 */
export function cosFace(
  embeddings: Tensor,
  weights: Tensor,
  labels: Tensor,
  options?: { s?: number; m?: number },
): Tensor {
  const attrs = withDefaults('cosFace', options, { s: 64, m: 0.35 });
  return apply('cosFace', cosFaceOps.cosFace, [embeddings, weights, labels], attrs);
}
