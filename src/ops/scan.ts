import { productScanGradientShader, type Scan, scanPlan, scanShader } from '../../shaders/scan.wgsl.js';
import { checkOptions } from '../common/arguments.js';
import type { Shader } from '../common/shader.js';
import { aroundAxis, normalizeAxis, type Shape } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { elementKernel } from '../kernels/elementwise.js';
import { type NdArray, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { checkDtypes, WGSL_TYPES } from '../tensor/dtype.js';
import { apply, type Op } from '../tensor/tape.js';
import { scope, type Tensor } from '../tensor/tensor.js';
import { checkInputs, checkMinRank } from './shape-checks.js';

type Name = 'cumsum' | 'cumprod';

export interface ScanAttrs {
  axis: number;
  /** Result k lacks element k, so that the first is 0 for cumsum and 1 for cumprod. */
  exclusive: boolean;
  /** From the end of the axis to its beginning. */
  reverse: boolean;
}

/** Elements that an invocation visits one after the other. */
const BLOCK = 32;

/** [outer, size, inner] around the axis of the scan. */
const sizesOf = (x: Shape, { axis }: ScanAttrs): readonly number[] => aroundAxis(x, normalizeAxis(axis, x.length));

const blocksOf = (size: number, length: number): number => Math.max(1, Math.ceil(size / length));

/** One invocation a block of each line. Bindings as `shader` says. */
export function scanKernel(shader: Shader, [outer, size, inner]: readonly number[], length: number): Kernel {
  return elementKernel('scan', shader, outer * blocksOf(size, length) * inner);
}

/** The uniform of the kernels. */
export function scanScalars([outer, size, inner]: readonly number[], length: number): ArrayBuffer {
  const blocks = blocksOf(size, length);
  return scanPlan.pack({ size, inner, length: Math.min(length, size), blocks, threads: outer * blocks * inner });
}

/**
 * Scans the middle axis of x, seen as [outer, size, inner], in blocks of at most `length`, and before that the totals of the blocks
 * likewise. Not recorded. The result has the shape and the type of x.
 * @param length the naive way is one block: Infinity
 */
export function scanMiddle(x: Tensor, sizes: readonly number[], scan: Scan, length = BLOCK): Tensor {
  const type = WGSL_TYPES[x.dtype];
  const [outer, size, inner] = sizes;
  const blocks = blocksOf(size, length);
  const run = (part: 'whole' | 'totals' | 'rest', inputs: readonly Tensor[], shape: readonly number[]) =>
    dispatch(
      scanKernel(scanShader(part, scan, type), sizes, length),
      inputs,
      shape,
      scanScalars(sizes, length),
      x.dtype,
    );
  if (blocks === 1) return run('whole', [x], x.shape);
  return scope(x.gpu, () => {
    const totals = [outer, blocks, inner];
    const forward = { product: scan.product, exclusive: true, reverse: false };
    return run('rest', [x, scanMiddle(run('totals', [x], totals), totals, forward, length)], x.shape);
  });
}

/** The operation, in blocks of `length`. */
export function scanOp(name: Name, length = BLOCK): Op<ScanAttrs> {
  const product = name === 'cumprod';
  return {
    inputs: ['x'],
    shape(inputs, attrs) {
      checkInputs(name, inputs, ['input']);
      checkMinRank(name, 'input', inputs[0], 1, '[...]');
      normalizeAxis(attrs.axis, inputs[0].length, name);
      return inputs[0];
    },
    dtype(inputs) {
      checkDtypes(name, inputs, ['float32', 'int32'], ['x']);
      return inputs[0];
    },
    forward([x], attrs) {
      return { output: scanMiddle(x, sizesOf(x.shape, attrs), { ...attrs, product }, length) };
    },
    backward({ inputs: [x], attrs, dy }) {
      const sizes = sizesOf(x.shape, attrs);
      if (!product) return [scanMiddle(dy, sizes, { ...attrs, product, reverse: !attrs.reverse }, length)];
      return [
        scope(x.gpu, () => {
          const before = scanMiddle(x, sizes, { ...attrs, product, exclusive: true }, length);
          const kernel = scanKernel(productScanGradientShader({ ...attrs, product }), sizes, Infinity);
          return dispatch(kernel, [x, before, dy], x.shape, scanScalars(sizes, Infinity));
        }),
      ];
    },
  };
}

const cumsumOp = /* @__PURE__ */ scanOp('cumsum');
const cumprodOp = /* @__PURE__ */ scanOp('cumprod');

export const scanOps = { cumsum: cumsumOp, cumprod: cumprodOp };

/** Options of cumsum and cumprod. */
export interface ScanOptions {
  /** Leave element k out of result k: the first is then 0 (cumsum) or 1 (cumprod). Default false. */
  exclusive?: boolean;
  /** Go from the end of the axis to its beginning. Default false. */
  reverse?: boolean;
}

function scanAttrs(name: Name, axis: number, options?: ScanOptions): ScanAttrs {
  const { exclusive = false, reverse = false } = checkOptions(name, options, ['exclusive', 'reverse']);
  return { axis, exclusive, reverse };
}

/**
 * Running sums along an axis: y[k] = x[0] + … + x[k]. They are added in blocks, so the error grows with the logarithm of the
 * length. Sums of int32 wrap around at 32 bits, and have no gradient.
 * @param axis may be negative
 * @returns shape of x
 * @throws ShapeError, ArgumentError
 */
export function cumsum<D extends 'float32' | 'int32' = 'float32'>(
  x: Tensor<D>,
  axis: number,
  options?: ScanOptions,
): Tensor<D> {
  return apply('cumsum', cumsumOp, [x], scanAttrs('cumsum', axis, options));
}

/**
 * Running products along an axis: y[k] = x[0] · … · x[k]; otherwise as `cumsum`. The gradient is right with zeros, too; one
 * invocation makes that of a whole line.
 */
export function cumprod<D extends 'float32' | 'int32' = 'float32'>(
  x: Tensor<D>,
  axis: number,
  options?: ScanOptions,
): Tensor<D> {
  return apply('cumprod', cumprodOp, [x], scanAttrs('cumprod', axis, options));
}

/** The places of each line along the axis, in the order of the scan. */
function linesOf(x: NdArray, attrs: ScanAttrs): number[][] {
  const [outer, size, inner] = aroundAxis(x.shape, normalizeAxis(attrs.axis, x.shape.length));
  return Array.from({ length: outer * inner }, (_, i) => {
    const first = Math.floor(i / inner) * size * inner + (i % inner);
    const line = Array.from({ length: size }, (_, k) => first + k * inner);
    return attrs.reverse ? line.reverse() : line;
  });
}

export const cumsumReference: ReferenceRule<ScanAttrs> = {
  forward([x], attrs) {
    const y = zeros(x.shape);
    for (const line of linesOf(x, attrs)) {
      let sum = 0;
      for (const at of line) {
        y.data[at] = attrs.exclusive ? sum : sum + x.data[at];
        sum += x.data[at];
      }
    }
    return y;
  },
  backward([x], _y, dy, attrs) {
    const dx = zeros(x.shape);
    for (const line of linesOf(x, attrs)) {
      // Element k has a part in the results from k on, or from k + 1 on.
      let sum = 0;
      for (const at of line.reverse()) {
        dx.data[at] = attrs.exclusive ? sum : sum + dy.data[at];
        sum += dy.data[at];
      }
    }
    return [dx];
  },
};

export const cumprodReference: ReferenceRule<ScanAttrs> = {
  forward([x], attrs) {
    const y = zeros(x.shape);
    for (const line of linesOf(x, attrs)) {
      let product = 1;
      for (const at of line) {
        y.data[at] = attrs.exclusive ? product : product * x.data[at];
        product *= x.data[at];
      }
    }
    return y;
  },
  backward([x], _y, dy, attrs) {
    const dx = zeros(x.shape);
    for (const line of linesOf(x, attrs)) {
      // Backwards through state[k + 1] = state[k] · x[k], where result k is state[k] if exclusive, else state[k + 1].
      const state = [1];
      for (const at of line) state.push(state[state.length - 1] * x.data[at]);
      let byNext = 0;
      for (let k = line.length - 1; k >= 0; k--) {
        const at = line[k];
        if (!attrs.exclusive) byNext += dy.data[at];
        dx.data[at] = state[k] * byNext;
        const isLast = k === line.length - 1;
        if (attrs.exclusive) byNext = dy.data[at] + (isLast ? 0 : x.data[at] * byNext);
        else byNext *= x.data[at];
      }
    }
    return [dx];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const scanReferences = { cumsum: cumsumReference, cumprod: cumprodReference };
