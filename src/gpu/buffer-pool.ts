import { OutOfMemoryError } from '../common/errors.js';
import type { GPUBuffer, GPUDevice } from '../common/platform-types.js';

/** A GPU allocation of at least `bytes`; bindings use exactly `bytes`, so WGSL's arrayLength is exact. */
export interface PooledBuffer {
  readonly raw: GPUBuffer;
  readonly bytes: number;
  /** Size of the allocation: `bytes` rounded up to its size class. */
  readonly capacity: number;
  /** For messages. */
  readonly label: string;
  /** True once it is back in the pool. */
  readonly released: boolean;
  /** When its values were last changed in place (`lastChange`); 0 for never. */
  changedAt: number;
}

export interface BufferPoolOptions {
  /** Maximum bytes of free buffers that are kept for reuse; beyond it, a released buffer is destroyed. */
  maxPooledBytes: number;
  /** Maximum bytes that may be live; an allocation beyond it throws OutOfMemoryError before any GPU work. */
  maxLiveBytes: number;
}

/** Eight size classes for each power of two: at most 12.5 % is wasted, and nearby sizes reuse each other's buffers. */
function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** Math.max(6, Math.floor(Math.log2(bytes)) - 3);
  return Math.ceil(bytes / step) * step;
}

/**
 * Recycles storage buffers by size class. A released buffer may be handed out again at once, although commands that
 * use it are still recorded or running: one queue executes them in order.
 */
export class BufferPool {
  #free = new Map<number, GPUBuffer[]>();
  #doomed: GPUBuffer[] = [];
  /** Those that the driver had no memory for. */
  readonly #broken = new WeakSet<GPUBuffer>();
  #liveBytes = 0;
  #pooledBytes = 0;
  #peakBytes = 0;

  constructor(
    private readonly device: GPUDevice,
    private readonly options: BufferPoolOptions,
    private readonly onError: (error: Error) => void,
  ) {}

  /** Bytes that are handed out now (rounded to size classes). */
  get liveBytes(): number {
    return this.#liveBytes;
  }
  /** Bytes that wait for reuse. */
  get pooledBytes(): number {
    return this.#pooledBytes;
  }
  /** Largest liveBytes seen. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /**
   * Size of the allocation that a request gets.
   * @throws OutOfMemoryError when it exceeds the device's limits
   */
  capacityFor(bytes: number, label: string): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const largest = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (bytes > largest) {
      throw new OutOfMemoryError(`${label}: ${bytes} bytes in one buffer; this device allows at most ${largest}`);
    }
    const capacity = Math.min(sizeClass(bytes), largest);
    return capacity - (capacity % 4);
  }

  /** @throws OutOfMemoryError when the request exceeds the device's limits or the pool's cap */
  acquire(bytes: number, label: string): PooledBuffer {
    const capacity = this.capacityFor(bytes, label);
    if (this.#liveBytes + capacity > this.options.maxLiveBytes) {
      throw new OutOfMemoryError(
        `${label}: ${bytes} bytes asked for with ${this.#liveBytes} live; the cap is ${this.options.maxLiveBytes} bytes`,
      );
    }
    const list = this.#free.get(capacity);
    let raw = list?.pop();
    if (raw) this.#pooledBytes -= capacity;
    else raw = this.#create(capacity, label);
    this.#liveBytes += capacity;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return { raw, bytes, capacity, label, released: false, changedAt: 0 };
  }

  release(buffer: PooledBuffer): void {
    (buffer as { released: boolean }).released = true;
    this.#liveBytes -= buffer.capacity;
    if (this.#broken.has(buffer.raw) || this.#pooledBytes + buffer.capacity > this.options.maxPooledBytes) {
      this.#doomed.push(buffer.raw);
      return;
    }
    this.#pooledBytes += buffer.capacity;
    const list = this.#free.get(buffer.capacity);
    if (list) list.push(buffer.raw);
    else this.#free.set(buffer.capacity, [buffer.raw]);
  }

  /** Destroys what was released past the cap. Call it only when no recorded, unsubmitted command is left. */
  destroyDoomed(): void {
    for (const raw of this.#doomed) raw.destroy();
    this.#doomed.length = 0;
  }

  /** Frees every pooled buffer (live ones stay). The same condition as for destroyDoomed. */
  trim(): void {
    for (const list of this.#free.values()) for (const raw of list) raw.destroy();
    this.#free.clear();
    this.#pooledBytes = 0;
    this.destroyDoomed();
  }

  #create(capacity: number, label: string): GPUBuffer {
    this.device.pushErrorScope('out-of-memory');
    const raw = this.device.createBuffer({
      label,
      size: capacity,
      usage: GPUBufferUsageFlags.STORAGE | GPUBufferUsageFlags.COPY_SRC | GPUBufferUsageFlags.COPY_DST,
    });
    // The answer comes later; the error is then raised at the next point where the caller waits.
    this.device.popErrorScope().then(
      (error) => {
        if (!error) return;
        this.#discard(raw, capacity);
        this.onError(new OutOfMemoryError(`${label}: ${capacity} bytes: ${error.message}`));
      },
      () => {}, // a lost device rejects every scope; the loss itself is reported by Gpu
    );
    return raw;
  }

  /** Keeps a buffer without memory from being handed out again, though it may have been released already. */
  #discard(raw: GPUBuffer, capacity: number): void {
    this.#broken.add(raw);
    const list = this.#free.get(capacity);
    const place = list?.indexOf(raw) ?? -1;
    if (place < 0) return;
    list!.splice(place, 1);
    this.#pooledBytes -= capacity;
    this.#doomed.push(raw);
  }
}

/** The flag values of the WebGPU specification: Node has no global GPUBufferUsage. */
export const GPUBufferUsageFlags = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } as const;
