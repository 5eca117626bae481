import { linearMain } from './common/linear-index.js';
import { type TypedBinding, typedBindings } from './common/typed-bindings.js';

/**
 * Head of a kernel that walks rows of scores [rows, classes] and their labels. An invocation visits every slots-th class
 * of a row, from `slot` on. The logit of class c is s·(score − m·[c is the label]): s = 1 and m = 0 is plain softmax
 * cross-entropy, others give the margin loss of CosFace without a one-hot matrix. All sizes are uniforms.
 */
function head(...bindings: TypedBinding[]): string {
  return `
struct Plan { rows: u32, classes: u32, slots: u32, s: f32, m: f32 }
${typedBindings(...bindings)}
@group(0) @binding(${bindings.length}) var<uniform> plan: Plan;
// A label out of range is an error that the CPU must catch; here it must only not read elsewhere.
fn labelOf(row: u32) -> u32 { return min(u32(max(labels[row], 0.0)), plan.classes - 1u); }
fn logit(row: u32, c: u32, label: u32) -> f32 {
  return plan.s * (scores[row * plan.classes + c] - select(0.0, plan.m, c == label));
}`;
}

const rowAndSlot = `
${linearMain('plan.rows * plan.slots')}
  let row = i / plan.slots;
  let slot = i % plan.slots;
  let label = labelOf(row);`;

/**
 * The largest logit of a slot, and the sum of e^(logit − largest), in one visit: the sum is rescaled whenever a larger
 * logit comes. Milakov, Gimelshein 2018, "Online normalizer calculation for softmax", arXiv 1805.02867.
 * Bindings: scores, labels, partials [rows, slots], plan.
 */
export function softmaxPartialsShader(): string {
  return `
${head(['scores', 'r', 'f32'], ['labels', 'r', 'f32'], ['partials', 'w', 'vec2f'])}
${rowAndSlot}
  var largest = logit(row, slot, label);
  var sum = 1.0;
  for (var c = slot + plan.slots; c < plan.classes; c += plan.slots) {
    let x = logit(row, c, label);
    if (x > largest) {
      sum = sum * exp(largest - x) + 1.0;
      largest = x;
    } else {
      sum += exp(x - largest);
    }
  }
  partials[i] = vec2f(largest, sum);
}`;
}

/**
 * Merges the slots of each row: its largest logit and 1 / sum, from which the softmax of each class follows, and its
 * cross-entropy. Bindings: scores, labels, partials, totals [rows], losses [rows], plan.
 */
export function softmaxTotalsShader(): string {
  return `
${head(['scores', 'r', 'f32'], ['labels', 'r', 'f32'], ['partials', 'r', 'vec2f'], ['totals', 'w', 'vec2f'], ['losses', 'w', 'f32'])}
${linearMain('plan.rows')}
  let begin = i * plan.slots;
  var largest = partials[begin].x;
  for (var slot = 1u; slot < plan.slots; slot++) { largest = max(largest, partials[begin + slot].x); }
  var sum = 0.0;
  for (var slot = 0u; slot < plan.slots; slot++) {
    let part = partials[begin + slot];
    sum += part.y * exp(part.x - largest);
  }
  let label = labelOf(i);
  totals[i] = vec2f(largest, 1.0 / sum);
  losses[i] = log(sum) + (largest - logit(i, label, label));
}`;
}

/**
 * The gradient of the mean cross-entropy by the scores: (softmax − [c is the label])·s·dy / rows.
 * Bindings: scores, labels, totals, dy (a scalar), dScores, plan.
 */
export function softmaxGradientShader(): string {
  return `
${head(['scores', 'r', 'f32'], ['labels', 'r', 'f32'], ['totals', 'r', 'vec2f'], ['dy', 'r', 'f32'], ['dScores', 'w', 'f32'])}
${rowAndSlot}
  let total = totals[row];
  let scale = plan.s * dy[0] / f32(plan.rows);
  for (var c = slot; c < plan.classes; c += plan.slots) {
    let p = exp(logit(row, c, label) - total.x) * total.y;
    dScores[row * plan.classes + c] = scale * (p - select(0.0, 1.0, c == label));
  }
}`;
}
