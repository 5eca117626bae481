import { ArgumentError } from '../common/errors.js';
import { GPUBufferUsageFlags } from './buffer-pool.js';

const RING_BYTES = 1 << 16;
/** Most scalars that one call may have. */
const MAX_BYTES = 64;

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
    this.#slotBytes = Math.max(MAX_BYTES, device.limits.minUniformBufferOffsetAlignment);
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

  /** Stores up to 64 bytes; returns the binding for this call. @throws ArgumentError for more */
  push(data: ArrayBuffer): GPUBufferBinding {
    if (data.byteLength > MAX_BYTES) {
      throw new ArgumentError(`${data.byteLength} bytes of scalars for one call; at most ${MAX_BYTES} fit`);
    }
    const offset = this.#used;
    this.#staging.set(new Uint8Array(data), offset);
    this.#used += this.#slotBytes;
    return { buffer: this.raw, offset, size: Math.ceil(data.byteLength / 16) * 16 };
  }

  /** Uploads what was pushed; call it right before the submit of the commands that use it. */
  upload(): void {
    if (this.#used > 0) this.device.queue.writeBuffer(this.raw, 0, this.#staging, 0, this.#used);
    this.#used = 0;
  }
}
