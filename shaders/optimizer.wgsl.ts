import { BLOCK } from './common/block-sums.js';
import { linearMain } from './common/linear-index.js';
import { f32Literal as f32 } from './common/literal.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

/** Elements in one load. */
export type LoadWidth = 1 | 4;

const vector = (width: LoadWidth) => `alias V = ${width === 1 ? 'f32' : 'vec4f'};`;

/** Declares storage bindings 0, 1, … of V unless another element type is given, then a uniform `u` of `Scalars`. */
function bindings(names: [name: string, access: 'r' | 'w', type?: string][], scalars: string): string {
  const storage = names.map(
    ([name, access, type = 'V'], k) =>
      `@group(0) @binding(${k}) var<storage, ${access === 'r' ? 'read' : 'read_write'}> ${name}: array<${type}>;`,
  );
  return `
struct Scalars { ${scalars} }
${storage.join('\n')}
@group(0) @binding(${names.length}) var<uniform> u: Scalars;`;
}

/** A loop over the elements `at` of `array` by all invocations of the grid. Close it, and `main`, with `}` each. */
const forEach = (array: string) => `
${linearMain(`arrayLength(&${array})`)}
  for (var at = i; at < arrayLength(&${array}); at += nwg.x * nwg.y * 64u) {`;

export interface SgdShaderOptions {
  momentum: number;
  weightDecay: number;
  nesterov: boolean;
  /** Binds `scales`, one number that multiplies the gradient. */
  scaled: boolean;
}

/**
 * One step of SGD in place, as PyTorch defines it: g += weightDecay·p; v = momentum·v + g; p −= rate·v, or
 * p −= rate·(g + momentum·v) for Nesterov's form. Without momentum there is no v.
 */
export function sgdShader(width: LoadWidth, { momentum, weightDecay, nesterov, scaled }: SgdShaderOptions): string {
  const names: [string, 'r' | 'w', string?][] = [
    ['params', 'w'],
    ['grads', 'r'],
  ];
  if (momentum) names.push(['velocities', 'w']);
  if (scaled) names.push(['scales', 'r', 'f32']);
  return wgsl`
${vector(width)}
${bindings(names, 'rate: f32')}
${forEach('params')}
    let p = params[at];
    var g = grads[at];
#if ${scaled}
    g *= scales[0];
#endif
#if ${weightDecay}
    g += ${f32(weightDecay)} * p;
#endif
#if ${momentum}
    let velocity = ${f32(momentum)} * velocities[at] + g;
    velocities[at] = velocity;
#if ${nesterov}
    g += ${f32(momentum)} * velocity;
#else
    g = velocity;
#endif
#endif
    params[at] = p - u.rate * g;
  }
}`;
}

export interface AdamShaderOptions {
  beta1: number;
  beta2: number;
  eps: number;
  /** Weight decay that is added to the gradient (0 where it is decoupled). */
  weightDecay: number;
  /** Binds `scales`, one number that multiplies the gradient. */
  scaled: boolean;
}

/**
 * One step of Adam in place (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1). The uniform holds what depends on the
 * step: rate/(1 − beta1^t), 1/√(1 − beta2^t), and 1 − rate·weightDecay for AdamW's decoupled decay
 * (Loshchilov and Hutter 2019, arXiv 1711.05101), else 1.
 */
export function adamShader(width: LoadWidth, { beta1, beta2, eps, weightDecay, scaled }: AdamShaderOptions): string {
  const names: [string, 'r' | 'w', string?][] = [
    ['params', 'w'],
    ['grads', 'r'],
    ['firsts', 'w'],
    ['seconds', 'w'],
  ];
  if (scaled) names.push(['scales', 'r', 'f32']);
  return wgsl`
${vector(width)}
${bindings(names, 'rate: f32, correction: f32, shrink: f32')}
${forEach('params')}
    let p = params[at];
    var g = grads[at];
#if ${scaled}
    g *= scales[0];
#endif
#if ${weightDecay}
    g += ${f32(weightDecay)} * p;
#endif
    let first = firsts[at] + ${f32(1 - beta1)} * (g - firsts[at]);
    let second = ${f32(beta2)} * seconds[at] + ${f32(1 - beta2)} * g * g;
    firsts[at] = first;
    seconds[at] = second;
    params[at] = u.shrink * p - u.rate * first / (sqrt(second) * u.correction + ${f32(eps)});
  }
}`;
}

/** A running average in place: average = rate·value + (1 − rate)·average. */
export function averageShader(width: LoadWidth): string {
  return `
${vector(width)}
${bindings(
  [
    ['averages', 'w'],
    ['values', 'r'],
  ],
  'rate: f32',
)}
${forEach('averages')}
    averages[at] = u.rate * values[at] + (1.0 - u.rate) * averages[at];
  }
}`;
}

/** Each invocation's sum of squares, stored from `offset` on: [… | invocations | …]. */
export function squaresShader(width: LoadWidth): string {
  return `
${vector(width)}
${bindings(
  [
    ['grads', 'r'],
    ['partials', 'w', 'f32'],
  ],
  'offset: u32',
)}
${linearMain('nwg.x * nwg.y * 64u')}
  let step = nwg.x * nwg.y * 64u;
  let end = arrayLength(&grads);
  var sum = V();
  for (var begin = i; begin < end; begin += ${BLOCK}u * step) {
    var block = V();
    for (var at = begin; at < min(begin + ${BLOCK}u * step, end); at += step) { block += grads[at] * grads[at]; }
    sum += block;
  }
  partials[u.offset + i] = ${width === 1 ? 'sum' : 'dot(sum, V(1.0))'};
}`;
}

/** From the sum of all squares the norm, and the factor that brings it down to `most`: NaN where the norm is. */
export function clipShader(): string {
  return `
${bindings(
  [
    ['squares', 'r', 'f32'],
    ['norms', 'w', 'f32'],
    ['scales', 'w', 'f32'],
  ],
  'most: f32',
)}
${nonFiniteFunctions()}
${linearMain('1u')}
  let norm = sqrt(squares[0]);
  norms[0] = norm;
  scales[0] = keepNan(min(1.0, u.most / max(norm, 1e-12)), norm);
}`;
}
