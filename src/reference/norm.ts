import type { OpAttrs } from '../common/op-attrs.js';
import { prelu } from './elementwise.js';
import { columnSums, map, type NdArray, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

/** Mean and biased variance of each channel of [..., C], over all axes but the last; each [C]. */
export function batchStatistics(x: NdArray): { mean: NdArray; variance: NdArray } {
  const channels = x.shape[x.shape.length - 1];
  const rows = x.data.length / channels;
  const mean = map(columnSums(x), (sum) => sum / rows);
  const squares = columnSums(map(x, (v, i) => (v - mean.data[i % channels]) ** 2));
  return { mean, variance: map(squares, (sum) => sum / rows) };
}

/** (x − mean) / √(variance + eps), and 1 / √(variance + eps) for each channel. */
function standardize(x: NdArray, mean: NdArray, variance: NdArray, eps: number): { xhat: NdArray; inverse: NdArray } {
  const channels = mean.data.length;
  const inverse = map(variance, (v) => 1 / Math.sqrt(v + eps));
  const xhat = map(x, (v, i) => (v - mean.data[i % channels]) * inverse.data[i % channels]);
  return { xhat, inverse };
}

function scaleAndShift(xhat: NdArray, gamma: NdArray, beta: NdArray): NdArray {
  const channels = gamma.data.length;
  return map(xhat, (v, i) => v * gamma.data[i % channels] + beta.data[i % channels]);
}

function product(a: NdArray, b: NdArray): NdArray {
  return map(a, (v, i) => v * b.data[i]);
}

/** Ioffe and Szegedy 2015, "Batch normalization", arXiv 1502.03167. */
export const batchNormTraining: ReferenceRule<OpAttrs['batchNormTraining']> = {
  forward([x, gamma, beta], { eps }) {
    const { mean, variance } = batchStatistics(x);
    return scaleAndShift(standardize(x, mean, variance, eps).xhat, gamma, beta);
  },
  backward([x, gamma], _output, dy, { eps }) {
    const { mean, variance } = batchStatistics(x);
    const { xhat, inverse } = standardize(x, mean, variance, eps);
    const dGamma = columnSums(product(dy, xhat));
    const dBeta = columnSums(dy);
    const channels = gamma.data.length;
    const rows = x.data.length / channels;
    // The mean and the variance depend on x too: both projections of dy on them are taken away.
    const dx = map(dy, (d, i) => {
      const c = i % channels;
      const own = d - dBeta.data[c] / rows - (xhat.data[i] * dGamma.data[c]) / rows;
      return gamma.data[c] * inverse.data[c] * own;
    });
    return [dx, dGamma, dBeta];
  },
};

export const batchNormInference: ReferenceRule<OpAttrs['batchNormInference']> = {
  forward: ([x, gamma, beta, mean, variance], { eps }) =>
    scaleAndShift(standardize(x, mean, variance, eps).xhat, gamma, beta),
  backward([x, gamma, , mean, variance], _output, dy, { eps }) {
    const { xhat, inverse } = standardize(x, mean, variance, eps);
    const channels = gamma.data.length;
    const dx = map(dy, (d, i) => d * gamma.data[i % channels] * inverse.data[i % channels]);
    return [dx, columnSums(product(dy, xhat)), columnSums(dy), null, null];
  },
};

/** A form of batch normalisation, then PReLU by the last input. */
function thenPrelu(norm: ReferenceRule<{ eps: number }>): ReferenceRule<{ eps: number }> {
  return {
    forward(inputs, attrs, shape) {
      const z = norm.forward(inputs.slice(0, -1), attrs, shape);
      return prelu.forward([z, inputs[inputs.length - 1]], {}, shape);
    },
    backward(inputs, output, dy, attrs) {
      const [own, slope] = [inputs.slice(0, -1), inputs[inputs.length - 1]];
      const z = norm.forward(own, attrs, output.shape);
      const [dz, dSlope] = prelu.backward([z, slope], output, dy, {});
      return [...norm.backward(own, z, dz!, attrs), dSlope];
    },
  };
}

export const batchNormPreluTraining = /* @__PURE__ */ thenPrelu(batchNormTraining);
export const batchNormPreluInference = /* @__PURE__ */ thenPrelu(batchNormInference);

/** ‖row‖₂ of each row of the last axis. */
function rowNorms(x: NdArray): Float64Array {
  const size = x.shape[x.shape.length - 1];
  const norms = new Float64Array(x.data.length / size);
  for (let i = 0; i < norms.length; i++) {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += x.data[i * size + j] ** 2;
    norms[i] = Math.sqrt(sum);
  }
  return norms;
}

export const l2Normalize: ReferenceRule<OpAttrs['l2Normalize']> = {
  forward([x], { eps }) {
    const size = x.shape[x.shape.length - 1];
    const norms = rowNorms(x);
    return map(x, (v, i) => v / Math.max(norms[Math.floor(i / size)], eps));
  },
  backward([x], y, dy, { eps }) {
    const size = x.shape[x.shape.length - 1];
    const dx = zeros(x.shape);
    rowNorms(x).forEach((norm, row) => {
      const first = row * size;
      // Below eps the divisor is a constant.
      let along = 0;
      if (norm > eps) for (let j = 0; j < size; j++) along += y.data[first + j] * dy.data[first + j];
      for (let j = 0; j < size; j++) {
        dx.data[first + j] = (dy.data[first + j] - y.data[first + j] * along) / Math.max(norm, eps);
      }
    });
    return [dx];
  },
};
