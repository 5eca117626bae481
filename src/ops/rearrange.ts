import { checkCount, checkList, checkOptions, refuse } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import { formatShape, normalizeAxes, normalizeAxis } from '../common/shapes.js';
import type { DType } from '../tensor/dtype.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { concat, reshape, slice } from './layout.js';
import { checkIntegers, checkRank, NHWC } from './shape-checks.js';
import { expand } from './strided.js';
import { transpose } from './transpose.js';

// Operations on elements of any type that others are composed of: tapes record those.

/** Runs the parts of an operation on a tensor, and frees what they made on the way. @throws ArgumentError for what is no tensor */
function composed<D extends DType, T>(op: string, x: Tensor<D>, body: () => T): T {
  if (!(x instanceof Tensor)) refuse(op, 'x', x, 'a tensor');
  return scope(x.gpu, body);
}

/**
 * Cuts x, of any type, along an axis.
 * @param parts sizes along the axis, which add up to that of x; or a number of equal parts
 * @param axis may be negative: −1 is the last
 * @throws ShapeError, ArgumentError
 */
export function split<D extends DType>(x: Tensor<D>, parts: number | readonly number[], axis: number): Tensor<D>[] {
  return composed('split', x, () => {
    const along = normalizeAxis(axis, x.shape.length, 'split');
    const dim = x.shape[along];
    if (typeof parts === 'number') checkCount('split', 'parts', parts);
    else checkIntegers('split', 'parts', parts, parts?.length, 1);
    const isWhole = typeof parts === 'number' ? dim % parts === 0 : parts.reduce((sum, size) => sum + size, 0) === dim;
    if (!isWhole) {
      throw new ShapeError(
        `split: axis ${along} of input ${formatShape(x.shape)} has ${dim} entries, which are not ` +
          (typeof parts === 'number' ? `${parts} equal parts` : `parts of [${parts.join(',')}]`),
      );
    }
    const sizes = typeof parts === 'number' ? new Array<number>(parts).fill(dim / parts) : parts;
    let first = 0;
    return sizes.map((size) => {
      const at = (value: number, others: readonly number[]) => others.map((other, a) => (a === along ? value : other));
      const part = slice(
        x,
        at(
          first,
          x.shape.map(() => 0),
        ),
        at(size, x.shape),
      );
      first += size;
      return part;
    });
  });
}

/**
 * Joins tensors of one shape and type along a new axis.
 * @param tensors any number, at least 1
 * @param axis of the result; may be negative: −1 is its last
 * @throws ShapeError
 */
export function stack<D extends DType>(tensors: readonly Tensor<D>[], axis = 0): Tensor<D> {
  checkList('stack', 'tensors', tensors, 'an array of tensors');
  if (tensors.length === 0) throw new ShapeError('stack: got no tensors; expected at least 1');
  const [{ shape }] = tensors;
  tensors.forEach((tensor, k) => {
    if (!(tensor instanceof Tensor)) refuse('stack', `tensor ${k}`, tensor, 'a tensor');
    if (`${tensor.shape}` !== `${shape}`) {
      throw new ShapeError(`stack: tensor ${k} has shape ${formatShape(tensor.shape)}; expected ${formatShape(shape)}`);
    }
  });
  return scope(tensors[0].gpu, () => {
    const along = normalizeAxis(axis, shape.length + 1, 'stack');
    return concat(
      tensors.map((tensor) => unsqueeze(tensor, [along])),
      along,
    );
  });
}

/**
 * x, of any type, without some axes of size 1; no copy is made.
 * @param axes may be negative: −1 is the last; all axes of size 1 if it is left out
 * @throws ShapeError for an axis of another size, that does not exist or is given twice
 */
export function squeeze<D extends DType>(x: Tensor<D>, axes?: readonly number[]): Tensor<D> {
  return composed('squeeze', x, () => {
    const gone = axes && (axes.length === 0 ? [] : normalizeAxes(axes, x.shape.length, 'squeeze'));
    for (const axis of gone ?? []) {
      if (x.shape[axis] !== 1) {
        throw new ShapeError(
          `squeeze: axis ${axis} of input ${formatShape(x.shape)} has size ${x.shape[axis]}; expected 1`,
        );
      }
    }
    return reshape(
      x,
      x.shape.filter((size, axis) => (gone ? !gone.includes(axis) : size !== 1)),
    );
  });
}

/**
 * x, of any type, with new axes of size 1; no copy is made.
 * @param axes where they are in the result; may be negative: −1 is its last
 * @throws ShapeError for an axis that the result does not have, or that is given twice
 */
