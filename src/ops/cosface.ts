import { withDefaults } from '../common/arguments.js';
import type { Shape } from '../common/shapes.js';
import { map, type NdArray, scalar } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { apply, type Op } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkLabelledEmbeddings, type MarginLossKernels, marginLossOp, type OldMarginNames } from './margin-loss.js';
import { multiplyReference } from './matmul/matmul.js';
import { l2NormalizeReference } from './normalize.js';
import { checkNotNegative, checkPositive } from './shape-checks.js';
import { crossEntropyGradientReference, crossEntropyReference } from './softmax.js';

export interface CosFaceAttrs {
  /** Scale of the cosines. */
  scale: number;
  /** Margin, in units of the cosine. */
  margin: number;
}

export function cosFaceShape(inputs: readonly Shape[], attrs: CosFaceAttrs): number[] {
  checkLabelledEmbeddings('cosFace', inputs);
  checkPositive('cosFace', 'scale', attrs.scale);
  checkNotNegative('cosFace', 'margin', attrs.margin);
  return [];
}

/** The operation: the margin loss `cosface` under a name of its own. */
export function cosFaceOp(kernels: MarginLossKernels = {}): Op<CosFaceAttrs> {
  const { forward, backward } = marginLossOp(kernels);
  const asMarginLoss = (attrs: CosFaceAttrs) => ({ loss: 'cosface' as const, ...attrs, lambda: 0 });
  return {
    inputs: ['embeddings', 'weights', 'labels'],
    shape: cosFaceShape,
    forward: (inputs, attrs, shape) => forward(inputs, asMarginLoss(attrs), shape),
    backward: (context) => backward({ ...context, attrs: asMarginLoss(context.attrs) }),
  };
}

export const cosFaceOps = { cosFace: /* @__PURE__ */ cosFaceOp() };

type Given = Required<OldMarginNames> & Partial<CosFaceAttrs>;
/** Defaults under the old names, which the new names override. */
const DEFAULTS: Given = { scale: undefined, margin: undefined, s: 64, m: 0.35 };

/**
 * CosFace, the large margin cosine loss: softmax cross-entropy of the logits s·(cos θ − m·[c is the label]), where θ is
 * the angle between an embedding and the weights of class c; mean over the batch. Wang et al. 2018, arXiv 1801.09414,
 * eq. 4.
 *
 * @param embeddings [B,D], of any length: they are normalised here
 * @param weights [classes,D], likewise
 * @param labels [B], from `labelsTensor`; they have no gradient
 * @param options `scale`: s, the scale of the cosines (default 64); `margin`: m, in units of the cosine (default 0.35)
 * @returns a scalar, in nats
 * @throws ShapeError, ArgumentError
 */
export function cosFace(
  embeddings: Tensor,
  weights: Tensor,
  labels: Tensor,
  options?: Partial<CosFaceAttrs> & OldMarginNames,
): Tensor {
  const { s, m, scale = s, margin = m } = withDefaults<Given>('cosFace', options, DEFAULTS);
  return apply('cosFace', cosFaceOps.cosFace, [embeddings, weights, labels], { scale, margin });
}

const NORM = { eps: 1e-12 };

/** Normalised embeddings and weights, and the logits s·(cos θ − m·[target]). */
function cosFaceLogits(inputs: readonly NdArray[], { scale, margin }: CosFaceAttrs) {
  const [x, w, labels] = inputs;
  const embeddings = l2NormalizeReference.forward([x], NORM, x.shape);
  const weights = l2NormalizeReference.forward([w], NORM, w.shape);
  const classes = w.shape[0];
  const logits = map(multiplyReference(embeddings, weights, false, true), (cosine, i) => {
    const isLabel = i % classes === labels.data[Math.floor(i / classes)];
    return scale * (cosine - (isLabel ? margin : 0));
  });
  return { embeddings, weights, logits };
}

export const cosFaceReference: ReferenceRule<CosFaceAttrs> = {
  forward: (inputs, attrs) =>
    scalar(crossEntropyReference('cosFace', cosFaceLogits(inputs, attrs).logits, inputs[2]).loss),
  backward(inputs, _output, dy, attrs) {
    const [x, w, labels] = inputs;
    const { embeddings, weights, logits } = cosFaceLogits(inputs, attrs);
    const dCosine = map(crossEntropyGradientReference('cosFace', logits, labels, dy), (d) => attrs.scale * d);
    const [dx] = l2NormalizeReference.backward([x], embeddings, multiplyReference(dCosine, weights), NORM);
    const [dw] = l2NormalizeReference.backward([w], weights, multiplyReference(dCosine, embeddings, true), NORM);
    return [dx, dw, null];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const cosFaceReferences = { cosFace: cosFaceReference };
