/// <reference lib="esnext.disposable" preserve="true" />
import { checkList, refuse } from '../common/arguments.js';
import { DisposedError, ShapeError } from '../common/errors.js';
import { checkShape, sizeOf } from '../common/shapes.js';
import type { PooledBuffer } from '../gpu/buffer-pool.js';
import { markChanged } from '../gpu/changes.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkDtype, type DType, type ReadValues, readValues, storedValues } from './dtype.js';
import type { TensorValues } from './float32-values.js';
import { flatten, type NestedValues } from './nested-values.js';

/** A buffer that several tensors (reshapes of one another) may share; it returns to the pool with the last one. */
interface Storage {
  readonly buffer: PooledBuffer;
  owners: number;
}

let nextId = 0;

const scopes = /* @__PURE__ */ new WeakMap<Gpu, Set<AnyTensor>[]>();

/** The stack of a device's open scopes; the innermost owns what is created. */
export function openScopes(gpu: Gpu): Set<AnyTensor>[] {
  let open = scopes.get(gpu);
  if (!open) {
    open = [];
    scopes.set(gpu, open);
  }
  return open;
}

let beforeUse: ((buffer: PooledBuffer) => void) | null = null;

/** Runs `body`, in which each use of a tensor's values is first shown to `check`. */
export function checkingUses<T>(check: (buffer: PooledBuffer) => void, body: () => T): T {
  const outer = beforeUse;
  beforeUse = check;
  try {
    return body();
  } finally {
    beforeUse = outer;
  }
}

/** A tensor of any type of elements. */
export type AnyTensor = Tensor<DType>;

/**
 * An array on the GPU: row-major, NHWC where it is a picture; a scalar has shape []. Its elements are float32 unless it was made
 * as int32 or bool.
 *
 * The memory is explicit: a tensor made inside `scope` is freed at its end unless the scope returns or keeps it;
 * one made outside lives until `dispose`.
 */
export class Tensor<D extends DType = 'float32'> {
  readonly id = nextId++;
  #storage: Storage | null;

  private constructor(
    readonly gpu: Gpu,
    readonly shape: readonly number[],
    /** Type of the elements. */
    readonly dtype: D,
    storage: Storage,
  ) {
    this.#storage = storage;
    storage.owners++;
    openScopes(gpu).at(-1)?.add(this);
  }

  /** A tensor whose values are whatever the buffer held: the next kernel must write all of it. */
  static empty(gpu: Gpu, shape: readonly number[]): Tensor;
  static empty<D extends DType>(gpu: Gpu, shape: readonly number[], dtype: D): Tensor<D>;
  static empty(gpu: Gpu, shape: readonly number[], dtype: DType = 'float32'): AnyTensor {
    checkShape('Tensor', shape);
    checkDtype('Tensor', dtype);
    checkGpu('Tensor', gpu);
    gpu.assertUsable(); // a lost device still makes buffers, without an error
    const buffer = gpu.acquire(4 * sizeOf(shape), `tensor [${shape}]`);
    return new Tensor(gpu, [...shape], dtype, { buffer, owners: 0 });
  }

  /**
   * Uploads values, each rounded to float32.
   * @param values in row-major order; without a shape, lists of lists give theirs: `[[1, 2, 3], [4, 5, 6]]` is [2, 3]
   * @throws ShapeError when their number does not fit the shape, or lists differ in length; ArgumentError for values that are no
   * numbers of float32
   */
  static from(gpu: Gpu, values: NestedValues): Tensor;
  static from(gpu: Gpu, values: TensorValues, shape: readonly number[]): Tensor;
  /**
   * Uploads values of another type.
   * @param shape undefined for that of nested lists
   * @param dtype int32 takes integers, bool takes true, false, 1 and 0
   * @throws as the others; ArgumentError also for values that the type cannot hold
   */
  static from<D extends DType>(
    gpu: Gpu,
    values: NestedValues | readonly boolean[],
    shape: readonly number[] | undefined,
    dtype: D,
  ): Tensor<D>;
  static from(
    gpu: Gpu,
    values: NestedValues | readonly boolean[],
    given?: readonly number[],
    dtype: DType = 'float32',
  ): AnyTensor {
    checkGpu('Tensor', gpu);
    checkDtype('Tensor', dtype);
    const { data: list, shape } = given
      ? { data: values as TensorValues, shape: given }
      : flatten(values as NestedValues);
    checkShape('Tensor', shape);
    const data = storedValues(list, dtype);
    if (data.length !== sizeOf(shape)) {
      throw new ShapeError(`shape [${shape}] needs ${sizeOf(shape)} values, ${data.length} were given`);
    }
    const tensor = Tensor.empty(gpu, shape, dtype);
    gpu.write(tensor.buffer, data);
    return tensor;
  }

  static scalar(gpu: Gpu, value: number): Tensor {
    return Tensor.from(gpu, [value], []);
  }

  static zeros(gpu: Gpu, shape: readonly number[]): Tensor {
    checkShape('Tensor', shape);
    return Tensor.from(gpu, new Float32Array(sizeOf(shape)), shape);
  }

