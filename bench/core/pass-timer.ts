import type { Gpu } from '../../src/gpu/gpu.js';
import { PeakLoad } from './ceilings.js';
import { PEAK_FORMS } from './peak-kernels.js';

/** The most passes that can be stamped between `start` and `stop`. */
export const MAX_PASSES = 512;
const QUERY_RESOLVE = 0x200; // flags of GPUBufferUsage, which is not a global in Node
const COPY_SRC = 0x4;
const COPY_DST = 0x8;
const MAP_READ = 0x1;

/**
 * Milliseconds of all passes together.
 * @param stamps nanoseconds at the begin and the end of each pass
 * @returns null where a stamp is missing (0), or a pass ends before it begins
 */
export function sumPasses(stamps: BigUint64Array): number | null {
  let nanoseconds = 0n;
  for (let k = 0; k < stamps.length; k += 2) {
    if (stamps[k] === 0n || stamps[k + 1] < stamps[k]) return null;
    nanoseconds += stamps[k + 1] - stamps[k];
  }
  return Number(nanoseconds) / 1e6;
}

/**
 * Measures the time that the device spends in compute passes, by its own timestamps. Between `start` and `stop`, every pass
 * that the engine begins is stamped; the engine is not changed for this.
 */
export class PassTimer {
  readonly #gpu: Gpu;
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #readable: GPUBuffer;
  readonly #createCommandEncoder: GPUDevice['createCommandEncoder'];
  #passes = 0;
  #on = false;

  private constructor(gpu: Gpu) {
    const { device } = gpu;
    this.#gpu = gpu;
    this.#device = device;
    this.#queries = device.createQuerySet({ type: 'timestamp', count: 2 * MAX_PASSES });
    this.#resolved = device.createBuffer({ size: 16 * MAX_PASSES, usage: QUERY_RESOLVE | COPY_SRC });
    this.#readable = device.createBuffer({ size: 16 * MAX_PASSES, usage: MAP_READ | COPY_DST });
    this.#createCommandEncoder = device.createCommandEncoder.bind(device);
    device.createCommandEncoder = (descriptor) => {
      const encoder = this.#createCommandEncoder(descriptor);
      if (this.#on) this.#stampPasses(encoder);
      return encoder;
    };
  }

  /** Puts a timer on a device. @returns null where the device has no timestamps */
  static on(gpu: Gpu): PassTimer | null {
    return gpu.device.features.has('timestamp-query') ? new PassTimer(gpu) : null;
  }

  #stampPasses(encoder: GPUCommandEncoder): void {
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (descriptor = {}) => {
      const first = 2 * this.#passes++;
      if (first >= 2 * MAX_PASSES) return beginComputePass(descriptor);
      const timestampWrites = {
        querySet: this.#queries,
        beginningOfPassWriteIndex: first,
        endOfPassWriteIndex: first + 1,
      };
      return beginComputePass({ ...descriptor, timestampWrites });
    };
  }

  start(): void {
    this.#passes = 0;
    this.#on = true;
  }

  /** Milliseconds in passes since `start`; null where the stamps make no sense. The work of the passes must be done. */
  async stop(): Promise<number | null> {
    this.#on = false;
    if (this.#passes === 0 || this.#passes > MAX_PASSES) return null;
    const bytes = 16 * this.#passes;
    const encoder = this.#createCommandEncoder();
    encoder.resolveQuerySet(this.#queries, 0, 2 * this.#passes, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#readable, 0, bytes);
    this.#device.queue.submit([encoder.finish()]);
    await this.#gpu.wait(this.#readable.mapAsync(1 /* GPUMapMode.READ */, 0, bytes));
    const stamps = new BigUint64Array(this.#readable.getMappedRange(0, bytes).slice(0));
    this.#readable.unmap();
    return sumPasses(stamps);
  }

  /** Takes the stamping off the device. */
  dispose(): void {
    this.#device.createCommandEncoder = this.#createCommandEncoder;
    this.#queries.destroy();
    this.#resolved.destroy();
    this.#readable.destroy();
  }
}

/**
 * A timer by the device's timestamps, or null where it has none, or where they disagree with the wall clock about a kernel of
 * at least 50 ms. For example, a software adapter may stamp a pass when it is queued.
 */
export async function plausibleTimer(gpu: Gpu): Promise<PassTimer | null> {
  const timer = PassTimer.on(gpu);
  if (!timer) return null;
  const load = new PeakLoad(gpu, PEAK_FORMS[0]);
  try {
    const turns = await load.turnsFor(50);
    timer.start();
    const start = performance.now();
    load.run(turns);
    await gpu.sync();
    const wall = performance.now() - start;
    const stamped = await timer.stop();
    if (stamped !== null && stamped <= 1.02 * wall && stamped >= 0.5 * wall) return timer;
  } finally {
    load.dispose();
  }
  timer.dispose();
  return null;
}
