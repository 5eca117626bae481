import { checkOptions, refuse } from '../common/arguments.js';
import { ArgumentError, DeviceLostError, GpuError, OutOfMemoryError } from '../common/errors.js';
import type {
  GPUAdapterInfo,
  GPUBindGroup,
  GPUBufferBinding,
  GPUComputePipeline,
  GPUDevice,
  GPUSupportedFeatures,
} from '../common/platform-types.js';
import type { MatrixShape, Precision } from '../common/precision.js';
import { BufferPool, GPUBufferUsageFlags, type PooledBuffer } from './buffer-pool.js';
import type { GpuDescription } from './description.js';
import type { Kernel, KernelLimits } from './kernel.js';
import { PipelineCache } from './pipelines.js';
import { Recording, VirtualBuffer } from './recording.js';
import { ScalarRing, type Scalars, scalarBytes } from './scalars.js';
import { ScratchMemory } from './scratch-memory.js';
import { Tuning } from './tuning.js';

export interface GpuOptions {
  /** Dispatches recorded before they are submitted together (default 64). */
  dispatchesPerSubmit?: number;
  /** Maximum bytes live at once (default: no limit but the device's). */
  maxLiveBytes?: number;
  /** Maximum bytes kept in the pool for reuse (default 512 MiB). */
  maxPooledBytes?: number;
  /** How to await work of the device (default: plain await). In Node, `openGpu` gives a way that spares a CPU adapter's cores. */
  wait?: Wait;
  /**
   * `f16` lets the fast dense convolutions (groups = 1) multiply halves: pictures, weights and gradients are rounded to 11
   * significant bits, in copies half as large, or, for 1×1, where they are read. Sums and results stay f32, and
   * nothing else changes. Values above 65504 become infinite (WGSL leaves it to the device), and values below 6·10⁻⁵ lose bits
   * or become 0. Scaling a loss so that its gradients fit is up to the user.
   * Default `f32`.
   */
  precision?: Precision;
}

const GPU_OPTIONS = ['dispatchesPerSubmit', 'maxLiveBytes', 'maxPooledBytes', 'wait', 'precision'];

/**
 * @param more names of further options of the caller
 * @throws ArgumentError for an unknown option, or a number out of range
 */
export function checkGpuOptions(where: string, options: GpuOptions, more: readonly string[] = []): void {
  checkOptions(where, options, [...GPU_OPTIONS, ...more]);
  const { dispatchesPerSubmit = 1, maxLiveBytes = 1, maxPooledBytes = 0 } = options;
  if (!Number.isSafeInteger(dispatchesPerSubmit) || dispatchesPerSubmit < 1) {
    refuse(where, 'dispatchesPerSubmit', dispatchesPerSubmit, 'an integer of at least 1');
  }
  if (!(maxLiveBytes > 0)) refuse(where, 'maxLiveBytes', maxLiveBytes, 'a number of bytes above 0');
  if (!(maxPooledBytes >= 0)) refuse(where, 'maxPooledBytes', maxPooledBytes, 'a number of bytes of at least 0');
}

/** Awaits a promise of the device's. */
export type Wait = <T>(pending: Promise<T>) => Promise<T>;

/** One dispatch, ready to be encoded any number of times. */
export interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** Dawn's experimental feature of subgroup matrices (tensor cores), which the standard does not have yet. */
export const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix';