  get size(): number {
    return sizeOf(this.shape);
  }

  get disposed(): boolean {
    return this.#storage === null;
  }

  /** @throws DisposedError after dispose */
  get buffer(): PooledBuffer {
    if (!this.#storage)
      throw new DisposedError(`tensor ${this.id} of shape [${this.shape}] was used after its disposal`);
    beforeUse?.(this.#storage.buffer);
    return this.#storage.buffer;
  }

  /** The same values under another shape of the same size, without a copy. */
  view(shape: readonly number[]): Tensor<D> {
    checkList('view', 'shape', shape, 'a list of sizes');
    checkShape('view: the wanted tensor', shape);
    if (sizeOf(shape) !== this.size) throw new ShapeError(`cannot view [${this.shape}] as [${shape}]`);
    void this.buffer;
    return new Tensor(this.gpu, [...shape], this.dtype, this.#storage!);
  }

  /** Replaces the values, in row-major order. @throws ShapeError, ArgumentError as `from` does; nothing is changed then */
  write(values: TensorValues): void {
    const data = storedValues(values, this.dtype);
    if (data.length !== this.size) {
      throw new ShapeError(`tensor [${this.shape}] holds ${this.size} values, ${data.length} were given`);
    }
    this.gpu.write(this.buffer, data);
    markChanged(this.buffer);
  }

  /**
   * Reads the values back, after everything recorded so far: a Float32Array, an Int32Array, or a Uint8Array of 0 and 1 for bool.
   * @throws ArgumentError at once in a recorded step
   */
  read(): Promise<ReadValues[D]> {
    this.gpu.assertNotRecording('a tensor is read');
    return this.#read();
  }

  /** Reads a scalar (0 or 1 for bool); otherwise as `read`. */
  item(): Promise<number> {
    this.gpu.assertNotRecording('a tensor is read');
    return this.#item();
  }

  async #read(): Promise<ReadValues[D]> {
    return readValues(await this.gpu.read(this.buffer), this.dtype);
  }

  async #item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item() needs one element; this tensor is [${this.shape}]`);
    return (await this.#read())[0];
  }

  /** The shape, as messages and Node's inspection show it. Values are on the GPU: `await formatTensor(tensor)` shows them. */
  toString(): string {
    return `Tensor ${this.dtype === 'float32' ? '' : `${this.dtype} `}[${this.shape}]${this.disposed ? ', disposed' : ''}`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  /** Frees the memory (once; further calls do nothing). */
  dispose(): void {
    const storage = this.#storage;
    if (!storage) return;
    this.#storage = null;
    for (const open of openScopes(this.gpu)) open.delete(this);
    if (--storage.owners === 0) this.gpu.release(storage.buffer);
  }

  /** So that `using x = …` frees it at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** @throws ArgumentError if `gpu` is not a Gpu */
function checkGpu(where: string, gpu: unknown): void {
  if (typeof (gpu as Gpu | undefined)?.assertUsable !== 'function') refuse(where, 'gpu', gpu, 'a Gpu');
}

/** Tensors among a scope's result: itself, or the elements or values of an array or plain object. */
function tensorsIn(result: unknown): AnyTensor[] {
  if (result instanceof Tensor) return [result];
  if (Array.isArray(result)) return result.flatMap(tensorsIn);
  if (result instanceof Map) return [...result.values()].flatMap(tensorsIn);
  if (result && typeof result === 'object' && Object.getPrototypeOf(result) === Object.prototype) {
    return Object.values(result).flatMap(tensorsIn);
  }
  return [];
}

/**
 * Runs `body` and frees every tensor made in it, except those that it returns (alone, or in an array, a map or a plain
 * object), which pass to the enclosing scope. `body` only records GPU work, so it is synchronous.
 */
export function scope<T>(gpu: Gpu, body: () => T): T {
  checkGpu('scope', gpu);
  if (typeof body !== 'function') refuse('scope', 'body', body, 'a function');
  const open = openScopes(gpu);
  const mine = new Set<AnyTensor>();
  open.push(mine);
  let kept: AnyTensor[] = [];
  try {
    const result = body();
    if (result instanceof Promise) {
      result.catch(() => {}); // the error below is the one to see
      throw new TypeError('scope: the body must be synchronous');
    }
    kept = tensorsIn(result);
    return result;
  } finally {
    open.splice(open.indexOf(mine), 1);
    const outer = open.at(-1);
    for (const tensor of kept) if (mine.delete(tensor)) outer?.add(tensor);
    for (const tensor of [...mine]) tensor.dispose();
  }
}

/** Takes a tensor out of every open scope: it then lives until `dispose`. For parameters and running statistics. */
export function keep<T extends AnyTensor>(tensor: T): T {
  if (!(tensor instanceof Tensor)) refuse('keep', 'tensor', tensor, 'a tensor');
  for (const open of openScopes(tensor.gpu)) open.delete(tensor);
  return tensor;
}
