import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { type MarginForm, targetFunction } from './common/margin.js';
import { maskFunctions, nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

const ADDITIVE: MarginForm = { form: 'additive' };

/*
 * Kernels that walk rows of scores [rows, classes] and their labels. An invocation visits every parts-th class of a row, from
 * `part` on. The logit of class c is s·score, but that of the label is s times what the margin makes of its score: s = 1 and a
 * margin of 0 is plain softmax cross-entropy, others give the margin losses without a one-hot matrix.
 */

/** All sizes, and the numbers of the margin; `size` is that of an embedding, where the margin needs its length. */
export const softmaxPlan = /* @__PURE__ */ uniform({
  rows: 'u32',
  classes: 'u32',
  parts: 'u32',
  size: 'u32',
  s: 'f32',
  a: 'f32',
  b: 'f32',
  am: 'f32',
});

/** What all kernels here bind first: a multiplicative margin needs the embeddings, too. */
const scored = ({ form }: MarginForm) => ({
  scores: read('f32'),
  labels: read('f32'),
  features: form === 'multiplicative' && read('f32'),
});

/** WGSL that all kernels here share: labels, and logits. */
function logitFunctions(margin: MarginForm): string {
  return wgsl`
${nonFiniteFunctions()}
${targetFunction(margin)}
// A label out of range is an error that the CPU must catch; here it must only not read elsewhere.
fn labelOf(row: u32) -> u32 { return min(u32(max(labels[row], 0.0)), plan.classes - 1u); }
fn logit(row: u32, c: u32, label: u32) -> f32 {
  let score = scores[row * plan.classes + c];
  if (c == label) { return plan.s * target_logit(row, score).x; }
  return plan.s * score;
}
${maskFunctions}`;
}

/**
 * The largest logit of a part, and the sum of e^(logit − largest), in one visit: the sum is rescaled whenever a larger
 * logit comes. Masked classes are left out; a logit that is NaN or +∞ makes the sum NaN. Milakov, Gimelshein 2018, "Online normalizer calculation for softmax", arXiv 1805.02867.
 * Bindings: scores, labels, partials [rows, parts], plan.
 */
export function softmaxPartialsShader(margin: MarginForm = ADDITIVE): Shader {
  return shader(
    { ...scored(margin), partials: write('vec2f'), plan: softmaxPlan },
    (declarations) => wgsl`
${declarations}
${logitFunctions(margin)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.rows * plan.parts) { return; }
  let row = i / plan.parts;
  let part = i % plan.parts;
  let label = labelOf(row);
  var largest = LOWEST;
  var sum = 0.0;
  var wrong = 0.0;
  for (var c = part; c < plan.classes; c += plan.parts) {
    let x = logit(row, c, label);
    if (!isFinite(x)) {
      if (!isMasked(x)) { wrong = nanOf(x); }
    } else if (x > largest) {
      sum = sum * exp(largest - x) + 1.0;
      largest = x;
    } else {
      sum += exp(x - largest);
    }
  }
  partials[i] = vec2f(largest, keepNan(sum, wrong));
}`,
  );
}

/**
 * Merges the parts of each row: its largest logit and 1 / sum, from which the softmax of each class follows, and its
 * cross-entropy. Bindings: scores, labels, partials, totals [rows], losses [rows], plan.
 */
export function softmaxTotalsShader(margin: MarginForm = ADDITIVE): Shader {
  return shader(
    {
      ...scored(margin),
      partials: read('vec2f'),
      totals: write('vec2f'),
      losses: write('f32'),
      plan: softmaxPlan,
    },
    (declarations) => wgsl`
${declarations}
${logitFunctions(margin)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.rows) { return; }
  let begin = i * plan.parts;
  var largest = partials[begin].x;
  for (var part = 1u; part < plan.parts; part++) { largest = max(largest, partials[begin + part].x); }
  var sum = 0.0;
  for (var first = 0u; first < plan.parts; first += ${SUM_BLOCK}u) {
    var block = 0.0;
    for (var part = first; part < min(first + ${SUM_BLOCK}u, plan.parts); part++) {
      let partial = partials[begin + part];
      block += partial.y * exp(partial.x - largest);
    }
    sum += block;
  }
  let label = labelOf(i);
  totals[i] = vec2f(largest, 1.0 / sum);
  losses[i] = logOf(sum) + (largest - logit(i, label, label));
}`,
  );
}

/**
 * The gradient of the mean cross-entropy by the scores: (softmax − [c is the label])·s·dy / rows.
 * Bindings: scores, labels, totals, dy (a scalar), dScores, plan.
 */
export function softmaxGradientShader(margin: MarginForm = ADDITIVE): Shader {
  return shader(
    {
      ...scored(margin),
      totals: read('vec2f'),
      dy: read('f32'),
      dScores: write('f32'),
      plan: softmaxPlan,
    },
    (declarations) => wgsl`
${declarations}
${logitFunctions(margin)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.rows * plan.parts) { return; }
  let row = i / plan.parts;
  let part = i % plan.parts;
  let label = labelOf(row);
  let total = totals[row];
  let scale = plan.s * dy[0] / f32(plan.rows);
  for (var c = part; c < plan.classes; c += plan.parts) {
    let p = exp(logit(row, c, label) - total.x) * total.y;
    if (c == label) {
      dScores[row * plan.classes + c] = scale * (p - 1.0) * target_logit(row, scores[row * plan.classes + c]).y;
    } else {
      dScores[row * plan.classes + c] = scale * p;
    }
  }
}`,
  );
}

/**
 * The gradient of the mean cross-entropy by the embeddings through the length in a multiplicative margin, at fixed scores:
 * x/‖x‖ times the derivative of the label's logit by ‖x‖. Bindings: scores, labels, features, totals, dy, dFeatures, plan.
 */
export function softmaxLengthGradientShader(margin: MarginForm & { form: 'multiplicative' }): Shader {
  return shader(
    {
      ...scored(margin),
      totals: read('vec2f'),
      dy: read('f32'),
      dFeatures: write('f32'),
      plan: softmaxPlan,
    },
    (declarations) => wgsl`
${declarations}
${logitFunctions(margin)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.rows) { return; }
  let label = labelOf(i);
  let total = totals[i];
  let p = exp(logit(i, label, label) - total.x) * total.y;
  let scale = plan.s * dy[0] / f32(plan.rows) * (p - 1.0) * target_logit(i, scores[i * plan.classes + label]).z / normOf(i);
  for (var d = i * plan.size; d < (i + 1u) * plan.size; d++) { dFeatures[d] = scale * features[d]; }
}`,
  );
}
