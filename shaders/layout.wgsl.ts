import { stridesOf } from '../src/common/shapes.js';
import { linearMain } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { ravel, unravel } from './common/unravel.js';

/** A box inside an array, both row-major; all sizes in units of `width` along the last axis. */
export interface Box {
  /** Sizes of the array. */
  outer: readonly number[];
  /** Where the box begins in it. */
  begin: readonly number[];
  /** Sizes of the box. */
  inner: readonly number[];
  /** Elements an invocation: vec4 where the last axis allows. */
  width: 1 | 4;
}

const bindings = ({ width }: Box): string => {
  const type = width === 1 ? 'f32' : 'vec4f';
  return `
alias V = ${type};
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> y: array<V>;`;
};

/** Index in the array of element `i` of the box. */
function indexInArray({ outer, begin, inner }: Box): { indices: string; at: string } {
  const strides = stridesOf(outer);
  const base = begin.reduce((sum, first, axis) => sum + first * strides[axis], 0);
  return { indices: unravel('i', inner), at: ravel('i', strides, base) };
}

/** y = the box of x. Bindings: x (the array), y (the box). */
export function readBoxShader(box: Box): string {
  const { indices, at } = indexInArray(box);
  return `${bindings(box)}
${linearMain('arrayLength(&y)')}
${indices}
  y[i] = x[${at}];
}`;
}

/** Writes x into the box of y and leaves the rest. Bindings: x (the box), y (the array). */
export function writeBoxShader(box: Box): string {
  const { indices, at } = indexInArray(box);
  return `${bindings(box)}
${linearMain('arrayLength(&x)')}
${indices}
  y[${at}] = x[i];
}`;
}

/** y = x in the box, `value` around it. Bindings: x (the box), y (the array). */
export function padShader(box: Box, value: number): string {
  const { outer, begin, inner } = box;
  const strides = stridesOf(inner);
  // An index before the box wraps to a huge one, so one comparison an axis tests both ends.
  const shifted = begin.map((first, axis) => (first === 0 ? '' : `  let b${axis} = i${axis} - ${first}u;`));
  const name = (axis: number) => (begin[axis] === 0 ? `i${axis}` : `b${axis}`);
  const inside = inner.flatMap((size, axis) => (size === outer[axis] ? [] : [`${name(axis)} < ${size}u`]));
  const at = inner.map((_, axis) => `${name(axis)} * ${strides[axis]}u`).join(' + ');
  return `${bindings(box)}
${linearMain('arrayLength(&y)')}
${unravel('i', outer)}
${shifted.filter(Boolean).join('\n')}
  var value = V(${f32Literal(value)});
  if (${inside.join(' && ') || 'true'}) { value = x[${at}]; }
  y[i] = value;
}`;
}
