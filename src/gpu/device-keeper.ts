import { orAborted } from '../common/abortable.js';
import { CameoError, DeviceLostError, GpuError } from '../common/errors.js';
import type { AbortSignal } from '../common/platform-types.js';
import type { Gpu } from './gpu.js';

export interface DeviceKeeperOptions {
  /** How often in a row the device may be lost, or not be opened again, before a piece of work is given up; default 6. */
  retries?: number;
  /** Milliseconds before the second reopening in a row, twice as many before each further one; default 200. */
  backoffMs?: number;
  /** No further device is opened, and no work begun, once it is aborted. */
  signal?: AbortSignal;
  /** Told of each loss, before a new device is opened. */
  onLost?: (error: Error) => void;
}

/** How long the news of a loss may come after the error that it caused, in milliseconds. */
const NEWS_MS = 250;

/**
 * Keeps a device, and what is made on it (a codec), for work that outlives devices: a driver that is reset or updated, or a
 * card that falls off, ends the device, and everything on it is gone. Then both are made anew and the work is done again.
 * The first device is opened when it is first needed.
 */
export class DeviceKeeper<T extends { dispose(): void }> {
  #gpu: Gpu | undefined;
  #made: T | undefined;
  #losses = 0;

  constructor(
    private readonly openGpu: () => Promise<Gpu>,
    private readonly make: (gpu: Gpu) => T,
    private readonly options: DeviceKeeperOptions = {},
  ) {}

  /** Devices lost so far. */
  get losses(): number {
    return this.#losses;
  }

  /**
   * Does `work`; where the device is lost meanwhile, again from its start on a new one. One at a time.
   * @throws whatever `work` throws while the device is well; what `openGpu` throws at the first opening; the signal's reason;
   * DeviceLostError after too many losses in a row, with the last error as its cause
   */
  async run<R>(work: (made: T) => Promise<R>): Promise<R> {
    const { retries = 6, backoffMs = 200, signal, onLost } = this.options;
    for (let failures = 0; ; ) {
      signal?.throwIfAborted();
      try {
        return await work(await this.#open());
      } catch (error) {
        const lost = this.#gpu !== undefined && (await isLoss(this.#gpu, error));
        const stillAway = this.#gpu === undefined && failures > 0;
        if (!lost && !stillAway) throw error;
        this.close();
        if (lost) {
          this.#losses++;
          onLost?.(error as Error);
        }
        if (++failures > retries) {
          const message = `the GPU device was lost, and ${retries} attempts to go on with a new one failed`;
          throw new DeviceLostError(`${message}: ${(error as Error).message}`, { cause: error });
        }
        if (failures > 1) {
          await sleep(backoffMs * 2 ** (failures - 2), signal);
        }
      }
    }
  }

  /** Frees the device and what was made on it; further work would open another one. */
  close(): void {
    try {
      this.#made?.dispose();
    } catch (error) {
      if (!this.#gpu?.lost) throw error; // on a lost device there is nothing left to free
    } finally {
      this.#gpu?.destroy();
      this.#gpu = undefined;
      this.#made = undefined;
    }
  }

  async #open(): Promise<T> {
    this.#gpu ??= await this.openGpu();
    this.#made ??= this.make(this.#gpu);
    return this.#made;
  }
}

/** Waits so many milliseconds; rejects with the signal's reason as soon as that is aborted. */
async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pause = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await orAborted(pause, signal);
  } finally {
    clearTimeout(timer); // it would keep Node from ending
  }
}

/** Whether an error comes from the loss of this device, which may be known only a moment after it. */
export async function isLoss(gpu: Gpu, error: unknown): Promise<boolean> {
  if (gpu.lost || error instanceof DeviceLostError) return true;
  if (error instanceof CameoError && !(error instanceof GpuError)) return false;
  const news = new Promise<false>((resolve) => setTimeout(() => resolve(false), NEWS_MS));
  return Promise.race([gpu.device.lost.then(() => true), news]);
}
