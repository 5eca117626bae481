import {
  type ColumnWidth,
  columnBindings,
  columnMain,
  forEachBlock,
  forEachRow,
  forEachRowOfBlock,
} from './common/columns.js';
import { linearMain } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';
import { type SlopeKind, slopeOf, slopeType } from './prelu.wgsl.js';

/** What goes into the PReLU. Forward and backward passes share the text, so that they agree on its sign. */
const preActivation = '(x - mean) * scale + beta';
const inverseDeviation = (variance: string, eps: number) => `1.0 / sqrt(${variance} + ${f32Literal(eps)})`;

/** y = prelu(z), z = (x − mean)·gamma/√(variance + eps) + beta. */
export function batchNormPreluShader(width: ColumnWidth, kind: SlopeKind, eps: number): string {
  return `
${columnBindings(
  width,
  ['xs', 'r'],
  ['gammas', 'r'],
  ['betas', 'r'],
  ['means', 'r'],
  ['variances', 'r'],
  ['slopes', 'r', slopeType(kind)],
  ['ys', 'w'],
)}
${columnMain}
  let group = i % plan.groups;
  let mean = means[group];
  let inverse = ${inverseDeviation('variances[group]', eps)};
  let scale = gammas[group] * inverse;
  let beta = betas[group];
  let slope = ${slopeOf(kind)};
  ${forEachRow}
    let x = xs[at];
    let z = ${preActivation};
    ys[at] = select(slope * z, z, z > V());
  }
}`;
}

/**
 * Packs what the backward passes need for each channel into one tensor [5, channels], since as separate bindings they
 * would be more than the eight of every device: mean, 1/√(variance + eps), gamma times that, beta, slope.
 */
export function coefficientsShader(eps: number): string {
  return `
@group(0) @binding(0) var<storage, read> gammas: array<f32>;
@group(0) @binding(1) var<storage, read> betas: array<f32>;
@group(0) @binding(2) var<storage, read> means: array<f32>;
@group(0) @binding(3) var<storage, read> variances: array<f32>;
@group(0) @binding(4) var<storage, read> slopes: array<f32>;
@group(0) @binding(5) var<storage, read_write> coefficients: array<f32>;
${linearMain('arrayLength(&gammas)')}
  let channels = arrayLength(&gammas);
  let inverse = ${inverseDeviation('variances[i]', eps)};
  coefficients[i] = means[i];
  coefficients[channels + i] = inverse;
  coefficients[2u * channels + i] = gammas[i] * inverse;
  coefficients[3u * channels + i] = betas[i];
  coefficients[4u * channels + i] = slopes[i % arrayLength(&slopes)];
}`;
}

/** The gradient before the PReLU; it has to become NaN where z is, since nobody knows its side. */
const preluGradient = 'select(slope * dy, dy, z > V())';

/** The coefficients of an invocation's channels. */
const loadCoefficients = `
  let group = i % plan.groups;
  let mean = coefficients[group];
  let inverse = coefficients[plan.groups + group];
  let scale = coefficients[2u * plan.groups + group];
  let beta = coefficients[3u * plan.groups + group];
  let slope = coefficients[4u * plan.groups + group];`;

/**
 * Partial sums [slots, groups] of the gradients of beta, gamma and the slope, in one walk: of dz, of
 * dz·(x − mean)/√(variance + eps), and of dy·z where z ≤ 0, with z computed again from x.
 */
export function batchNormPreluPartialGradientsShader(width: ColumnWidth): string {
  return `
${columnBindings(
  width,
  ['xs', 'r'],
  ['dys', 'r'],
  ['coefficients', 'r'],
  ['partialBetas', 'w'],
  ['partialGammas', 'w'],
  ['partialSlopes', 'w'],
)}
${nonFiniteFunctions(width)}
${columnMain}
  ${loadCoefficients}
  var sums = V();
  var products = V();
  var belows = V();
  var largest = magnitude(V()); // of all z: a NaN among them makes the sums NaN
  ${forEachBlock}
    var sum = V();
    var product = V();
    var below = V();
    ${forEachRowOfBlock}
      let x = xs[at];
      let dy = dys[at];
      let z = ${preActivation};
      let dz = ${preluGradient};
      sum += dz;
      product += dz * (x - mean);
      below += select(dy * z, V(), z > V());
      largest = max(largest, magnitude(z));
    }
    sums += sum;
    products += product;
    belows += below;
  }
  partialBetas[i] = keepNanOf(sums, largest);
  partialGammas[i] = keepNanOf(products * inverse, largest);
  partialSlopes[i] = keepNanOf(belows, largest);
}`;
}

/**
 * dx = gamma/√(variance + eps)·dz; in the training form, where the statistics depend on x, without the projections of
 * dz on a constant and on x̂: gamma/√(variance + eps)·(dz − dBeta/rows − x̂·dGamma/rows).
 */
export function batchNormPreluInputGradientShader(width: ColumnWidth, training: boolean): string {
  const sums: [string, 'r'][] = [
    ['dBetas', 'r'],
    ['dGammas', 'r'],
  ];
  return wgsl`
${columnBindings(width, ['xs', 'r'], ['dys', 'r'], ['coefficients', 'r'], ...(training ? sums : []), ['dxs', 'w'])}
${nonFiniteFunctions(width)}
${columnMain}
  ${loadCoefficients}
#if ${training}
  let perRow = 1.0 / f32(plan.rows);
  let constant = dBetas[group] * perRow;
  let along = dGammas[group] * inverse * perRow;
#endif
  ${forEachRow}
    let x = xs[at];
    let dy = dys[at];
    let z = ${preActivation};
    let dz = ${preluGradient};
#if ${training}
    // A NaN comes through without help: where z is NaN, the sums behind constant and along are.
    dxs[at] = scale * (dz - constant - (x - mean) * along);
#else
    dxs[at] = keepNan(scale * dz, z);
#endif
  }
}`;
}
