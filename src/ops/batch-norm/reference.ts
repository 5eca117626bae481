import { columnSums, map, type NdArray } from '../../reference/ndarray.js';
import type { ReferenceRule } from '../../reference/reference-op.js';
import { preluReference } from '../prelu.js';
import type { BatchNormAttrs } from './batch-norm.js';

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
export const batchNormTrainingReference: ReferenceRule<BatchNormAttrs> = {
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
    // The mean and the variance depend on x too: both projections of dy on them are subtracted.
    const dx = map(dy, (d, i) => {
      const c = i % channels;
      const own = d - dBeta.data[c] / rows - (xhat.data[i] * dGamma.data[c]) / rows;
      return gamma.data[c] * inverse.data[c] * own;
    });
    return [dx, dGamma, dBeta];
  },
};

export const batchNormInferenceReference: ReferenceRule<BatchNormAttrs> = {
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
      return preluReference.forward([z, inputs[inputs.length - 1]], {}, shape);
    },
    backward(inputs, output, dy, attrs) {
      const [own, slope] = [inputs.slice(0, -1), inputs[inputs.length - 1]];
      const z = norm.forward(own, attrs, output.shape);
      const [dz, dSlope] = preluReference.backward([z, slope], output, dy, {});
      return [...norm.backward(own, z, dz!, attrs), dSlope];
    },
  };
}

export const batchNormPreluTrainingReference = /* @__PURE__ */ thenPrelu(batchNormTrainingReference);
export const batchNormPreluInferenceReference = /* @__PURE__ */ thenPrelu(batchNormInferenceReference);

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const batchNormReferences = {
  batchNormTraining: batchNormTrainingReference,
  batchNormInference: batchNormInferenceReference,
  batchNormPreluTraining: batchNormPreluTrainingReference,
  batchNormPreluInference: batchNormPreluInferenceReference,
};