/** Products of halves, summed in f32, among those that an adapter lists. */
export function matrixShapes(info: GPUAdapterInfo): MatrixShape[] {
  interface Config {
    M: number;
    N: number;
    K: number;
    componentType: string;
    resultComponentType: string;
  }
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<Config> };
  return [...subgroupMatrixConfigs]
    .filter(({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32')
    .map(({ M, N, K }) => ({ m: M, n: N, k: K }));
}

/** @throws ArgumentError for an unknown precision, or one that the adapter does not have */
export function assertPrecision(
  precision: Precision,
  features: GPUSupportedFeatures,
  { description, device }: Pick<GpuDescription, 'description' | 'device'>,
): void {
  if (precision !== 'f32' && precision !== 'f16') {
    throw new ArgumentError(`precision is "${precision}"; expected "f32" or "f16"`);
  }
  if (precision === 'f16' && !features.has('shader-f16')) {
    throw new ArgumentError(`adapter "${description || device}" has no shader-f16, which precision "f16" needs`);
  }
}

/**
 * A WebGPU device with what kernels need: buffers from a pool, pipelines from a cache, many dispatches in one submit,
 * asynchronous readback, and errors as exceptions at the next point where the caller waits.
 *
 * Calls only record. The GPU works when `flush` submits; this happens automatically every `dispatchesPerSubmit` dispatches.
 */
export class Gpu {
  readonly pool: BufferPool;
  readonly limits: KernelLimits;
  /** Measured choices of kernels; kernels without one are chosen by estimate. */
  readonly tuning = new Tuning();
  /** Number of dispatches so far: a figure for tests and benches. */
  dispatches = 0;
  /** Awaits a promise of the device in the way that suits the device. */
  readonly wait: Wait;
  /** Memory that the temporaries of recorded steps share. */
  readonly scratch: ScratchMemory;

  readonly #pipelines: PipelineCache;
  readonly #scalars: ScalarRing;
  readonly #perSubmit: number;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  #pipeline: GPUComputePipeline | null = null;
  #recording: Recording | null = null;
  #recorded = 0;
  #inFlight: Promise<void>[] = [];
  #error: Error | null = null;
  /** The error of a kernel that does not compile; later errors of the device follow from it. */
  #cause: Error | null = null;
  #lost: DeviceLostError | null = null;

  constructor(
    readonly device: GPUDevice,
    readonly description: GpuDescription,
    options: GpuOptions = {},
    /** Objects that must live as long as the device. */
    readonly keepAlive: unknown = null,
  ) {
    const precision = options.precision ?? 'f32';
    assertPrecision(precision, device.features, description);
    this.#perSubmit = options.dispatchesPerSubmit ?? 64;
    this.wait = options.wait ?? ((pending) => pending);
    const fail = (error: Error) => {
      this.#error ??= error;
    };
    this.pool = new BufferPool(
      device,
      { maxPooledBytes: options.maxPooledBytes ?? 2 ** 29, maxLiveBytes: options.maxLiveBytes ?? Infinity },
      fail,
    );
    this.scratch = new ScratchMemory(this.pool);
    this.#pipelines = new PipelineCache(device, (error) => {
      this.#cause ??= error;
    });
    this.#scalars = new ScalarRing(device);
    this.limits = {
      software: description.kind !== 'hardware',
      maxWorkgroupInvocations: device.limits.maxComputeInvocationsPerWorkgroup,
      maxWorkgroupStorageBytes: device.limits.maxComputeWorkgroupStorageSize,
      subgroupSize: device.features.has('subgroups') ? description.subgroupSize : 0,
      precision,
      matrices: device.features.has(SUBGROUP_MATRIX) ? matrixShapes(device.adapterInfo) : [],
      maxBindingBytes: Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize),
    };
    device.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      const outOfMemory = error.constructor.name === 'GPUOutOfMemoryError';
      fail(outOfMemory ? new OutOfMemoryError(error.message) : new GpuError(error.message));
    });
    device.lost.then((info) => {
      this.#lost ??= new DeviceLostError(`the GPU device was lost (${info.reason}): ${info.message || 'no message'}`);
    });
  }

  get pipelineCount(): number {
    return this.#pipelines.size;
  }

  /** A storage buffer from the pool; while a step is recorded, one of that step. @throws OutOfMemoryError */
  acquire(bytes: number, label: string): PooledBuffer {
    return (this.#recording ?? this.pool).acquire(bytes, label);
  }

  /** Returns a buffer of `acquire` to the pool. The memory of a recorded step stays with the step. */
  release(buffer: PooledBuffer): void {
    if (buffer instanceof VirtualBuffer) buffer.recording.release(buffer);
    else this.pool.release(buffer);
  }

  /** Records one dispatch. `scalars` (at most 64 bytes, else ArgumentError) fill the kernel's uniform binding. */
  run(kernel: Kernel, buffers: readonly PooledBuffer[], scalars?: Scalars): void {
    this.assertUsable();
    if (this.#recording) {
      this.#recording.run(kernel, buffers, scalars);
      return;
    }
    if (scalars && this.#scalars.full) this.flush();
    const raw = buffers.map((buffer) => ({ buffer: buffer.raw, size: buffer.bytes }));
    this.encode(this.prepare(kernel, raw, scalars && this.#scalars.push(scalarBytes(scalars))));
  }

  /** Binds a kernel to its storage buffers and its uniform, for `encode`. */
  prepare(kernel: Kernel, buffers: readonly GPUBufferBinding[], uniform?: GPUBufferBinding): Command {
    const bindings = uniform ? [...buffers, uniform] : buffers;
    const { pipeline, layout } = this.#pipelines.get(kernel);
    const entries = bindings.map((resource, binding) => ({ binding, resource }));
    return { pipeline, group: this.device.createBindGroup({ layout, entries }), workgroups: kernel.workgroups };
  }

  /** Records a prepared dispatch. */
  encode({ pipeline, group, workgroups }: Command): void {
    if (!this.#pass) {
      this.#encoder = this.device.createCommandEncoder();
      this.#pass = this.#encoder.beginComputePass();
      this.#pipeline = null;
    }
    if (this.#pipeline !== pipeline) this.#pass.setPipeline(pipeline);
    this.#pipeline = pipeline;
    this.#pass.setBindGroup(0, group);
    this.#pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
    this.dispatches++;
    if (++this.#recorded >= this.#perSubmit) this.flush();
  }

  /** Does something on the CPU that belongs to the step, such as counting it: now, or in each run of a recorded step. */
  atEachRun(action: () => void): void {
    if (this.#recording) this.#recording.host.push({ action });
    else action();
  }

  /**
   * Captures what `body` records instead of recording it. See `recordStep`, which is what users call.
   * @throws ArgumentError during another recording
   */
  capture<T>(body: () => T): { recording: Recording; result: T } {
    this.assertUsable();
    this.assertNotRecording('another step is recorded');
    const recording = new Recording(this.pool);
    this.#recording = recording;
    try {
      return { recording, result: body() };
    } finally {
      this.#recording = null;
    }
  }

  /** True inside the body of a recorded step. */
  get isRecording(): boolean {
    return this.#recording !== null;
  }

  /** @throws ArgumentError inside the body of a recorded step, where nothing is computed yet */
  assertNotRecording(what: string): void {
    if (this.#recording) throw new ArgumentError(`${what} inside the body of a recorded step, which only records`);
  }

  /** Submits what is recorded. */
  flush(): void {
    if (this.#pass && this.#encoder) {
      this.#pass.end();
      this.#scalars.upload();
      this.device.queue.submit([this.#encoder.finish()]);
    }
    this.#pass = null;
    this.#encoder = null;
    this.#recorded = 0;
    this.pool.destroyDoomed();
  }

  /** Copies bytes into a buffer, after everything recorded so far. */
  write(buffer: PooledBuffer, data: ArrayBufferView): void {
    this.assertUsable();
    if (this.#recording) {
      this.#recording.write(buffer, data);
      return;
    }
    this.flush();
    this.device.queue.writeBuffer(buffer.raw, 0, data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  }

  /**
   * Reads a buffer back after everything recorded so far.
   * @throws the first error the device reported since the last wait
   */
  async read(buffer: PooledBuffer): Promise<ArrayBuffer> {
    this.assertUsable();
    this.assertNotRecording('reading');
    this.flush();
    const staging = this.device.createBuffer({
      label: 'readback',
      size: buffer.bytes,
      usage: GPUBufferUsageFlags.MAP_READ | GPUBufferUsageFlags.COPY_DST,
    });
    try {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer.raw, 0, staging, 0, buffer.bytes);
      this.device.queue.submit([encoder.finish()]);
      await this.#done(staging.mapAsync(1 /* GPUMapMode.READ */));
      const copy = staging.getMappedRange().slice(0);
      this.throwPendingError();
      return copy;
    } catch (error) {
      this.throwPendingError();
      throw error;
    } finally {
      staging.destroy();
    }
  }

  /**
   * Ends one step of a loop: submits, then waits until at most `ahead` earlier steps are unfinished. A short queue
   * is as fast as a long one and keeps memory and latency bounded.
   */
  async endStep(ahead = 1): Promise<void> {
    this.assertUsable();
    this.assertNotRecording('waiting for the GPU');
    this.flush();
    const done = this.device.queue.onSubmittedWorkDone();
    // It is awaited some steps later or never; a lost device must not end Node by an unhandled rejection before that.
    done.catch(() => {});
    this.#inFlight.push(done);
    try {
      while (this.#inFlight.length > ahead) await this.#done(this.#inFlight.shift()!);
    } catch (error) {
      this.throwPendingError();
      throw error;
    }
    this.throwPendingError();
  }

  /** Waits for work, and until every kernel recorded so far is known to compile. */
  async #done(work: Promise<unknown>): Promise<void> {
    try {
      await this.wait(work);
    } finally {
      if (!this.#pipelines.settled) await this.wait(this.#pipelines.settle());
      if (this.#cause) await this.wait(this.#reported());
    }
  }

  /** Waits until the device has reported the errors of all work so far; in a browser they may come after the work has ended. */
  async #reported(): Promise<void> {
    this.device.pushErrorScope('validation');
    await this.device.popErrorScope().catch(() => {}); // the loss of the device is reported separately
  }

  /** Waits until the GPU has done everything recorded so far. */
  async sync(): Promise<void> {
    await this.endStep(0);
  }

  /** Throws the first error that the device has reported and that was not thrown yet. */
  throwPendingError(): void {
    this.assertUsable();
    const error = this.#cause ?? this.#error;
    this.#error = this.#cause = null;
    if (error) throw error;
  }

  get lost(): boolean {
    return this.#lost !== null;
  }

  /** Destroys the device; every later call throws DeviceLostError. */
  destroy(): void {
    this.#lost ??= new DeviceLostError('the GPU device was destroyed by its owner');
    this.#pass = null;
    this.#encoder = null;
    this.device.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** @throws DeviceLostError once the device is lost or destroyed */
  assertUsable(): void {
    if (this.#lost) throw this.#lost;
  }
}
