import {
  gatherShader,
  type Lookup,
  oneHotShader,
  type ScatterReduction,
  scatterShader,
} from '../../../shaders/indexing.wgsl.js';
import { checkOptions } from '../../common/arguments.js';
import { ArgumentError } from '../../common/errors.js';
import { normalizeAxis, type Shape, sizeOf } from '../../common/shapes.js';
import type { Kernel } from '../../gpu/kernel.js';
import { elementKernel } from '../../kernels/elementwise.js';
import { dispatch } from '../../tensor/dispatch.js';
import { checkDtypes, type DType, sameDtype, WGSL_TYPES } from '../../tensor/dtype.js';
import { apply, checkTensor, type Op } from '../../tensor/tape.js';
import { scope, type Tensor } from '../../tensor/tensor.js';
import { concat, slice } from '../layout.js';
import { checkRank } from '../shape-checks.js';
import {
  type GatherAttrs,
  type GatherNDAttrs,
  gatherElementsShape,
  gatherNDShape,
  gatherShape,
  type OneHotAttrs,
  oneHotShape,
  type ScatterAttrs,
  type ScatterElementsAttrs,
  scatterElementsShape,
  scatterNDShape,
} from './shape.js';

/** How the indices of an operation go over x. */
type LookupOf<A> = (x: Shape, indices: Shape, attrs: A) => Lookup;

const axisLookup =
  (indexing: 'shared' | 'elements'): LookupOf<GatherAttrs> =>
  (x, indices, attrs) => {
    const axis = normalizeAxis(attrs.axis, x.length);
    return {
      batch: sizeOf(x.slice(0, axis)),
      dims: [x[axis]],
      inner: sizeOf(x.slice(axis + 1)),
      count: indexing === 'shared' ? sizeOf(indices) : indices[axis],
      indices: indexing,
    };
  };

const tupleLookup: LookupOf<Partial<GatherNDAttrs>> = (x, indices, { batchDims = 0 }) => {
  const end = batchDims + indices[indices.length - 1];
  return {
    batch: sizeOf(x.slice(0, batchDims)),
    dims: x.slice(batchDims, end),
    inner: sizeOf(x.slice(end)),
    count: sizeOf(indices.slice(batchDims, -1)),
    indices: 'rows',
  };
};

const NAN_BITS = 0x7fc00000;

/** Bindings: indices, x, y. */
export function gatherKernel(lookup: Lookup, nowhere: number, lastOnly = false): Kernel {
  const { batch, count, inner } = lookup;
  return elementKernel('gather', gatherShader(lookup, nowhere, lastOnly), batch * count * inner);
}

/** Bindings: indices, x and updates if wanted, y. */
export function scatterKernel(
  lookup: Lookup,
  reduction: ScatterReduction,
  dtype: DType,
  wanted: { x?: boolean; entries?: boolean } = {},
): Kernel {
  const type = reduction === 'none' ? 'u32' : WGSL_TYPES[dtype];
  const shader = scatterShader(lookup, reduction, type, wanted);
  return elementKernel('scatter', shader, lookup.batch * sizeOf(lookup.dims) * lookup.inner);
}

function checkIndices(op: string, [x, indices]: readonly DType[], allowed?: readonly DType[]): DType {
  checkDtypes(op, [indices], ['int32'], ['indices']);
  return sameDtype(op, [x], allowed);
}

function gatherOp<A>(name: string, shape: Op<A>['shape'], lookupOf: LookupOf<A>): Op<A> {
  return {
    inputs: ['x', 'indices'],
    shape,
    dtype: (inputs) => checkIndices(name, inputs),
    forward([x, indices], attrs, out) {
      const lookup = lookupOf(x.shape, indices.shape, attrs);
      const kernel = gatherKernel(lookup, x.dtype === 'float32' ? NAN_BITS : 0);
      return { output: dispatch(kernel, [indices, x], out, undefined, x.dtype) };
    },
    backward({ inputs: [x, indices], attrs, dy, needs: [wanted] }) {
      if (!wanted) return [null, null];
      const kernel = scatterKernel(lookupOf(x.shape, indices.shape, attrs), 'add', 'float32', { x: false });
      return [dispatch(kernel, [indices, dy], x.shape), null];
    },
  };
}

