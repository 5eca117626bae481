import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** Columns in one load. */
export type SumWidth = 1 | 2 | 4;

/** All sizes of a pass, so that one pipeline a width serves every shape; groups = columns / width. */
export const sumPlan = /* @__PURE__ */ uniform({
  rows: 'u32',
  groups: 'u32',
  parts: 'u32',
  threads: 'u32',
  scale: 'f32',
});

/**
 * Adds rows: x [batches, rows, columns] becomes y [batches, parts, columns], where part s holds
 * scale·(row s + row s + parts + row s + 2·parts + …), added in this order, in blocks and in blocks of blocks. An invocation
 * owns `width` adjacent columns of one part. With several outputs, batches and parts are 1, and each output gets an equal share
 * of the columns. Bindings: x, y0, y1, …, plan.
 */
export function sumRowsShader(width: SumWidth, outputs: number): Shader {
  const V = vectorType(width);
  const ys = Object.fromEntries(Array.from({ length: outputs }, (_, k) => [`y${k}`, write(V)]));
  return shader(
    { x: read(V), ...ys, plan: sumPlan },
    (declarations) => wgsl`
alias V = ${V};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let lane = i % (plan.parts * plan.groups);
  let first = i / (plan.parts * plan.groups) * plan.rows * plan.groups;
  let column = first + lane % plan.groups;
  let step = ${SUM_BLOCK}u * plan.parts;
  let stride = plan.parts * plan.groups;
  var total = V();
  for (var first = lane / plan.groups; first < plan.rows; first += ${SUM_BLOCK}u * step) {
    var blocks = V();
    for (var begin = first; begin < min(first + ${SUM_BLOCK}u * step, plan.rows); begin += step) {
      let end = column + min(begin + step, plan.rows) * plan.groups;
      var block = V();
      for (var at = column + begin * plan.groups; at < end; at += stride) { block += x[at]; }
      blocks += block;
    }
    total += blocks;
  }
#if ${outputs === 1}
  y0[i] = plan.scale * total;
#else
  let share = plan.groups / ${outputs}u;
  switch i / share {
    ${unroll(outputs, (k) => `case ${k}u: { y${k}[i - ${k}u * share] = plan.scale * total; }`)}
    default: {}
  }
#endif
}`,
  );
}

/** What a fold makes of two numbers. Sums of float32 are added in blocks instead, by `sumRowsShader`. */
export type Fold = 'max' | 'min' | 'prod' | 'sum';

/**
 * Folds rows as `sumRowsShader` adds them, one after the other. NaN wins over all numbers. Bindings: x, y, plan (without its scale).
 * @param type of the elements
 */
export function foldRowsShader(width: SumWidth, fold: Fold, type: 'f32' | 'i32' | 'u32'): Shader {
  const V = width === 1 ? type : `vec${width}${type[0]}`;
  const value = { max: 'max(a, b)', min: 'min(a, b)', prod: 'a * b', sum: 'a + b' }[fold];
  const extremeOfFloats = type === 'f32' && (fold === 'max' || fold === 'min');
  return shader(
    { x: read(V), y: write(V), plan: sumPlan },
    (declarations) => wgsl`
${declarations}
#if ${extremeOfFloats}
${nonFiniteFunctions(width)}
fn fold(a: ${V}, b: ${V}) -> ${V} { return keepNan(keepNan(${value}, a), b); }
#else
fn fold(a: ${V}, b: ${V}) -> ${V} { return ${value}; }
#endif

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let stride = plan.parts * plan.groups;
  let begin = i / stride * plan.rows * plan.groups;
  let end = begin + plan.rows * plan.groups;
  var result = x[begin + i % stride];
  for (var at = begin + i % stride + stride; at < end; at += stride) { result = fold(result, x[at]); }
  y[i] = result;
}`,
  );
}
