import { LEAST_SINE } from '../../shaders/common/margin.js';
import type { OpAttrs } from '../common/op-attrs.js';
import { crossEntropy, crossEntropyGradient } from './losses.js';
import { multiply } from './matmul.js';
import { map, type NdArray, scalar, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

type Attrs = OpAttrs['marginLoss'];

const norms = (x: NdArray): number[] =>
  Array.from({ length: x.shape[0] }, (_, row) =>
    Math.max(Math.hypot(...x.data.subarray(row * x.shape[1], (row + 1) * x.shape[1])), 1e-12),
  );

const divided = (x: NdArray, lengths: readonly number[]): NdArray =>
  map(x, (value, i) => value / lengths[Math.floor(i / x.shape[1])]);

/** The label's logit as a multiple of the scale, as a function of cos θ, and its derivative. */
function labelFunction({ loss, m, lambda }: Attrs, cosine: number): { value: number; derivative: number } {
  const theta = Math.acos(Math.max(-1, Math.min(1, cosine)));
  if (loss === 'cosface') return { value: cosine - m, derivative: 1 };
  if (loss === 'arcface') {
    if (theta + m >= Math.PI) return { value: cosine - m * Math.sin(m), derivative: 1 };
    const sine = Math.max(Math.sin(theta), LEAST_SINE);
    return { value: Math.cos(theta + m), derivative: Math.cos(m) + (cosine * Math.sin(m)) / sine };
  }
  if (loss === 'sphereface') {
    const k = Math.min(m - 1, Math.floor((m * theta) / Math.PI));
    const sign = k % 2 === 0 ? 1 : -1;
    const psi = sign * Math.cos(m * theta) - 2 * k;
    // d cos(mθ) / d cos θ = m·sin(mθ) / sin θ, which tends to ±m² at the ends.
    const sine = Math.sin(theta);
    const slope = sine > 1e-9 ? (m * Math.sin(m * theta)) / sine : m * m * (cosine > 0 || m % 2 === 1 ? 1 : -1);
    return { value: (lambda * cosine + psi) / (1 + lambda), derivative: (lambda + sign * slope) / (1 + lambda) };
  }
  return { value: cosine, derivative: 1 };
}

interface Scored {
  /** Lengths that embeddings and weights are divided by; 1 for softmax, which does not look at angles. */
  lengthsX: number[];
  lengthsW: number[];
  units: NdArray;
  weights: NdArray;
  cosines: NdArray;
  logits: NdArray;
  /** Factor of each row's logits: s, or ‖x‖. */
  scales: number[];
}

function score([x, w, labels]: readonly NdArray[], attrs: Attrs): Scored {
  const plain = attrs.loss === 'softmax';
  const lengthsX = plain ? new Array(x.shape[0]).fill(1) : norms(x);
  const lengthsW = plain ? new Array(w.shape[0]).fill(1) : norms(w);
  const [units, weights] = [divided(x, lengthsX), divided(w, lengthsW)];
  const cosines = multiply(units, weights, false, true);
  const scales = lengthsX.map((length) => (attrs.loss === 'sphereface' ? length : plain ? 1 : attrs.s));
  const classes = w.shape[0];
  const logits = map(cosines, (cosine, i) => {
    const row = Math.floor(i / classes);
    const isLabel = i % classes === labels.data[row];
    return scales[row] * (isLabel ? labelFunction(attrs, cosine).value : cosine);
  });
  return { lengthsX, lengthsW, units, weights, cosines, logits, scales };
}

/** The gradient through v / ‖v‖: the part of dy across the unit vector, over the length. */
function throughUnit(units: NdArray, lengths: readonly number[], dy: NdArray): NdArray {
  const size = units.shape[1];
  const result = zeros(units.shape);
  lengths.forEach((length, row) => {
    let along = 0;
    for (let d = 0; d < size; d++) along += units.data[row * size + d] * dy.data[row * size + d];
    for (let d = 0; d < size; d++) {
      const i = row * size + d;
      result.data[i] = (dy.data[i] - along * units.data[i]) / length;
    }
  });
  return result;
}

export const marginLoss: ReferenceRule<Attrs> = {
  forward: (inputs, attrs) => scalar(crossEntropy('marginLoss', score(inputs, attrs).logits, inputs[2]).loss),
  backward(inputs, _output, dy, attrs) {
    const [, w, labels] = inputs;
    const { lengthsX, lengthsW, units, weights, cosines, logits, scales } = score(inputs, attrs);
    const classes = w.shape[0];
    const dLogits = crossEntropyGradient('marginLoss', logits, labels, dy);
    const dCosines = map(dLogits, (d, i) => {
      const row = Math.floor(i / classes);
      const isLabel = i % classes === labels.data[row];
      return d * scales[row] * (isLabel ? labelFunction(attrs, cosines.data[i]).derivative : 1);
    });
    const [dUnits, dWeights] = [multiply(dCosines, weights), multiply(dCosines, units, true)];
    if (attrs.loss === 'softmax') return [dUnits, dWeights, null];
    const dx = throughUnit(units, lengthsX, dUnits);
    if (attrs.loss === 'sphereface') {
      const size = units.shape[1];
      lengthsX.forEach((_, row) => {
        let byLength = 0;
        for (let c = 0; c < classes; c++) {
          const i = row * classes + c;
          byLength += (dLogits.data[i] * logits.data[i]) / scales[row];
        }
        for (let d = 0; d < size; d++) dx.data[row * size + d] += byLength * units.data[row * size + d];
      });
    }
    return [dx, throughUnit(weights, lengthsW, dWeights), null];
  },
};
