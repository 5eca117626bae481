import { ArgumentError } from '../common/errors.js';
import type { OpAttrs } from '../common/op-attrs.js';
import type { Gpu } from '../gpu/gpu.js';
import {
  chooseSoftmax,
  type Margin,
  type SoftmaxConfig,
  softmaxGradientKernel,
  softmaxPartialsKernel,
  softmaxScalars,
  softmaxTotalsKernel,
} from '../kernels/softmax.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { lossSum } from './loss-sum.js';

/** How rows are walked; tests replace the default by the naive way. */
export type SoftmaxChoice = (...args: Parameters<typeof chooseSoftmax>) => SoftmaxConfig;

/** Mean cross-entropy of rows of scores [B,C], and what its gradient needs: [B,2]. Not recorded: a building block. */
export function crossEntropy(
  scores: Tensor,
  labels: Tensor,
  margin: Margin,
  choose: SoftmaxChoice,
): { loss: Tensor; totals: Tensor } {
  const [rows, classes] = scores.shape;
  const config = choose(rows, classes, scores.gpu.limits);
  const scalars = softmaxScalars(config, margin);
  return scope(scores.gpu, () => {
    const partials = dispatch(softmaxPartialsKernel(config), [scores, labels], [rows, config.slots, 2], scalars);
    const shapes = [[rows, 2], [rows]];
    const [totals, losses] = dispatchMany(softmaxTotalsKernel(config), [scores, labels, partials], shapes, scalars);
    return { loss: lossSum(losses, 1 / rows), totals };
  });
}

/** The gradient of crossEntropy by the scores. */
export function crossEntropyGradient(
  scores: Tensor,
  labels: Tensor,
  totals: Tensor,
  dy: Tensor,
  margin: Margin,
  choose: SoftmaxChoice,
): Tensor {
  const config = choose(scores.shape[0], scores.shape[1], scores.gpu.limits);
  const kernel = softmaxGradientKernel(config);
  return dispatch(kernel, [scores, labels, totals, dy], scores.shape, softmaxScalars(config, margin));
}

const PLAIN: Margin = { s: 1, m: 0 };

/** The operation, walking rows as `choose` says. */
export function softmaxCrossEntropyOp(choose: SoftmaxChoice = chooseSoftmax): Op<OpAttrs['softmaxCrossEntropy']> {
  return {
    forward([logits, labels]) {
      const { loss, totals } = crossEntropy(logits, labels, PLAIN, choose);
      return { output: loss, saved: [totals] };
    },
    backward: ({ inputs: [logits, labels], saved: [totals], dy, needs }) => [
      needs[0] ? crossEntropyGradient(logits, labels, totals, dy, PLAIN, choose) : null,
      null,
    ],
  };
}

export const softmaxOps = { softmaxCrossEntropy: softmaxCrossEntropyOp() };

/**
 * Mean over the rows of −log softmax(logits)[label], computed relative to each row's largest logit.
 *
 * @param logits [B,C]
 * @param labels [B], from `labelsTensor`; they have no gradient
 * @returns a scalar, in nats
 * @throws ShapeError
 */
export const softmaxCrossEntropy = (logits: Tensor, labels: Tensor): Tensor =>
  apply('softmaxCrossEntropy', softmaxOps.softmaxCrossEntropy, [logits, labels], {});

/** Float32 holds every integer up to here. */
const MAX_CLASSES = 2 ** 24;

/**
 * Uploads class labels for `softmaxCrossEntropy` and `cosFace`. They are checked here, since the GPU cannot refuse any.
 *
 * @param labels integers from 0 to classes − 1, at least one
 * @returns [number of labels]
 * @throws ArgumentError
 */
export function labelsTensor(gpu: Gpu, labels: Int32Array | readonly number[], classes: number): Tensor {
  if (!Number.isInteger(classes) || classes < 1 || classes > MAX_CLASSES) {
    throw new ArgumentError(`labelsTensor: classes is ${classes}; expected an integer from 1 to ${MAX_CLASSES}`);
  }
  if (labels.length === 0) throw new ArgumentError('labelsTensor: got no labels; expected at least one');
  labels.forEach((label: number, i: number) => {
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new ArgumentError(`labelsTensor: label ${i} is ${label}; expected an integer from 0 to ${classes - 1}`);
    }
  });
  return Tensor.from(gpu, Float32Array.from(labels), [labels.length]);
}