export function unsqueeze<D extends DType>(x: Tensor<D>, axes: readonly number[]): Tensor<D> {
  return composed('unsqueeze', x, () => {
    checkList('unsqueeze', 'axes', axes, 'a list of axes, such as [0,1]');
    const rank = x.shape.length + axes.length;
    const added = axes.length === 0 ? [] : normalizeAxes(axes, rank, 'unsqueeze');
    const old = [...x.shape];
    return reshape(
      x,
      Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : old.shift()!)),
    );
  });
}

/**
 * x, of any type, several times along each axis.
 * @param repeats how often, for each axis, at least 1. As in NumPy, the shorter of the list and the shape of x is filled up with
 * ones in front
 * @throws ArgumentError
 */
export function tile<D extends DType>(x: Tensor<D>, repeats: readonly number[]): Tensor<D> {
  return composed('tile', x, () => {
    checkIntegers('tile', 'repeats', repeats, repeats?.length, 1);
    const rank = Math.max(repeats.length, x.shape.length);
    const filled = (list: readonly number[]) => [...new Array<number>(rank - list.length).fill(1), ...list];
    const [times, sizes] = [filled(repeats), filled(x.shape)];
    const apart = reshape(
      x,
      sizes.flatMap((size) => [1, size]),
    );
    const repeated = expand(
      apart,
      sizes.flatMap((size, axis) => [times[axis], size]),
    );
    return reshape(
      repeated,
      sizes.map((size, axis) => times[axis] * size),
    );
  });
}

/** Options of `depthToSpace` and `spaceToDepth`. */
export interface DepthSpaceOptions {
  /**
   * How the channels of a pixel are ordered: by row of the block, column of the block, depth ('DCR'), or by depth, row, column
   * ('CRD', as PyTorch's PixelShuffle has it); default 'DCR'.
   */
  mode?: 'DCR' | 'CRD';
}

function checkBlocks(op: string, x: Tensor<DType>, block: number, options: DepthSpaceOptions | undefined): boolean {
  const { mode = 'DCR' } = checkOptions(op, options, ['mode']);
  if (mode !== 'DCR' && mode !== 'CRD') refuse(op, 'mode', mode, '"DCR" or "CRD"');
  checkRank(op, 'input', x.shape, 4, NHWC);
  checkCount(op, 'block', block);
  return mode === 'DCR';
}

/**
 * Moves channels into blocks of pixels, as ONNX's DepthToSpace does for its layout. For elements of any type.
 * @param x [N,H,W,C]
 * @param block rows and columns of a block
 * @returns [N, block·H, block·W, C / block²]
 * @throws ShapeError, ArgumentError
 */
export function depthToSpace<D extends DType>(x: Tensor<D>, block: number, options?: DepthSpaceOptions): Tensor<D> {
  return composed('depthToSpace', x, () => {
    const depthLast = checkBlocks('depthToSpace', x, block, options);
    const [n, h, w, c] = x.shape;
    if (c % block ** 2 !== 0) {
      throw new ShapeError(
        `depthToSpace: input has shape ${formatShape(x.shape)}; expected a multiple of ${block ** 2} channels`,
      );
    }
    const depth = c / block ** 2;
    const apart = reshape(x, [n, h, w, ...(depthLast ? [block, block, depth] : [depth, block, block])]);
    const moved = transpose(apart, depthLast ? [0, 1, 3, 2, 4, 5] : [0, 1, 4, 2, 5, 3]);
    return reshape(moved, [n, block * h, block * w, depth]);
  });
}

/**
 * Moves blocks of pixels into channels: what `depthToSpace` undoes. For elements of any type.
 * @param x [N,H,W,C]
 * @param block rows and columns of a block, which divide those of x
 * @returns [N, H / block, W / block, block²·C]
 * @throws ShapeError, ArgumentError
 */
export function spaceToDepth<D extends DType>(x: Tensor<D>, block: number, options?: DepthSpaceOptions): Tensor<D> {
  return composed('spaceToDepth', x, () => {
    const depthLast = checkBlocks('spaceToDepth', x, block, options);
    const [n, h, w, c] = x.shape;
    if (h % block !== 0 || w % block !== 0) {
      throw new ShapeError(
        `spaceToDepth: input has shape ${formatShape(x.shape)}; expected rows and columns that are multiples of ${block}`,
      );
    }
    const apart = reshape(x, [n, h / block, block, w / block, block, c]);
    const moved = transpose(apart, depthLast ? [0, 1, 3, 2, 4, 5] : [0, 1, 3, 5, 2, 4]);
    return reshape(moved, [n, h / block, w / block, block ** 2 * c]);
  });
}
