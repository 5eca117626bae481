import { isLoss } from '../src/gpu/device-keeper.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { openBrowserGpu } from '../src/gpu/open.js';

export type GpuState =
  | { kind: 'opening' }
  | { kind: 'open'; gpu: Gpu; again: boolean }
  | { kind: 'lost' }
  | { kind: 'none'; error: unknown; lost: boolean };

/** Seconds to wait between the attempts to open a device after a loss: the browser may be starting its GPU process anew. */
const WAITS = [0, 0.5, 1, 2, 4];
/** Work that loses so many devices, each within so many milliseconds, is itself the reason, and is given up. */
const MAX_LOSSES = 3;
const SOON_MS = 30_000;

const after = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

/**
 * The page's GPU device. A device can be lost at any time (a driver that restarts, a laptop that sleeps): it is then opened
 * again at once, and what was under way begins anew on the new one.
 */
export class GpuSession {
  #opening: Promise<Gpu> | null = null;
  #losses = 0;

  constructor(private readonly onState: (state: GpuState) => void) {}

  /** @throws NoAdapterError and others of `openBrowserGpu`; the next call tries again */
  open(): Promise<Gpu> {
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = null;
      this.onState({ kind: 'none', error, lost: this.#losses > 0 });
      throw error;
    });
    return this.#opening;
  }

  /**
   * Does what needs the device; all of it again on another one where the device is lost in between.
   * @param work keeps what is worth keeping outside of the device
   */
  async use<T>(work: (gpu: Gpu) => Promise<T>): Promise<T> {
    for (let losses = 1; ; losses++) {
      const gpu = await this.open();
      const start = performance.now();
      try {
        return await work(gpu);
      } catch (error) {
        if (losses >= MAX_LOSSES || !(await isLoss(gpu, error))) throw error;
        if (performance.now() - start > SOON_MS) losses = 0;
      }
    }
  }

  async #open(): Promise<Gpu> {
    this.onState({ kind: 'opening' });
    const waits = this.#losses > 0 ? WAITS : [0];
    for (const [attempt, seconds] of waits.entries()) {
      await after(seconds);
      try {
        const gpu = await openBrowserGpu();
        void gpu.device.lost.then(() => this.#reopen());
        this.onState({ kind: 'open', gpu, again: this.#losses > 0 });
        return gpu;
      } catch (error) {
        if (attempt === waits.length - 1) throw error;
      }
    }
    throw new Error('unreachable');
  }

  #reopen(): void {
    this.#losses++;
    this.#opening = null;
    this.onState({ kind: 'lost' });
    this.open().catch(() => {}); // whoever needs the device is told; until then the state says it
  }
}

/** What is made once on each device; a failure is not kept. */
export function perDevice<T>(make: (gpu: Gpu) => Promise<T>): (gpu: Gpu) => Promise<T> {
  const made = new WeakMap<Gpu, Promise<T>>();
  return (gpu) => {
    let one = made.get(gpu);
    if (!one) {
      one = make(gpu);
      made.set(gpu, one);
      one.catch(() => made.delete(gpu));
    }
    return one;
  };
}
