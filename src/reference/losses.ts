import { ArgumentError } from '../common/errors.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { multiply } from './matmul.js';
import { map, type NdArray, scalar, zeros } from './ndarray.js';
import { l2Normalize } from './norm.js';
import type { ReferenceRule } from './reference-op.js';

/** Mean of −log softmax at the labels over the rows of logits, and softmax itself. */
export function crossEntropy(op: string, logits: NdArray, labels: NdArray): { loss: number; softmax: NdArray } {
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
export function crossEntropyGradient(op: string, logits: NdArray, labels: NdArray, dy: NdArray): NdArray {
  const [batch, classes] = logits.shape;
  const { softmax } = crossEntropy(op, logits, labels);
  return map(softmax, (p, i) => {
    const target = i % classes === labels.data[Math.floor(i / classes)] ? 1 : 0;
    return ((p - target) * dy.data[0]) / batch;
  });
}

export const softmaxCrossEntropy: ReferenceRule<unknown> = {
  forward: ([logits, labels]) => scalar(crossEntropy('softmaxCrossEntropy', logits, labels).loss),
  backward: ([logits, labels], _output, dy) => [crossEntropyGradient('softmaxCrossEntropy', logits, labels, dy), null],
};

const NORM = { eps: 1e-12 };

/** Normalised embeddings and weights, and the logits s·(cos θ − m·[target]). */
function cosFaceLogits(inputs: readonly NdArray[], { s, m }: OpAttrs['cosFace']) {
  const [x, w, labels] = inputs;
  const embeddings = l2Normalize.forward([x], NORM, x.shape);
  const weights = l2Normalize.forward([w], NORM, w.shape);
  const classes = w.shape[0];
  const logits = map(multiply(embeddings, weights, false, true), (cosine, i) => {
    const margin = i % classes === labels.data[Math.floor(i / classes)] ? m : 0;
    return s * (cosine - margin);
  });
  return { embeddings, weights, logits };
}

export const cosFace: ReferenceRule<OpAttrs['cosFace']> = {
  forward: (inputs, attrs) => scalar(crossEntropy('cosFace', cosFaceLogits(inputs, attrs).logits, inputs[2]).loss),
  backward(inputs, _output, dy, attrs) {
    const [x, w, labels] = inputs;
    const { embeddings, weights, logits } = cosFaceLogits(inputs, attrs);
    const dCosine = map(crossEntropyGradient('cosFace', logits, labels, dy), (d) => attrs.s * d);
    const [dx] = l2Normalize.backward([x], embeddings, multiply(dCosine, weights), NORM);
    const [dw] = l2Normalize.backward([w], weights, multiply(dCosine, embeddings, true), NORM);
    return [dx, dw, null];
  },
};

export const mse: ReferenceRule<unknown> = {
  forward([a, b]) {
    let sum = 0;
    for (let i = 0; i < a.data.length; i++) sum += (a.data[i] - b.data[i]) ** 2;
    return scalar(sum / a.data.length);
  },
  backward([a, b], _output, dy) {
    const da = map(a, (v, i) => (2 * (v - b.data[i]) * dy.data[0]) / a.data.length);
    return [da, map(da, (v) => -v)];
  },
};
