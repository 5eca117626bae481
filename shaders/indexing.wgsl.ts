import type { Shader } from '../src/common/shader.js';
import { sizeOf, stridesOf } from '../src/common/shapes.js';
import { type NumberType, read, shader, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { ravel } from './common/unravel.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/**
 * How indices relate an array [batch, rows, inner] and entries [batch, count, inner]: each entry of a batch goes with one row of it,
 * or with none where an index is outside its axis.
 */
export interface Lookup {
  batch: number;
  /** Sizes of the axes that an index of so many components goes over; their product is the number of rows. */
  dims: readonly number[];
  inner: number;
  count: number;
  /** Whether all batches have the same indices, each entry its own, or each element of each entry. */
  indices: 'shared' | 'rows' | 'elements';
}

export type ScatterReduction = 'none' | 'add' | 'mul' | 'max' | 'min';

/** WGSL of the row that goes with an entry; the number of rows if there is none. An index below 0 counts from the end. */
function targetFunction({ dims, inner, count, indices }: Lookup): string {
  const entry = indices === 'shared' ? 'entry' : `(batch * ${count}u + entry)`;
  const at = indices === 'elements' ? `${entry} * ${inner}u + c` : `${entry} * ${dims.length}u`;
  return `
fn targetOf(batch: u32, entry: u32, c: u32) -> u32 {
  let at = ${at};
  ${unroll(
    dims.length,
    (k) => `let k${k} = indices[at + ${k}u]; let r${k} = u32(select(k${k}, k${k} + ${dims[k]}, k${k} < 0));`,
  )}
  let inside = ${unroll(dims.length, (k) => `r${k} < ${dims[k]}u`, ' && ')};
  return select(${sizeOf(dims)}u, ${ravel('r', stridesOf(dims))}, inside);
}`;
}

/** WGSL that splits i into `batch`, an index along an axis of `size`, and c. */
const split = (name: string, size: number, inner: number): string => `
  if (i >= arrayLength(&ys)) { return; }
  let c = i % ${inner}u;
  let ${name} = i / ${inner}u % ${size}u;
  let batch = i / ${size * inner}u;`;

/**
 * Each entry is the row that goes with it, and `nowhere` (bits) where there is none. Elements are moved as bits, of any type.
 * Bindings: indices, x (rows), y (entries).
 * @param lastOnly the last entry that goes with a row gets it, others get `nowhere`
 */
export function gatherShader(lookup: Lookup, nowhere: number, lastOnly = false): Shader {
  const rows = sizeOf(lookup.dims);
  return shader(
    { indices: read('i32'), xs: read('u32'), ys: write('u32') },
    (declarations) => wgsl`
${declarations}
${targetFunction(lookup)}

${linearHead} {
  let i = ${linearIndex};
  ${split('entry', lookup.count, lookup.inner)}
  let row = targetOf(batch, entry, c);
  var taken = row < ${rows}u;
#if ${lastOnly}
  for (var later = entry + 1u; later < ${lookup.count}u; later++) { taken &= targetOf(batch, later, c) != row; }
#endif
  var y = ${nowhere}u;
  if (taken) { y = xs[(batch * ${rows}u + row) * ${lookup.inner}u + c]; }
  ys[i] = y;
}`,
  );
}

/** WGSL of two numbers, with NaN where one of them is. */
const COMBINED = {
  mul: 'y * u',
  max: 'max(y, u)',
  min: 'min(y, u)',
};

/**
 * Each row, changed by the entries that go with it in their order: an invocation reads the indices of all entries of its batch.
 * Bindings: indices, x (rows) if there is one, else 0; the entries if there are any, else 0; y (rows).
 */
export function scatterShader(
  lookup: Lookup,
  reduction: ScatterReduction,
  type: NumberType,
  { x = true, entries = true } = {},
): Shader {
  const { inner, count } = lookup;
  const combined = reduction === 'none' || reduction === 'add' ? '' : COMBINED[reduction];
  const value = entries ? `entries[(batch * ${count}u + entry) * ${inner}u + c]` : `${type}()`;
  const hits = 'targetOf(batch, entry, c) == row';
  return shader(
    { indices: read('i32'), xs: x && read(type), entries: entries && read(type), ys: write(type) },
    (declarations) => wgsl`
${declarations}
${targetFunction(lookup)}
#if ${combined !== '' && type === 'f32'}
${nonFiniteFunctions()}
fn combine(y: f32, u: f32) -> f32 { return keepNan(keepNan(${combined}, y), u); }
#elif ${combined !== ''}
fn combine(y: ${type}, u: ${type}) -> ${type} { return ${combined}; }
#endif

${linearHead} {
  let i = ${linearIndex};
  ${split('row', sizeOf(lookup.dims), inner)}
  var y = ${x ? 'xs[i]' : `${type}()`};
#if ${reduction === 'none'}
  for (var left = ${count}u; left > 0u; left--) {
    let entry = left - 1u;
    if (${hits}) { y = ${value}; break; }
  }
#elif ${reduction === 'add'}
  // In blocks, and in blocks of blocks.
  var total = ${type}();
  for (var first = 0u; first < ${count}u; first += ${SUM_BLOCK ** 2}u) {
    var blocks = ${type}();
    for (var begin = first; begin < min(first + ${SUM_BLOCK ** 2}u, ${count}u); begin += ${SUM_BLOCK}u) {
      var block = ${type}();
      for (var entry = begin; entry < min(begin + ${SUM_BLOCK}u, ${count}u); entry++) {
        if (${hits}) { block += ${value}; }
      }
      blocks += block;
    }
    total += blocks;
  }
  y += total;
#else
  for (var entry = 0u; entry < ${count}u; entry++) {
    if (${hits}) { y = combine(y, ${value}); }
  }
#endif
  ys[i] = y;
}`,
  );
}

/** `on` in the row that goes with the only entry of its batch, `off` in the others. Bindings: indices, y (rows). */
export function oneHotShader(lookup: Lookup, on: number, off: number): Shader {
  return shader(
    { indices: read('i32'), ys: write('f32') },
    (declarations) => wgsl`
${declarations}
${targetFunction(lookup)}

${linearHead} {
  let i = ${linearIndex};
  ${split('row', sizeOf(lookup.dims), lookup.inner)}
  ys[i] = select(${f32Literal(off)}, ${f32Literal(on)}, targetOf(batch, 0u, c) == row);
}`,
  );
}
