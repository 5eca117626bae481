import type { Shader } from '../src/common/shader.js';
import { read, shader, write } from './common/bindings.js';
import { SUM_BLOCK } from './common/block-sums.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/** Continues an axis by its own elements. */
export interface AxisPadding {
  /** Elements of the axis, and how many come before and after them. */
  size: number;
  before: number;
  after: number;
  /** Product of the sizes of the axes behind it. */
  inner: number;
  mode: 'reflect' | 'edge' | 'wrap';
}

/** After how many elements the continuation repeats, where it does. */
const periodOf = ({ mode, size }: AxisPadding): number => (mode === 'wrap' ? size : Math.max(1, 2 * (size - 1)));

/** y = x, continued. Elements are moved as bits, of any type. Bindings: x, y. */
export function padAxisShader(padding: AxisPadding): Shader {
  const { size, before, after, inner, mode } = padding;
  const padded = before + size + after;
  const period = periodOf(padding);
  const shift = (period - (before % period)) % period;
  return shader(
    { xs: read('u32'), ys: write('u32') },
    (declarations) => wgsl`
${declarations}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&ys)) { return; }
  let place = i / ${inner}u % ${padded}u;
#if ${mode === 'edge'}
  let source = min(max(place, ${before}u) - ${before}u, ${size - 1}u);
#else
  var source = (place + ${shift}u) % ${period}u;
#endif
#if ${mode === 'reflect'}
  source = min(source, ${period}u - source);
#endif
  ys[i] = xs[(i / ${inner * padded}u * ${size}u + source) * ${inner}u + i % ${inner}u];
}`,
  );
}

/** Each element of x adds up, in their order, the gradients of the places where it stands in y. Bindings: dy, dx. */
export function padAxisGradientShader(padding: AxisPadding): Shader {
  const { size, before, after, inner, mode } = padding;
  const padded = before + size + after;
  const period = periodOf(padding);
  const step = mode === 'edge' ? 1 : period;
  return shader(
    { dys: read('f32'), dxs: write('f32') },
    (declarations) => wgsl`
${declarations}

// The sum over the places first, first + step, … below end, in blocks.
fn sumOf(row: u32, first: u32, end: u32) -> f32 {
  var total = 0.0;
  for (var begin = first; begin < end; begin += ${SUM_BLOCK * step}u) {
    var block = 0.0;
    for (var place = begin; place < min(begin + ${SUM_BLOCK * step}u, end); place += ${step}u) {
      block += dys[row + place * ${inner}u];
    }
    total += block;
  }
  return total;
}

${linearHead} {
  let i = ${linearIndex};
  if (i >= arrayLength(&dxs)) { return; }
  let own = i / ${inner}u % ${size}u;
  let row = i / ${inner * size}u * ${inner * padded}u + i % ${inner}u;
#if ${mode === 'edge'}
  let first = select(own + ${before}u, 0u, own == 0u);
  dxs[i] = sumOf(row, first, select(own + ${before + 1}u, ${padded}u, own == ${size - 1}u));
#else
  var dx = sumOf(row, (own + ${before}u) % ${period}u, ${padded}u);
#if ${mode === 'reflect'}
  // The places of its mirror image; the first and the last element have none.
  let mirrored = ${period}u - own;
  if (own != 0u && mirrored != own) { dx += sumOf(row, (mirrored + ${before}u) % ${period}u, ${padded}u); }
#endif
  dxs[i] = dx;
#endif
}`,
  );
}
