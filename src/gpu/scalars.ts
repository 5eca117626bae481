import { ArgumentError } from '../common/errors.js';
import type { GPUBuffer, GPUBufferBinding, GPUDevice } from '../common/platform-types.js';
import { GPUBufferUsageFlags } from './buffer-pool.js';

/**
 * The uniform of one dispatch, at most 64 bytes. As a function it is called when the dispatch is recorded, and in a
 * recorded step for each run; so give values that change from step to step as a function.
 */
export type Scalars = ArrayBuffer | (() => ArrayBuffer);

export const scalarBytes = (scalars: Scalars): ArrayBuffer => (typeof scalars === 'function' ? scalars() : scalars);

const RING_BYTES = 1 << 16;
/** Maximum bytes of scalars of one call. */
const MAX_BYTES = 64;

/** Bytes from one slot of a uniform buffer to the next. */
function slotBytes(device: GPUDevice): number {
  return Math.max(MAX_BYTES, device.limits.minUniformBufferOffsetAlignment);
}

/** Size of the binding for so many bytes. @throws ArgumentError for more than 64 */
function bindingBytes(bytes: number): number {
  if (bytes > MAX_BYTES) throw new ArgumentError(`${bytes} bytes of scalars for one call; at most ${MAX_BYTES} fit`);
  return Math.ceil(bytes / 16) * 16;
}

/**
 * A ring of uniform slots for the few scalars that change from call to call (learning rate, seed, step).
 * Slots are filled on the CPU while commands are recorded, and uploaded in one write just before the submit.
 */
export class ScalarRing {
  readonly raw: GPUBuffer;
  readonly #slotBytes: number;
  readonly #staging = new Uint8Array(RING_BYTES);
  #used = 0;

  constructor(private readonly device: GPUDevice) {
    this.#slotBytes = slotBytes(device);
    this.raw = device.createBuffer({
      label: 'scalars',
      size: RING_BYTES,
      usage: GPUBufferUsageFlags.UNIFORM | GPUBufferUsageFlags.COPY_DST,
    });
  }

  /** True when the next push needs a submit first. */
  get full(): boolean {
    return this.#used + this.#slotBytes > RING_BYTES;
  }

  /** Stores up to 64 bytes, and returns the binding for this call. @throws ArgumentError for more */
  push(data: ArrayBuffer): GPUBufferBinding {
    const size = bindingBytes(data.byteLength);
    const offset = this.#used;
    this.#staging.set(new Uint8Array(data), offset);
    this.#used += this.#slotBytes;
    return { buffer: this.raw, offset, size };
  }

  /** Uploads what was pushed; call it right before the submit of the commands that use it. */
  upload(): void {
    if (this.#used > 0) this.device.queue.writeBuffer(this.raw, 0, this.#staging, 0, this.#used);
    this.#used = 0;
  }
}

/** The scalars of a recorded step, each in a slot of its own, in one buffer. */
export class ScalarTable {
  readonly #raw: GPUBuffer;
  readonly #staging: Uint8Array<ArrayBuffer>;
  readonly #slots = new Map<Scalars, GPUBufferBinding>();

  /** @throws ArgumentError for more than 64 bytes of one dispatch */
  constructor(
    private readonly device: GPUDevice,
    all: readonly Scalars[],
  ) {
    const unique = new Set(all);
    const sizes = [...unique].map((scalars) => bindingBytes(scalarBytes(scalars).byteLength));
    this.#staging = new Uint8Array(unique.size * slotBytes(device));
    this.#raw = device.createBuffer({
      label: 'scalars of a recorded step',
      size: this.#staging.length,
      usage: GPUBufferUsageFlags.UNIFORM | GPUBufferUsageFlags.COPY_DST,
    });
    [...unique].forEach((scalars, k) => {
      this.#slots.set(scalars, { buffer: this.#raw, offset: k * slotBytes(device), size: sizes[k] });
      this.refresh(scalars);
    });
    this.upload();
  }

  binding(scalars: Scalars): GPUBufferBinding {
    return this.#slots.get(scalars)!;
  }

  /** Evaluates them for the next upload. */
  refresh(scalars: Scalars): void {
    this.#staging.set(new Uint8Array(scalarBytes(scalars)), this.#slots.get(scalars)!.offset);
  }

  /** Uploads all; commands that were submitted before still see the old ones. */
  upload(): void {
    // Deno ends itself on a write of no bytes.
    if (this.#staging.length > 0) this.device.queue.writeBuffer(this.#raw, 0, this.#staging);
  }

  /** Call it only when every command that uses the table is submitted. */
  destroy(): void {
    this.#raw.destroy();
  }
}
