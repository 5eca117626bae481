import { ArgumentError } from '../common/errors.js';
import type { GPUBuffer } from '../common/platform-types.js';
import type { BufferPool, PooledBuffer } from './buffer-pool.js';
import type { Kernel } from './kernel.js';
import type { Scalars } from './scalars.js';

/** A buffer that a recorded step made. Only those that outlive the recording ever get memory of their own. */
export class VirtualBuffer implements PooledBuffer {
  /** Its own memory; set for constants and for what the step returns. */
  memory: PooledBuffer | null = null;
  changedAt = 0;

  constructor(
    readonly recording: Recording,
    readonly bytes: number,
    readonly capacity: number,
    readonly label: string,
  ) {}

  /** @throws ArgumentError for a temporary, which shares its memory with others */
  get raw(): GPUBuffer {
    if (this.memory) return this.memory.raw;
    throw new ArgumentError(`${this.label} is a temporary of a recorded step: return it from the body to use it later`);
  }

  get released(): boolean {
    return this.memory?.released ?? false;
  }
}

export interface RecordedDispatch {
  readonly kernel: Kernel;
  readonly buffers: readonly PooledBuffer[];
  readonly scalars: Scalars | undefined;
}

/** What a step does, captured in a dry run: the GPU computes nothing meanwhile. */
export class Recording {
  readonly dispatches: RecordedDispatch[] = [];
  /** What was uploaded during the recording, by the buffer it went to. */
  readonly constants: Map<VirtualBuffer, Uint8Array> = new Map();
  /** What the CPU does in each run, in order: actions, and scalars given as functions. */
  readonly host: ({ action: () => void } | { scalars: () => ArrayBuffer })[] = [];
  /** Most bytes that would have been live at one time without a plan. */
  unplannedBytes = 0;
  #liveBytes = 0;
  readonly #used = new Set<PooledBuffer>();

  constructor(private readonly pool: BufferPool) {}

  /** @throws OutOfMemoryError for a size beyond the device's limits */
  acquire(bytes: number, label: string): VirtualBuffer {
    const buffer = new VirtualBuffer(this, bytes, this.pool.capacityFor(bytes, label), label);
    this.#liveBytes += buffer.capacity;
    this.unplannedBytes = Math.max(this.unplannedBytes, this.#liveBytes);
    return buffer;
  }

  /** Another buffer of the same size. */
  like({ bytes, capacity, label }: VirtualBuffer): VirtualBuffer {
    return new VirtualBuffer(this, bytes, capacity, label);
  }

  release(buffer: VirtualBuffer): void {
    this.#liveBytes -= buffer.capacity;
  }

  /** @throws ArgumentError for a constant that the kernel would change: the next run would find it changed */
  run(kernel: Kernel, buffers: readonly PooledBuffer[], scalars?: Scalars): void {
    buffers.forEach((buffer, k) => {
      if (kernel.bindings[k] === 'w' && this.constants.has(buffer as VirtualBuffer)) {
        throw new ArgumentError(
          `${kernel.label} changes ${buffer.label}, whose values were uploaded inside a recorded step: make it outside`,
        );
      }
      if (!this.owns(buffer)) void buffer.raw; // refuses temporaries of another step
      this.#used.add(buffer);
    });
    // Each dispatch has its own scalars, which are distinguished by identity.
    const own = typeof scalars === 'function' ? () => scalars() : scalars;
    this.dispatches.push({ kernel, buffers: [...buffers], scalars: own });
    if (typeof own === 'function') this.host.push({ scalars: own });
  }

  /** @throws ArgumentError unless the buffer is new: an upload happens once, not in each run */
  write(buffer: PooledBuffer, data: ArrayBufferView): void {
    if (!this.owns(buffer) || this.#used.has(buffer) || this.constants.has(buffer)) {
      throw new ArgumentError(
        `${buffer.label} is written inside a recorded step, which happens once and not in each run: make it an input`,
      );
    }
    this.constants.set(buffer, new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength).slice());
  }

  /** Whether this recording made the buffer. */
  owns(buffer: PooledBuffer): buffer is VirtualBuffer {
    return buffer instanceof VirtualBuffer && buffer.recording === this;
  }
}
