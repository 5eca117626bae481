import type { Shader } from '../src/common/shader.js';
import { read, shader, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

/** What the text of both kernels depends on. */
export interface NllKind {
  classes: number;
  labels: 'f32' | 'i32';
  /** Whether classes have weights. */
  weighted: boolean;
  /** A label whose rows do not count. */
  ignoreIndex: number | null;
}

/** WGSL of `weightOf(label)`: 0 of rows that do not count, NaN of labels that are no class. */
function labelFunctions({ classes, labels, weighted, ignoreIndex }: NllKind): string {
  return wgsl`
${nonFiniteFunctions()}
#if ${labels === 'f32'}
fn labelOf(row: u32) -> i32 { return select(i32(labels[row]), -1, isNan(labels[row])); }
fn isIgnored(row: u32) -> bool { return ${ignoreIndex === null ? 'false' : `labels[row] == ${ignoreIndex}.0`}; }
#else
fn labelOf(row: u32) -> i32 { return labels[row]; }
fn isIgnored(row: u32) -> bool { return ${ignoreIndex === null ? 'false' : `labels[row] == ${ignoreIndex}`}; }
#endif
fn isClass(label: i32) -> bool { return u32(label) < ${classes}u; }
fn weightOf(row: u32) -> f32 {
  if (isIgnored(row)) { return 0.0; }
  let label = labelOf(row);
  if (!isClass(label)) { return nanOf(f32(row)); }
#if ${weighted}
  return weights[label];
#else
  return 1.0;
#endif
}`;
}

/** Of each row of x [rows, classes]: −weight·x[label], and the weight. Bindings: x, labels, (weights,) losses, counts. */
export function nllLossShader(kind: NllKind): Shader {
  return shader(
    {
      xs: read('f32'),
      labels: read(kind.labels),
      weights: kind.weighted && read('f32'),
      losses: write('f32'),
      counts: write('f32'),
    },
    (declarations) => wgsl`
${declarations}
${labelFunctions(kind)}

${linearHead} {
  let row = ${linearIndex};
  if (row >= arrayLength(&losses)) { return; }
  let weight = weightOf(row);
  counts[row] = weight;
  var loss = weight;
  if (!isIgnored(row) && isClass(labelOf(row))) { loss = -weight * xs[row * ${kind.classes}u + u32(labelOf(row))]; }
  losses[row] = loss;
}`,
  );
}

/**
 * dx = −weight·dy at the label, divided by `total` where there is one, else 0. Bindings: labels, (weights,) (total,) dy, dx.
 * @param perRow whether each row has a dy
 */
export function nllLossGradientShader(kind: NllKind, divided: boolean, perRow: boolean): Shader {
  return shader(
    {
      labels: read(kind.labels),
      weights: kind.weighted && read('f32'),
      total: divided && read('f32'),
      dys: read('f32'),
      dxs: write('f32'),
    },
    (declarations) => wgsl`
${declarations}
${labelFunctions(kind)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&dxs)) { return; }
  let row = i / ${kind.classes}u;
  var dx = 0.0;
  if (!isIgnored(row) && labelOf(row) == i32(i % ${kind.classes}u)) {
    dx = -weightOf(row) * dys[${perRow ? 'row' : '0'}]${divided ? ' / total[0]' : ''};
  }
  dxs[i] = dx;
}`,
  );
}
