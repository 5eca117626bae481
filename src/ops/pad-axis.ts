import { type AxisPadding, padAxisGradientShader, padAxisShader } from '../../shaders/pad-axis.wgsl.js';
import { refuse } from '../common/arguments.js';
import { normalizeAxis, type Shape, sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { gatherAt, scatterAdd, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { sameDtype } from '../tensor/dtype.js';
import type { Op } from '../tensor/tape.js';
import { checkInputs, checkIntegers } from './shape-checks.js';

/** How an axis goes on beyond its ends: mirrored at its first and last element, with that element, or from its other end. */
export interface PadAxisAttrs {
  axis: number;
  before: number;
  after: number;
  mode: 'reflect' | 'edge' | 'wrap';
}

/** @throws ArgumentError */
export function checkPadMode(mode: string): void {
  if (!['reflect', 'edge', 'wrap'].includes(mode)) {
    refuse('pad', 'mode', mode, '"constant", "reflect", "edge" or "wrap"');
  }
}

/** @throws ShapeError, ArgumentError */
export function padAxisShape(inputs: readonly Shape[], { axis, before, after, mode }: PadAxisAttrs): number[] {
  checkInputs('pad', inputs, ['input']);
  const along = normalizeAxis(axis, inputs[0].length, 'pad');
  checkIntegers('pad', 'before and after', [before, after], 2, 0);
  checkPadMode(mode);
  return inputs[0].map((dim, a) => (a === along ? before + dim + after : dim));
}

/** Bindings x, y; `outer` is the number of rows along the axis, in all batches. */
export function padAxisKernel(padding: AxisPadding, outer: number): Kernel {
  const { size, before, after, inner } = padding;
  return elementKernel('pad', padAxisShader(padding), outer * (before + size + after) * inner);
}

/** Bindings dy, dx. */
export function padAxisGradientKernel(padding: AxisPadding, outer: number): Kernel {
  return elementKernel('pad gradient', padAxisGradientShader(padding), outer * padding.size * padding.inner);
}

/** What the kernels take: the padding, and the product of the sizes of the axes before. */
function paddingOf(x: Shape, { axis, ...rest }: PadAxisAttrs): [AxisPadding, number] {
  const along = normalizeAxis(axis, x.length);
  return [{ size: x[along], inner: sizeOf(x.slice(along + 1)), ...rest }, sizeOf(x.slice(0, along))];
}

export const padAxisOp: Op<PadAxisAttrs> = {
  inputs: ['x'],
  shape: padAxisShape,
  dtype: (inputs) => sameDtype('pad', inputs),
  forward: ([x], attrs, shape) => ({
    output: dispatch(padAxisKernel(...paddingOf(x.shape, attrs)), [x], shape, undefined, x.dtype),
  }),
  backward: ({ inputs: [x], attrs, dy }) => [
    dispatch(padAxisGradientKernel(...paddingOf(x.shape, attrs)), [dy], x.shape),
  ],
};

export const padAxisOps = { padAxis: padAxisOp };

/** Where a place (0: the first element of the axis) reads, found step by step. */
function continued(place: number, size: number, mode: PadAxisAttrs['mode']): number {
  let at = place;
  while (at < 0 || at >= size) {
    if (mode === 'wrap') at += at < 0 ? size : -size;
    else if (mode === 'edge' || size === 1) at = at < 0 ? 0 : size - 1;
    else at = at < 0 ? -at : 2 * (size - 1) - at;
  }
  return at;
}

/** Where in x each element of the padded array lies. */
function continuedOffsets(x: Shape, { axis, before, mode }: PadAxisAttrs, shape: Shape): Int32Array {
  const along = normalizeAxis(axis, x.length);
  const inner = sizeOf(x.slice(along + 1));
  return Int32Array.from({ length: sizeOf(shape) }, (_, i) => {
    const row = Math.floor(i / inner / shape[along]);
    const place = (Math.floor(i / inner) % shape[along]) - before;
    return (row * x[along] + continued(place, x[along], mode)) * inner + (i % inner);
  });
}

export const padAxisReference: ReferenceRule<PadAxisAttrs> = {
  forward: ([x], attrs, shape) => gatherAt(x, continuedOffsets(x.shape, attrs, shape), shape),
  backward: ([x], _output, dy, attrs) => [scatterAdd(zeros(x.shape), continuedOffsets(x.shape, attrs, dy.shape), dy)],
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const padAxisReferences = { padAxis: padAxisReference };