function scatterOp<A extends ScatterAttrs>(name: string, shape: Op<A>['shape'], lookupOf: LookupOf<A>): Op<A> {
  return {
    inputs: ['x', 'indices', 'updates'],
    shape,
    dtype([x, indices, updates], { reduction }) {
      checkIndices(name, [x, indices], reduction === 'none' ? undefined : ['float32', 'int32']);
      return sameDtype(name, [x, updates]);
    },
    forward([x, indices, updates], attrs, out) {
      const kernel = scatterKernel(lookupOf(x.shape, indices.shape, attrs), attrs.reduction, x.dtype);
      return { output: dispatch(kernel, [indices, x, updates], out, undefined, x.dtype) };
    },
    backward({ inputs: [x, indices, updates], attrs, dy, needs }) {
      const { reduction } = attrs;
      if (reduction !== 'none' && reduction !== 'add') {
        throw new ArgumentError(`${name}: the reduction ${reduction} has no gradient; none and add have one`);
      }
      const lookup = lookupOf(x.shape, indices.shape, attrs);
      const none = reduction === 'none';
      const byX = () =>
        none
          ? dispatch(scatterKernel(lookup, 'none', 'float32', { entries: false }), [indices, dy], x.shape)
          : dy.view(x.shape);
      return [
        needs[0] ? byX() : null,
        null,
        needs[2] ? dispatch(gatherKernel(lookup, 0, none), [indices, dy], updates.shape) : null,
      ];
    },
  };
}

const gatherAxisOp = /* @__PURE__ */ gatherOp('gather', gatherShape, /* @__PURE__ */ axisLookup('shared'));
const gatherElementsOp = /* @__PURE__ */ gatherOp(
  'gatherElements',
  gatherElementsShape,
  /* @__PURE__ */ axisLookup('elements'),
);
const gatherNDOp = /* @__PURE__ */ gatherOp<GatherNDAttrs>('gatherND', gatherNDShape, tupleLookup);
const scatterElementsOp = /* @__PURE__ */ scatterOp<ScatterElementsAttrs>(
  'scatterElements',
  scatterElementsShape,
  /* @__PURE__ */ axisLookup('elements'),
);
const scatterNDOp = /* @__PURE__ */ scatterOp<ScatterAttrs>('scatterND', scatterNDShape, (x, indices) =>
  tupleLookup(x, indices, {}),
);

/** Bindings: indices, y. */
export function oneHotKernel(lookup: Lookup, on: number, off: number): Kernel {
  return elementKernel('one hot', oneHotShader(lookup, on, off), lookup.batch * sizeOf(lookup.dims) * lookup.inner);
}

const oneHotOp: Op<OneHotAttrs> = {
  inputs: ['indices'],
  shape: oneHotShape,
  dtype(inputs) {
    checkDtypes('oneHot', inputs, ['int32'], ['indices']);
    return 'float32';
  },
  forward([indices], { depth, on, off, ...attrs }, shape) {
    const axis = normalizeAxis(attrs.axis, shape.length);
    const [batch, inner] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))];
    const kernel = oneHotKernel({ batch, dims: [depth], inner, count: 1, indices: 'elements' }, on, off);
    return { output: dispatch(kernel, [indices], shape) };
  },
  backward: () => [null],
};

export const indexingOps = {
  gather: gatherAxisOp,
  gatherElements: gatherElementsOp,
  gatherND: gatherNDOp,
  scatterElements: scatterElementsOp,
  scatterND: scatterNDOp,
  oneHot: oneHotOp,
};

/**
 * The slices of x at these indices along an axis, as NumPy's `take` and ONNX's Gather. x has elements of any type. An index below 0
 * counts from the end. The GPU cannot throw: an index outside the axis gives NaN, and 0 for int32 and bool, and no gradient.
 *
 * The gradient adds those of equal indices in their order; each element of it reads all indices, so it takes a time that grows with
 * the size of x times the number of indices.
 * @param x [A, n, B], where n is the axis, and A and B may be several axes or none
 * @param indices of any shape
 * @param axis may be negative: −1 is the last
 * @returns [A, shape of the indices, B]
 * @throws ShapeError; ArgumentError for indices that are not int32
 */
export function gather<D extends DType>(x: Tensor<D>, indices: Tensor<'int32'>, axis = 0): Tensor<D> {
  return apply('gather', gatherAxisOp, [x, indices], { axis });
}

/** Whether x is larger than the indices along another axis than this one. */
const isLarger = (x: Shape, indices: Shape, axis: number): boolean =>
  x.length === indices.length && x.some((dim, a) => dim > indices[a] && a !== axis && a !== axis + x.length);

/** The part of x that indices of this shape reach. */
function reached<D extends DType>(op: string, x: Tensor<D>, indices: Shape, axis: number): Tensor<D> {
  const along = normalizeAxis(axis, x.shape.length, op);
  return slice(
    x,
    x.shape.map(() => 0),
    x.shape.map((dim, a) => (a === along ? dim : Math.min(dim, indices[a]))),
  );
}

/**
 * For each element of `indices` the element of x at the same place, but with this index along the axis, as NumPy's
 * `take_along_axis` and ONNX's GatherElements. Types, indices outside the axis and gradients are as in `gather`; an element of the
 * gradient reads the indices along its axis.
 * @param indices of the rank of x; along the other axes as large as x or smaller
 * @param axis may be negative: −1 is the last
 * @returns of the shape of the indices
 * @throws ShapeError; ArgumentError for indices that are not int32
 */
