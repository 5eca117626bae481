import type { OpAttrs } from '../common/op-attrs.js';
import { chooseRows } from '../kernels/normalize.js';
import { additiveMargin, chooseSoftmax } from '../kernels/softmax.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { type MatmulOptions, matmulOp } from './matmul.js';
import { normalizeRows, normalizeRowsGradient, type RowChoice } from './normalize.js';
import { crossEntropy, crossEntropyGradient, type SoftmaxChoice } from './softmax.js';

/** For tests and benches: other kernels than the chosen ones. */
export interface CosFaceKernels {
  rows?: RowChoice;
  softmax?: SoftmaxChoice;
  matmul?: MatmulOptions;
}

const EPS = 1e-12;

/**
 * The operation. The scale and the margin are applied where the softmax reads the cosines, so that beside these, [B,
 * classes], nothing of that size is made: neither logits nor one-hot labels.
 */
export function cosFaceOp({
  rows = chooseRows,
  softmax = chooseSoftmax,
  matmul,
}: CosFaceKernels = {}): Op<OpAttrs['cosFace']> {
  const { forward } = matmulOp(matmul);
  const multiply = (a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, shape: readonly number[]) =>
    forward([a, b], { transposeA, transposeB }, shape).output;
  return {
    forward([x, w, labels], attrs) {
      return scope(x.gpu, () => {
        const embeddings = normalizeRows(x, EPS, rows);
        const weights = normalizeRows(w, EPS, rows);
        const cosines = multiply(embeddings, weights, false, true, [x.shape[0], w.shape[0]]);
        const { loss, totals } = crossEntropy(
          { scores: cosines, labels },
          () => additiveMargin(attrs.s, attrs.m),
          softmax,
        );
        return { output: loss, saved: [embeddings, weights, cosines, totals] };
      });
    },
    backward({ inputs: [x, w, labels], saved: [embeddings, weights, cosines, totals], attrs, dy, needs }) {
      return scope(x.gpu, () => {
        const margin = () => additiveMargin(attrs.s, attrs.m);
        const dCosines = crossEntropyGradient({ scores: cosines, labels }, totals, dy, margin, softmax);
        const dx = () => normalizeRowsGradient(x, multiply(dCosines, weights, false, false, x.shape), EPS, rows);
        const dw = () => normalizeRowsGradient(w, multiply(dCosines, embeddings, true, false, w.shape), EPS, rows);
        return [needs[0] ? dx() : null, needs[1] ? dw() : null, null];
      });
    },
  };
}

export const cosFaceOps = { cosFace: cosFaceOp() };

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
export function cosFace(embeddings: Tensor, weights: Tensor, labels: Tensor, { s = 64, m = 0.35 } = {}): Tensor {
  return apply('cosFace', cosFaceOps.cosFace, [embeddings, weights, labels], { s, m });
}
