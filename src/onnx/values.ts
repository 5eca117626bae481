import { ArgumentError, ShapeError } from '../common/errors.js';
import { formatShape, type Shape, sizeOf } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import { reshape } from '../ops/layout.js';
import { transpose } from '../ops/transpose.js';
import type { DType } from '../tensor/dtype.js';
import { type AnyTensor, Tensor } from '../tensor/tensor.js';

/** Types of values on the host. Integers of 64 bits become int32 on the GPU. */
export type HostType = DType | 'int64';

/** The most elements of an array that is computed on the host. */
const MOST = 2 ** 24;

/**
 * A small array in host memory: shapes, axes, indices, constants. It may have no elements. Integers are numbers; an integer of 64
 * bits beyond ±2⁵³ is infinite.
 */
export class HostValue {
  constructor(
    readonly dtype: HostType,
    readonly shape: Shape,
    readonly data: ArrayLike<number>,
  ) {}

  get size(): number {
    return sizeOf(this.shape);
  }

  /** Values that `of` computes, rounded to the type. @throws ShapeError for more than 2²⁴ elements */
  static of(dtype: HostType, shape: Shape, of: (i: number) => number, most = MOST): HostValue {
    const size = sizeOf(shape);
    if (!(size <= most) || shape.some((extent) => !Number.isSafeInteger(extent) || extent < 0)) {
      throw new ShapeError(`an array ${formatShape(shape)} on the host; expected at most ${most} elements`);
    }
    const data = dtype === 'float32' ? new Float32Array(size) : new Float64Array(size);
    for (let i = 0; i < size; i++) data[i] = of(i);
    if (dtype === 'int32') for (let i = 0; i < size; i++) data[i] |= 0;
    else if (dtype === 'bool') for (let i = 0; i < size; i++) data[i] = Number(data[i] !== 0 || Number.isNaN(data[i]));
    else if (dtype === 'int64') {
      for (let i = 0; i < size; i++) {
        const whole = Math.trunc(data[i]);
        data[i] = Number.isSafeInteger(whole) ? whole : Math.sign(whole) * Infinity;
      }
    }
    return new HostValue(dtype, shape, data);
  }

  static ints(values: readonly number[]): HostValue {
    return new HostValue('int64', [values.length], values);
  }

  /** A new tensor with these values. @throws ArgumentError for integers that int32 does not hold; ShapeError without elements */
  upload(gpu: Gpu): AnyTensor {
    const dtype = this.dtype === 'int64' ? 'int32' : this.dtype;
    if (dtype === 'int32') {
      for (let i = 0; i < this.data.length; i++) {
        if ((this.data[i] | 0) === this.data[i]) continue;
        throw new ArgumentError(`the integer ${this.data[i]} does not fit int32, as which the GPU holds it`);
      }
    }
    return Tensor.from(gpu, this.data as unknown as number[], this.shape, dtype);
  }
}

/** The axes of the file, [N, C, …], in the order channels last: [N, …, C]. */
export const lastOrder = (rank: number): number[] =>
  Array.from({ length: rank }, (_, k) => (k === 0 ? 0 : k === rank - 1 ? 1 : k + 1));
export const fileOrder = (rank: number): number[] =>
  Array.from({ length: rank }, (_, k) => (k < 1 ? 0 : k === 1 ? rank - 1 : k - 1));

const TO_KERNEL = [2, 3, 1, 0];
const FROM_KERNEL = [3, 2, 0, 1];

const permuted = (shape: Shape, order: readonly number[]): number[] => order.map((axis) => shape[axis]);

/** The same elements under another shape. */
export function viewed<T extends AnyTensor>(x: T, shape: Shape): T {
  return reshape(x as unknown as Tensor, shape) as unknown as T;
}

/** Transposes, where no element moves without a copy. */
export function permute(x: AnyTensor, order: readonly number[]): AnyTensor {
  const moving = order.filter((axis) => x.shape[axis] > 1);
  if (moving.every((axis, k) => k === 0 || axis > moving[k - 1])) return viewed(x, permuted(x.shape, order));
  return transpose(x as Tensor, order);
}

/**
 * A tensor on the GPU whose elements lie as in the file ([N, C, …]), or channels last ([N, …, C]) as convolutions take them. The
 * other order is made when it is first asked for, so that a transpose and its inverse cancel.
 */
export class GpuValue {
  #file: AnyTensor | null;
  #last: AnyTensor | null;
  #kernel: AnyTensor | null;
  readonly shape: Shape;
  /** Whether it was made channels last. */
  readonly isLast: boolean;

  private constructor(file: AnyTensor | null, last: AnyTensor | null, kernel: AnyTensor | null = null) {
    this.#file = file;
    this.#last = last;
    this.#kernel = kernel;
    this.isLast = last !== null;
    if (file) this.shape = file.shape;
    else this.shape = last ? permuted(last.shape, fileOrder(last.shape.length)) : permuted(kernel!.shape, FROM_KERNEL);
  }

  static file(x: AnyTensor): GpuValue {
    return new GpuValue(x, null);
  }

  static last(x: AnyTensor): GpuValue {
    return x.shape.length < 3 ? GpuValue.file(x) : new GpuValue(null, x);
  }

  /** Weights [O, I, kh, kw] of a convolution that lie as it takes them, [kh, kw, I, O]. */
  static kernel(x: AnyTensor): GpuValue {
    return new GpuValue(null, null, x);
  }

  get dtype(): DType {
    return this.tensors()[0].dtype;
  }

  /** The tensor in the order of the file. */
  file(): AnyTensor {
    this.#file ??= this.#last ? permute(this.#last, fileOrder(this.shape.length)) : permute(this.#kernel!, FROM_KERNEL);
    return this.#file;
  }

  /** Weights [O, I, kh, kw] as [kh, kw, I, O]. */
  kernel(): AnyTensor {
    this.#kernel ??= permute(this.file(), TO_KERNEL);
    return this.#kernel;
  }

  /** The tensor with its channels last. */
  last(): AnyTensor {
    if (this.shape.length < 3) return this.file();
    this.#last ??= permute(this.file(), lastOrder(this.shape.length));
    return this.#last;
  }

  /** As `last`, of a value that is broadcast to `rank` axes. */
  lastOf(rank: number): AnyTensor {
    const missing = rank - this.shape.length;
    if (missing === 0) return this.last();
    if (this.shape.length === 0) return this.file();
    const shape = [...new Array<number>(missing).fill(1), ...this.shape];
    return permute(viewed(this.file(), shape), lastOrder(rank));
  }

  holds(x: AnyTensor): boolean {
    return x === this.#file || x === this.#last || x === this.#kernel;
  }

  /** The tensors that it holds now. */
  tensors(): AnyTensor[] {
    return [this.#file, this.#last, this.#kernel].filter((x) => x !== null);
  }

  /** The same of each element, in the order that is there. */
  map(f: (x: AnyTensor) => AnyTensor): GpuValue {
    return this.isLast ? GpuValue.last(f(this.#last!)) : GpuValue.file(f(this.file()));
  }
}

export type Value = HostValue | GpuValue;
