import type { MarginForm } from '../../shaders/common/margin.js';
import {
  softmaxGradientShader,
  softmaxLengthGradientShader,
  softmaxPartialsShader,
  softmaxPlan,
  softmaxTotalsShader,
} from '../../shaders/softmax.wgsl.js';
import { checkList } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import type { Shape } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Kernel, KernelLimits } from '../gpu/kernel.js';
import type { Scalars } from '../gpu/scalars.js';
import { elementKernel } from '../kernels/elementwise.js';
import { map, type NdArray, scalar, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchMany } from '../tensor/dispatch.js';
import { apply, type NoAttrs, type Op } from '../tensor/tape.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { lossSum } from './loss-sum.js';
import { checkInputs, checkLabels, checkRank } from './shape-checks.js';

export function softmaxCrossEntropyShape(inputs: readonly Shape[]): number[] {
  const op = 'softmaxCrossEntropy';
  checkInputs(op, inputs, ['logits', 'labels']);
  checkRank(op, 'logits', inputs[0], 2, '[B,C]');
  checkLabels(op, inputs[1], inputs[0][0], 'logits');
  return [];
}

/** How rows of logits are walked: `parts` invocations a row, at most one a class. */
export interface SoftmaxConfig {
  readonly rows: number;
  readonly classes: number;
  readonly parts: number;
}

/** Enough invocations to fill the device, with several classes each but no long sums of like terms. */
export function chooseSoftmax(rows: number, classes: number, limits: KernelLimits): SoftmaxConfig {
  const wanted = Math.ceil((limits.software ? 2048 : 2 ** 16) / rows);
  return { rows, classes, parts: Math.max(Math.ceil(classes / 64), Math.min(wanted, Math.ceil(classes / 8))) };
}

/** The naive way: one invocation for each row. */
export function naiveSoftmax(rows: number, classes: number): SoftmaxConfig {
  return { rows, classes, parts: 1 };
}

/** Scale of the logits, and the numbers of the margin's form: see `shaders/common/margin.ts`. */
export interface Margin {
  readonly form: MarginForm;
  readonly s: number;
  readonly a: number;
  readonly b: number;
  readonly am: number;
}

/** s·(score − m) for the label. */
export const additiveMargin = (s: number, m: number): Margin => ({ form: { form: 'additive' }, s, a: m, b: 0, am: 0 });

/** The uniform of all kernels here. @param size values of an embedding, if the margin needs its length */
export function softmaxScalars(
  { rows, classes, parts }: SoftmaxConfig,
  { s, a, b, am }: Margin,
  size = 0,
): ArrayBuffer {
  return softmaxPlan.pack({ rows, classes, parts, size, s, a, b, am });
}

/** Bindings scores, labels, the embeddings for a multiplicative margin, partials [rows, parts, 2]. */
export function softmaxPartialsKernel({ rows, parts }: SoftmaxConfig, margin: MarginForm): Kernel {
  return elementKernel('softmax partials', softmaxPartialsShader(margin), rows * parts);
}

/** Bindings scores, labels, (embeddings,) partials, totals [rows, 2], losses [rows]. */
export function softmaxTotalsKernel({ rows }: SoftmaxConfig, margin: MarginForm): Kernel {
  return elementKernel('softmax totals', softmaxTotalsShader(margin), rows);
}

/** Bindings scores, labels, (embeddings,) totals, dy, dScores. */
export function softmaxGradientKernel({ rows, parts }: SoftmaxConfig, margin: MarginForm): Kernel {
  return elementKernel('softmax gradient', softmaxGradientShader(margin), rows * parts);
}

/** Bindings scores, labels, embeddings, totals, dy, dEmbeddings. */
export function softmaxLengthGradientKernel(
  { rows }: SoftmaxConfig,
  margin: MarginForm & { form: 'multiplicative' },
): Kernel {
  return elementKernel('softmax length gradient', softmaxLengthGradientShader(margin), rows);
}

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
export function meanCrossEntropy(
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
    const partials = dispatch(softmaxPartialsKernel(config, form), operands, [count, config.parts, 2], scalars());
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

/** The gradient of meanCrossEntropy by the scores. */
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

/** The gradient of meanCrossEntropy by the embeddings through their length alone; for a multiplicative margin. */
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
export function softmaxCrossEntropyOp(choose: SoftmaxChoice = chooseSoftmax): Op<NoAttrs> {
  return {
    inputs: ['logits', 'labels'],
    shape: softmaxCrossEntropyShape,
    forward([logits, labels]) {
      const { loss, totals } = meanCrossEntropy({ scores: logits, labels }, PLAIN, choose);
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
const MAX_CLASSES = 0x1000000;

/**
 * Uploads class labels for `softmaxCrossEntropy`, `cosFace` and `marginLoss`. They are checked here, because the GPU cannot refuse any.
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

/** Mean of −log softmax at the labels over the rows of logits, and softmax itself. */
export function crossEntropyReference(
  op: string,
  logits: NdArray,
  labels: NdArray,
): { loss: number; softmax: NdArray } {
  const [batch, classes] = logits.shape;
  const softmax = zeros(logits.shape);
  let loss = 0;
  for (let row = 0; row < batch; row++) {
    const label = labels.data[row];
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new ArgumentError(`${op}: label ${row} is ${label}; expected an integer from 0 to ${classes - 1}`);
    }
    const first = row * classes;
    let max = -Infinity;
    for (let c = 0; c < classes; c++) max = Math.max(max, logits.data[first + c]);
    let total = 0;
    for (let c = 0; c < classes; c++) total += softmax.data[first + c] = Math.exp(logits.data[first + c] - max);
    for (let c = 0; c < classes; c++) softmax.data[first + c] /= total;
    loss += (Math.log(total) + (max - logits.data[first + label])) / batch;
  }
  return { loss, softmax };
}

/** Gradient of the mean cross-entropy with respect to the logits: (softmax − one-hot) / batch, times dy. */
export function crossEntropyGradientReference(op: string, logits: NdArray, labels: NdArray, dy: NdArray): NdArray {
  const [batch, classes] = logits.shape;
  const { softmax } = crossEntropyReference(op, logits, labels);
  return map(softmax, (p, i) => {
    const target = i % classes === labels.data[Math.floor(i / classes)] ? 1 : 0;
    return ((p - target) * dy.data[0]) / batch;
  });
}

export const softmaxCrossEntropyReference: ReferenceRule<unknown> = {
  forward: ([logits, labels]) => scalar(crossEntropyReference('softmaxCrossEntropy', logits, labels).loss),
  backward: ([logits, labels], _output, dy) => [
    crossEntropyGradientReference('softmaxCrossEntropy', logits, labels, dy),
    null,
  ],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const softmaxReferences = { softmaxCrossEntropy: softmaxCrossEntropyReference };
