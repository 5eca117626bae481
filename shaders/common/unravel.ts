import { sizeOf } from '../../src/common/shapes.js';
import { unroll } from './unroll.js';

/**
 * WGSL that splits the linear index `i` into one index an axis, named `prefix` + axis, row-major. The sizes are written
 * in as constants, which makes the divisions cheap.
 */
export function unravel(prefix: string, sizes: readonly number[], i = 'i'): string {
  return unroll(sizes.length, (axis) => {
    const inner = sizeOf(sizes.slice(axis + 1));
    const quotient = inner === 1 ? i : `${i} / ${inner}u`;
    return `let ${prefix}${axis} = ${axis === 0 ? quotient : `(${quotient}) % ${sizes[axis]}u`};`;
  });
}

/** WGSL for a linear index: the sum of each axis' index (`prefix` + axis) times its stride; axes of stride 0 are left out. */
export function ravel(prefix: string, strides: readonly number[], base = 0): string {
  const terms = strides.flatMap((stride, axis) =>
    stride === 0 ? [] : [stride === 1 ? `${prefix}${axis}` : `${prefix}${axis} * ${stride}u`],
  );
  if (base > 0 || terms.length === 0) terms.push(`${base}u`);
  return unroll(terms.length, (k) => terms[k], ' + ');
}
