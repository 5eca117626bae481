import type { Shader } from '../src/common/shader.js';
import { stridesOf } from '../src/common/shapes.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { ravel, unravel } from './common/unravel.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

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

/** How elements are moved: float32 as such, all others as bits. */
export type MovedType = 'f32' | 'u32';

const bindingsOf = ({ width }: Box, type: MovedType) => ({
  x: read(vectorType(width, type)),
  y: write(vectorType(width, type)),
});

/** WGSL of the index in the array of the element of the box whose index along each axis is i0, i1, …. */
function indexInArray({ outer, begin }: Box): string {
  const strides = stridesOf(outer);
  return ravel(
    'i',
    strides,
    begin.reduce((sum, first, axis) => sum + first * strides[axis], 0),
  );
}

/** y = the box of x. Bindings: x (the array), y (the box). */
export function readBoxShader(box: Box, type: MovedType = 'f32'): Shader {
  return shader(
    bindingsOf(box, type),
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&y)) { return; }
  ${unravel('i', box.inner)}
  y[i] = x[${indexInArray(box)}];
}`,
  );
}

/** Writes x into the box of y and leaves the rest. Bindings: x (the box), y (the array). */
export function writeBoxShader(box: Box, type: MovedType = 'f32'): Shader {
  return shader(
    bindingsOf(box, type),
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&x)) { return; }
  ${unravel('i', box.inner)}
  y[${indexInArray(box)}] = x[i];
}`,
  );
}

/** y = x in the box, `value` around it. Bindings: x (the box), y (the array). */
export function padShader(box: Box, value: number, type: MovedType = 'f32'): Shader {
  const { outer, begin, inner, width } = box;
  const strides = stridesOf(inner);
  const name = (axis: number) => (begin[axis] === 0 ? `i${axis}` : `b${axis}`);
  const narrow = [...inner.keys()].filter((axis) => inner[axis] < outer[axis]);
  return shader(
    bindingsOf(box, type),
    (declarations) => wgsl`
alias V = ${vectorType(width, type)};
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&y)) { return; }
  ${unravel('i', outer)}
  // An index before the box wraps to a huge one, so one comparison an axis tests both ends.
  ${unroll(
    begin.length,
    (axis) => wgsl`
#if ${begin[axis] > 0}
  let b${axis} = i${axis} - ${begin[axis]}u;
#endif`,
  )}
  var value = V(${type === 'f32' ? f32Literal(value) : `${value >>> 0}u`});
  if (${unroll(narrow.length, (k) => `${name(narrow[k])} < ${inner[narrow[k]]}u`, ' && ') || 'true'}) {
    value = x[${unroll(inner.length, (axis) => `${name(axis)} * ${strides[axis]}u`, ' + ')}];
  }
  y[i] = value;
}`,
  );
}