export function gatherElements<D extends DType>(x: Tensor<D>, indices: Tensor<'int32'>, axis = 0): Tensor<D> {
  const run = (part: Tensor<D>) => apply<GatherAttrs, D>('gatherElements', gatherElementsOp, [part, indices], { axis });
  if (!isLarger(x.shape, indices.shape, axis)) return run(x);
  return scope(x.gpu, () => run(reached('gatherElements', x, indices.shape, axis)));
}

/**
 * The slices of x at indices of several components, the last axis of `indices`, which go over the first axes of x behind the batch
 * axes, as ONNX's GatherND. Types, indices outside an axis and gradients are as in `gather`.
 * @param x [batch axes, axes of the components, B]
 * @param indices [batch axes, C, components]
 * @param batchDims number of leading axes that x and the indices have in common
 * @returns [batch axes, C, B]
 * @throws ShapeError; ArgumentError for indices that are not int32
 */
export function gatherND<D extends DType>(x: Tensor<D>, indices: Tensor<'int32'>, batchDims = 0): Tensor<D> {
  return apply('gatherND', gatherNDOp, [x, indices], { batchDims });
}

/**
 * x with other elements: each update goes to its place in `indices`, but with this index along the axis, as in ONNX's
 * ScatterElements. An index below 0 counts from the end; an update whose index is outside the axis does nothing.
 *
 * Updates of one element act in their order: with 'none' the last one stays, with 'add', 'mul', 'max' or 'min' they are combined
 * with x and one another (sums in blocks of a fixed order; NaN stays). There are gradients of 'none' and 'add' by x and the updates.
 * An element of the result reads the indices along its axis, so long axes take a time that grows with their square.
 * @param x of any type; for other reductions than 'none' float32 or int32
 * @param indices of the rank of x; along the other axes as large as x or smaller
 * @param updates of the shape of the indices and the type of x
 * @param axis may be negative: −1 is the last
 * @throws ShapeError; ArgumentError for types or a reduction that do not fit
 */
export function scatterElements<D extends DType>(
  x: Tensor<D>,
  indices: Tensor<'int32'>,
  updates: Tensor<D>,
  axis = 0,
  reduction: ScatterReduction = 'none',
): Tensor<D> {
  const run = (part: Tensor<D>) =>
    apply<ScatterElementsAttrs, D>('scatterElements', scatterElementsOp, [part, indices, updates], { axis, reduction });
  if (!isLarger(x.shape, indices.shape, axis)) return run(x);
  return scope(x.gpu, () => {
    let y = run(reached('scatterElements', x, indices.shape, axis));
    x.shape.forEach((dim, a) => {
      const done = y.shape[a];
      if (done === dim) return;
      const begin = x.shape.map((_, b) => (b === a ? done : 0));
      const size = y.shape.map((part, b) => (b === a ? dim - done : part));
      y = concat([y, slice(x, begin, size)], a);
    });
    return y;
  });
}

/**
 * x with other slices: those at indices of several components, the last axis of `indices`, which go over the first axes of x, as
 * ONNX's ScatterND. Reductions, order, gradients, types and indices outside an axis are as in `scatterElements`; an element of the
 * result reads all indices.
 * @param x [axes of the components, B]
 * @param indices [C, components]
 * @param updates [C, B], of the type of x
 * @throws ShapeError; ArgumentError for types or a reduction that do not fit
 */
export function scatterND<D extends DType>(
  x: Tensor<D>,
  indices: Tensor<'int32'>,
  updates: Tensor<D>,
  reduction: ScatterReduction = 'none',
): Tensor<D> {
  return apply('scatterND', scatterNDOp, [x, indices, updates], { reduction });
}

/** Options of `oneHot`. */
export interface OneHotOptions {
  /** Where the new axis is in the result; −1, the default, is its last. */
  axis?: number;
  /** Value at the index; default 1. */
  on?: number;
  /** Value elsewhere; default 0. */
  off?: number;
}

/**
 * Vectors that are `on` at an index and `off` elsewhere. An index below 0 counts from the end; one outside the vector is nowhere.
 * @param indices of any shape
 * @param depth elements of a vector
 * @returns float32, of the shape of the indices with the new axis; it has no gradient
 * @throws ShapeError, ArgumentError
 */
export function oneHot(indices: Tensor<'int32'>, depth: number, options?: OneHotOptions): Tensor {
  const { axis = -1, on = 1, off = 0 } = checkOptions('oneHot', options, ['axis', 'on', 'off']);
  return apply('oneHot', oneHotOp, [indices], { depth, axis, on, off });
}

/**
 * The rows of a table at these indices: `gather` along the first axis.
 * @param table [count, size]
 * @param indices int32 of any shape
 * @returns [shape of the indices, size]
 * @throws ShapeError, ArgumentError
 */
export function embedding(table: Tensor, indices: Tensor<'int32'>): Tensor {
  checkTensor('embedding', 'table', table);
  checkRank('embedding', 'table', table.shape, 2, '[count, size]');
  return gather(table, indices, 0);
}
