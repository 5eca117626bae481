import { type Box, padShader, readBoxShader, writeBoxShader } from '../../shaders/layout.wgsl.js';
import { checkList, checkOptions, isList, refuse } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import { checkShape, formatShape, normalizeAxis, type Shape, sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { chooseVectors, elementKernel, type VectorChoice } from '../kernels/elementwise.js';
import { allOf, boxOffsets, gatherAt, type NdArray, scatterAdd, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch, dispatchInPlace } from '../tensor/dispatch.js';
import { type DType, movedAs, sameDtype } from '../tensor/dtype.js';
import { apply, type Op } from '../tensor/tape.js';
import { type AnyTensor, scope, Tensor } from '../tensor/tensor.js';
import { checkPadMode, padAxisOp } from './pad-axis.js';
import { checkFinite, checkInputs, checkIntegers, checkPerAxis } from './shape-checks.js';

export interface ReshapeAttrs {
  shape: readonly number[];
}

/** One entry for each axis. */
export interface PadAttrs {
  before: readonly number[];
  after: readonly number[];
  value: number;
}

/** One entry for each axis. */
export interface SliceAttrs {
  begin: readonly number[];
  size: readonly number[];
}

/** Any number (≥ 1) of inputs. */
export interface ConcatAttrs {
  axis: number;
}

/** @throws ShapeError */
export function reshapeShape(inputs: readonly Shape[], attrs: ReshapeAttrs): number[] {
  checkInputs('reshape', inputs, ['input']);
  checkShape('reshape: the wanted tensor', attrs.shape);
  const [x] = inputs;
  if (sizeOf(x) !== sizeOf(attrs.shape)) {
    throw new ShapeError(
      `reshape: input ${formatShape(x)} has ${sizeOf(x)} elements, but ${formatShape(attrs.shape)} ` +
        `needs ${sizeOf(attrs.shape)}`,
    );
  }
  return [...attrs.shape];
}

/** @throws ShapeError, ArgumentError */
export function padShape(inputs: readonly Shape[], attrs: PadAttrs): number[] {
  checkInputs('pad', inputs, ['input']);
  const [x] = inputs;
  checkPerAxis('pad', 'before', attrs.before, x);
  checkPerAxis('pad', 'after', attrs.after, x);
  checkIntegers('pad', 'before', attrs.before, x.length, 0);
  checkIntegers('pad', 'after', attrs.after, x.length, 0);
  // NaN and infinity are numbers of float32.
  if (typeof attrs.value !== 'number' || Number.isFinite(attrs.value)) checkFinite('pad', 'value', attrs.value);
  return x.map((dim, axis) => attrs.before[axis] + dim + attrs.after[axis]);
}

/** @throws ShapeError, ArgumentError */
export function sliceShape(inputs: readonly Shape[], attrs: SliceAttrs): number[] {
  checkInputs('slice', inputs, ['input']);
  const [x] = inputs;
  checkPerAxis('slice', 'begin', attrs.begin, x);
  checkPerAxis('slice', 'size', attrs.size, x);
  checkIntegers('slice', 'begin', attrs.begin, x.length, 0);
  checkIntegers('slice', 'size', attrs.size, x.length, 1);
  x.forEach((dim, axis) => {
    const end = attrs.begin[axis] + attrs.size[axis];
    if (end > dim) {
      throw new ShapeError(
        `slice: axis ${axis} of input ${formatShape(x)} has ${dim} entries, but begin ${attrs.begin[axis]} ` +
          `and size ${attrs.size[axis]} reach to ${end}`,
      );
    }
  });
  return [...attrs.size];
}

/** @throws ShapeError */
export function concatShape(inputs: readonly Shape[], attrs: ConcatAttrs): number[] {
  if (inputs.length === 0) throw new ShapeError('concat: got no inputs; expected at least 1');
  checkInputs(
    'concat',
    inputs,
    inputs.map((_, i) => `input ${i}`),
  );
  const [first] = inputs;
  const axis = normalizeAxis(attrs.axis, first.length, 'concat');
  const out = [...first];
  inputs.slice(1).forEach((shape, i) => {
    if (shape.length !== first.length || shape.some((dim, a) => a !== axis && dim !== first[a])) {
      throw new ShapeError(
        `concat: input ${i + 1} has shape ${formatShape(shape)}, which differs from ${formatShape(first)} ` +
          `of input 0 in more than axis ${axis}`,
      );
    }
    out[axis] += shape[axis];
  });
  return out;
}

/**
 * The box of size `inner` at `begin` in an array of size `outer`, with as few axes as possible: an axis that the box
 * fills joins the axis before it. Vectors where the last axis is whole vectors.
 */
export function boxOf(
  outer: readonly number[],
  begin: readonly number[],
  inner: readonly number[],
  choose = chooseVectors,
): Box {
  const axes: { outer: number; begin: number; inner: number }[] = [];
  outer.forEach((size, axis) => {
    const last = axes.at(-1);
    if (last && size === inner[axis]) {
      last.outer *= size;
      last.begin *= size;
      last.inner *= size;
    } else axes.push({ outer: size, begin: begin[axis], inner: inner[axis] });
  });
  if (axes.length === 0) axes.push({ outer: 1, begin: 0, inner: 1 });
  const last = axes[axes.length - 1];
  const wholeVectors = [last.outer, last.begin, last.inner].every((size) => choose(size) === 4);
  if (wholeVectors) axes[axes.length - 1] = { outer: last.outer / 4, begin: last.begin / 4, inner: last.inner / 4 };
  return {
    outer: axes.map((axis) => axis.outer),
    begin: axes.map((axis) => axis.begin),
    inner: axes.map((axis) => axis.inner),
    width: wholeVectors ? 4 : 1,
  };
}

/** Reads the box. Bindings: array, box. */
export function readBoxKernel(box: Box, dtype: DType = 'float32'): Kernel {
  return elementKernel('slice', readBoxShader(box, movedAs(dtype)), sizeOf(box.inner));
}

/** Writes the box and leaves the rest of the array. Bindings: box, array. */
export function writeBoxKernel(box: Box, dtype: DType = 'float32'): Kernel {
  return elementKernel('concat', writeBoxShader(box, movedAs(dtype)), sizeOf(box.inner));
}

/** Surrounds the box with `value`. Bindings: box, array. */
export function padKernel(box: Box, value: number, dtype: DType = 'float32'): Kernel {
  // WGSL has no literals of numbers that are not finite.
  const shader = Number.isFinite(value)
    ? padShader(box, value, movedAs(dtype))
    : padShader(box, new Uint32Array(Float32Array.of(value).buffer)[0], 'u32');
  return elementKernel('pad', shader, sizeOf(box.outer));
}

const reshapeOp: Op<ReshapeAttrs> = {
  inputs: ['x'],
  shape: reshapeShape,
  dtype: (inputs) => sameDtype('reshape', inputs),
  forward: ([x], _attrs, shape) => ({ output: x.view(shape) }),
  backward: ({ inputs: [x], dy }) => [dy.view(x.shape)],
};

/** The operation, in vectors as `choose` says; tests replace the default by single elements. */
export function padOp(choose: VectorChoice = chooseVectors): Op<PadAttrs> {
  return {
    inputs: ['x'],
    shape: padShape,
    dtype([dtype], { value }) {
      if (dtype === 'int32' && (value | 0) !== value) refuse('pad', 'value', value, 'an integer that int32 holds');
      if (dtype === 'bool' && value !== 0 && value !== 1) refuse('pad', 'value', value, '1 or 0');
      return dtype;
    },
    forward([x], { before, value }, shape) {
      const kernel = padKernel(boxOf(shape, before, x.shape, choose), value, x.dtype);
      return { output: dispatch(kernel, [x], shape, undefined, x.dtype) };
    },
    backward: ({ inputs: [x], attrs: { before }, dy }) => [
      dispatch(readBoxKernel(boxOf(dy.shape, before, x.shape, choose)), [dy], x.shape),
    ],
  };
}

/** As padOp: each is the gradient of the other. */
export function sliceOp(choose: VectorChoice = chooseVectors): Op<SliceAttrs> {
  return {
    inputs: ['x'],
    shape: sliceShape,
    dtype: (inputs) => sameDtype('slice', inputs),
    forward([x], { begin }, shape) {
      const kernel = readBoxKernel(boxOf(x.shape, begin, shape, choose), x.dtype);
      return { output: dispatch(kernel, [x], shape, undefined, x.dtype) };
    },
    backward: ({ inputs: [x], attrs: { begin }, dy }) => [
      dispatch(padKernel(boxOf(x.shape, begin, dy.shape, choose), 0), [dy], x.shape),
    ],
  };
}

/** Offset of each input in the concatenation. */
function beginnings(inputs: readonly Tensor[], axis: number): number[][] {
  let first = 0;
  return inputs.map(({ shape }) => {
    const begin = shape.map((_, a) => (a === axis ? first : 0));
    first += shape[axis];
    return begin;
  });
}

/** One dispatch for each input, which moves only its elements; so any number of inputs fits the binding limit. */
export function concatOp(choose: VectorChoice = chooseVectors): Op<ConcatAttrs> {
  return {
    shape: concatShape,
    dtype: (inputs) => sameDtype('concat', inputs),
    forward(inputs, attrs, shape) {
      const begins = beginnings(inputs, normalizeAxis(attrs.axis, shape.length));
      const output = Tensor.empty(inputs[0].gpu, shape, inputs[0].dtype);
      inputs.forEach((x, k) => {
        dispatchInPlace(writeBoxKernel(boxOf(shape, begins[k], x.shape, choose), x.dtype), [x, output]);
      });
      return { output };
    },
    backward({ inputs, attrs, dy, needs }) {
      const begins = beginnings(inputs, normalizeAxis(attrs.axis, dy.shape.length));
      return inputs.map(({ shape }, k) =>
        needs[k] ? dispatch(readBoxKernel(boxOf(dy.shape, begins[k], shape, choose)), [dy], shape) : null,
      );
    },
  };
}

const padDefault = /* @__PURE__ */ padOp();
const sliceDefault = /* @__PURE__ */ sliceOp();
const concatDefault = /* @__PURE__ */ concatOp();

export const layoutOps = { reshape: reshapeOp, pad: padDefault, slice: sliceDefault, concat: concatDefault };

/**
 * The same elements, of any type, in row-major order under another shape; no copy is made.
 * @param shape sizes, of which one may be −1: it follows from the others
 * @throws ShapeError if the sizes do not multiply to the number of elements
 */
export function reshape<D extends DType>(x: Tensor<D>, shape: readonly number[]): Tensor<D> {
  return apply('reshape', reshapeOp, [x], { shape: inferSize(x, shape) });
}

function inferSize(x: AnyTensor, shape: readonly number[]): readonly number[] {
  checkList('reshape', 'shape', shape, 'a list of sizes');
  const axis = shape.indexOf(-1);
  if (axis < 0) return shape;
  const others = shape.reduce((product, size, a) => (a === axis ? product : product * size), 1);
  if (shape.lastIndexOf(-1) !== axis || x.size % others !== 0) {
    throw new ShapeError(
      `reshape: no size fits in place of -1 when ${formatShape(x.shape)} becomes ${formatShape(shape)}`,
    );
  }
  return shape.map((size) => (size === -1 ? x.size / others : size));
}

/** Options of `pad`. */
export interface PadOptions {
  /**
   * What the elements are that are added: 'constant' (the default) `value`; 'reflect' those of x mirrored at its first or last
   * element, which is not repeated; 'edge' this element; 'wrap' those from the other end of x.
   */
  mode?: 'constant' | 'reflect' | 'edge' | 'wrap';
  /** For 'constant': a finite number; for int32 an integer, for bool 0 or 1. Default 0. */
  value?: number;
}

/**
 * Adds elements around x, of any type, or cuts some off. Modes are those of NumPy: an axis may grow by more than its own size, and
 * 'reflect' repeats an axis of one element.
 * @param before elements to add before each axis, one entry for each axis; an entry below 0 cuts so many off, before others are added
 * @param after the same after each axis
 * @param options a number is the value of 'constant'
 * @throws ShapeError if nothing is left of an axis; ArgumentError
 */
export function pad<D extends DType>(
  x: Tensor<D>,
  before: readonly number[],
  after: readonly number[],
  options?: number | PadOptions,
): Tensor<D> {
  const given = typeof options === 'number' ? { value: options } : checkOptions('pad', options, ['mode', 'value']);
  const { mode = 'constant', value } = given;
  const constant = (part: Tensor<D>, from: readonly number[], to: readonly number[]) =>
    apply<PadAttrs, D>('pad', padDefault, [part], { before: from, after: to, value: value ?? 0 });
  const all = [before, after].every((list) => isList(list) && list.every((amount) => amount >= 0));
  if (mode === 'constant' && all) return constant(x, before, after);
  if (mode !== 'constant') {
    checkPadMode(mode);
    if (value !== undefined) refuse('pad', 'value', value, `none with the mode ${mode}`);
  }
  const { shape } = x;
  for (const [name, list] of Object.entries({ before, after })) {
    checkPerAxis('pad', name, list, shape);
    checkIntegers('pad', name, list, shape.length);
  }
  const cut = (list: readonly number[]) => list.map((amount) => Math.max(0, -amount));
  const added = (list: readonly number[]) => list.map((amount) => Math.max(0, amount));
  const [begin, end] = [cut(before), cut(after)];
  const size = shape.map((dim, axis) => dim - begin[axis] - end[axis]);
  if (!size.every((dim) => dim > 0)) {
    throw new ShapeError(
      `pad: before [${before.join(',')}] and after [${after.join(',')}] leave nothing of input ${formatShape(shape)}`,
    );
  }
  return scope(x.gpu, () => {
    const part = all ? reshape(x, shape) : slice(x, begin, size);
    if (mode === 'constant') return constant(part, added(before), added(after));
    return shape.reduce<Tensor<D>>((y, _, axis) => {
      const attrs = { axis, before: added(before)[axis], after: added(after)[axis], mode };
      return attrs.before + attrs.after > 0 ? apply('padAxis', padAxisOp, [y], attrs) : y;
    }, part);
  });
}

/**
 * The box of x, of any type, that starts at `begin` and has `size` elements along each axis.
 * @throws ShapeError if it reaches out of x; ArgumentError for entries that are not such integers
 */
export function slice<D extends DType>(x: Tensor<D>, begin: readonly number[], size: readonly number[]): Tensor<D> {
  return apply('slice', sliceDefault, [x], { begin, size });
}

/**
 * Joins tensors of one type, whichever, along an axis; all other sizes are the same.
 * @param inputs any number, at least 1
 * @param axis may be negative: −1 is the last
 * @throws ShapeError
 */
export function concat<D extends DType>(inputs: readonly Tensor<D>[], axis: number): Tensor<D> {
  checkList('concat', 'inputs', inputs, 'an array of tensors');
  return apply('concat', concatDefault, inputs, { axis });
}

export const reshapeReference: ReferenceRule<ReshapeAttrs> = {
  forward: ([x], _attrs, shape) => ({ shape, data: x.data.slice() }),
  backward: ([x], _output, dy) => [{ shape: x.shape, data: dy.data.slice() }],
};

export const padReference: ReferenceRule<PadAttrs> = {
  forward([x], { before, value }, shape) {
    const out = allOf(shape, value);
    boxOffsets(shape, before, x.shape).forEach((offset, i) => {
      out.data[offset] = x.data[i];
    });
    return out;
  },
  backward: ([x], _output, dy, { before }) => [gatherAt(dy, boxOffsets(dy.shape, before, x.shape), x.shape)],
};

export const sliceReference: ReferenceRule<SliceAttrs> = {
  forward: ([x], { begin }, shape) => gatherAt(x, boxOffsets(x.shape, begin, shape), shape),
  backward: ([x], _output, dy, { begin }) => [scatterAdd(zeros(x.shape), boxOffsets(x.shape, begin, dy.shape), dy)],
};

/** Where the elements of each input lie in their concatenation. */
function concatOffsets(inputs: readonly NdArray[], attrs: ConcatAttrs, shape: Shape): Int32Array[] {
  const axis = normalizeAxis(attrs.axis, shape.length);
  let first = 0;
  return inputs.map((x) => {
    const begin = shape.map((_, a) => (a === axis ? first : 0));
    first += x.shape[axis];
    return boxOffsets(shape, begin, x.shape);
  });
}

export const concatReference: ReferenceRule<ConcatAttrs> = {
  forward(inputs, attrs, shape) {
    const out = zeros(shape);
    concatOffsets(inputs, attrs, shape).forEach((offsets, i) => {
      scatterAdd(out, offsets, inputs[i]);
    });
    return out;
  },
  backward: (inputs, _output, dy, attrs) =>
    concatOffsets(inputs, attrs, dy.shape).map((offsets, i) => gatherAt(dy, offsets, inputs[i].shape)),
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const layoutReferences = {
  reshape: reshapeReference,
  pad: padReference,
  slice: sliceReference,
  concat: concatReference,
};
