import type { MarginForm } from '../../shaders/common/margin.js';
import { checkList } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { softmaxCrossEntropyShape } from '../common/op-shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Scalars } from '../gpu/scalars.js';
import {
  additiveMargin,
  chooseSoftmax,
  type Margin,
  type SoftmaxConfig,
  softmaxGradientKernel,
  softmaxLengthGradientKernel,
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

/** Rows of scores [B,C], their labels [B], and the embeddings [B,D] where the margin needs their length. */
export interface ScoredRows {
  scores: Tensor;
  labels: Tensor;
  features?: Tensor;
}

const operandsOf = ({ scores, labels, features }: ScoredRows): Tensor[] =>
  features ? [scores, labels, features] : [scores, labels];

/** The kernels' uniform. The margin is asked for in each run of a recorded step, as it may change. */
const scalarsOf =
  (config: SoftmaxConfig, { features }: ScoredRows, margin: () => Margin): Scalars =>
  () =>
    softmaxScalars(config, margin(), features?.shape[1]);

/**
 * Mean cross-entropy of rows of scores, and what its gradient needs: [B,2]. Not recorded: a building block.
 * @param margin its form is fixed, its numbers may change from step to step
 */
export function crossEntropy(
  rows: ScoredRows,
  margin: () => Margin,
  choose: SoftmaxChoice,
): { loss: Tensor; totals: Tensor } {
  const { scores } = rows;
  const [count, classes] = scores.shape;
  const config = choose(count, classes, scores.gpu.limits);
  const { form } = margin();
  const operands = operandsOf(rows);
  return scope(scores.gpu, () => {
    const scalars = () => scalarsOf(config, rows, margin);
    const partials = dispatch(softmaxPartialsKernel(config, form), operands, [count, config.slots, 2], scalars());
    const shapes = [[count, 2], [count]];
    const [totals, losses] = dispatchMany(
      softmaxTotalsKernel(config, form),
      [...operands, partials],
      shapes,
      scalars(),
    );
    return { loss: lossSum(losses, 1 / count), totals };
  });
}

/** The gradient of crossEntropy by the scores. */
export function crossEntropyGradient(
  rows: ScoredRows,
  totals: Tensor,
  dy: Tensor,
  margin: () => Margin,
  choose: SoftmaxChoice,
): Tensor {
  const { scores } = rows;
  const config = choose(scores.shape[0], scores.shape[1], scores.gpu.limits);
  const kernel = softmaxGradientKernel(config, margin().form);
  return dispatch(kernel, [...operandsOf(rows), totals, dy], scores.shape, scalarsOf(config, rows, margin));
}

/** The gradient of crossEntropy by the embeddings through their length alone; for a multiplicative margin. */
export function crossEntropyLengthGradient(
  rows: ScoredRows & { features: Tensor },
  totals: Tensor,
  dy: Tensor,
  margin: () => Margin,
  choose: SoftmaxChoice,
): Tensor {
  const { scores, features } = rows;
  const config = choose(scores.shape[0], scores.shape[1], scores.gpu.limits);
  const kernel = softmaxLengthGradientKernel(config, margin().form as MarginForm & { form: 'multiplicative' });
  return dispatch(kernel, [...operandsOf(rows), totals, dy], features.shape, scalarsOf(config, rows, margin));
}

const PLAIN = (): Margin => additiveMargin(1, 0);

/** The operation, walking rows as `choose` says. */
export function softmaxCrossEntropyOp(choose: SoftmaxChoice = chooseSoftmax): Op<OpAttrs['softmaxCrossEntropy']> {
  return {
    inputs: ['logits', 'labels'],
    shape: softmaxCrossEntropyShape,
    forward([logits, labels]) {
      const { loss, totals } = crossEntropy({ scores: logits, labels }, PLAIN, choose);
      return { output: loss, saved: [totals] };
    },
    backward: ({ inputs: [logits, labels], saved: [totals], dy, needs }) => [
      needs[0] ? crossEntropyGradient({ scores: logits, labels }, totals, dy, PLAIN, choose) : null,
      null,
    ],
  };
}

export const softmaxOps = { softmaxCrossEntropy: /* @__PURE__ */ softmaxCrossEntropyOp() };

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
 * Uploads class labels for `softmaxCrossEntropy`, `cosFace` and `marginLoss`. They are checked here, since the GPU cannot refuse any.
 *
 * @param labels integers from 0 to classes − 1, at least one
 * @returns [number of labels]
 * @throws ArgumentError
 */
export function labelsTensor(gpu: Gpu, labels: Int32Array | readonly number[], classes: number): Tensor {
  if (!Number.isInteger(classes) || classes < 1 || classes > MAX_CLASSES) {
    throw new ArgumentError(`labelsTensor: classes is ${classes}; expected an integer from 1 to ${MAX_CLASSES}`);
  }
  checkList('labelsTensor', 'labels', labels, 'a list of integers');
  if (labels.length === 0) throw new ArgumentError('labelsTensor: got no labels; expected at least one');
  labels.forEach((label: number, i: number) => {
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new ArgumentError(`labelsTensor: label ${i} is ${label}; expected an integer from 0 to ${classes - 1}`);
    }
  });
  return Tensor.from(gpu, Float32Array.from(labels), [labels.length]);
}
