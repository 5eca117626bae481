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

export type DeviceState =
  | { kind: 'opening' }
  /** `again`: it takes the place of one that was lost. */
  | { kind: 'open'; gpu: Gpu; again: boolean }
  | { kind: 'lost' }
  /** `lost`: none could be opened in place of one that was lost. */
  | { kind: 'none'; error: unknown; lost: boolean };

/** For a program that shows how its device is. */
export interface DeviceWatchOptions {
  onState?: (state: DeviceState) => void;
  /** True: another device is opened as soon as one is lost; false, the default: when work needs one. */
  reopenAtOnce?: boolean;
}

interface Disposable {
  dispose(): void;
}

/** A piece of work that took longer than this before it lost its device, in milliseconds, is not taken for the reason. */
const SOON_MS = 30_000;

/**
 * Keeps a device for work that outlives devices: a driver that is reset or updated, a laptop that sleeps, or a card that
 * falls off ends the device, and everything on it is gone. Then another one is opened, and the work is done again. The first
 * device is opened when it is first needed.
 */
export class DeviceKeeper {
  #opening: Promise<Gpu> | null = null;
  #gpu: Gpu | null = null;
  #losses = 0;
  readonly #made = new Set<Disposable>();

  constructor(
    private readonly openGpu: () => Promise<Gpu>,
    private readonly options: DeviceKeeperOptions & DeviceWatchOptions = {},
  ) {}

  /** Devices lost so far. */
  get losses(): number {
    return this.#losses;
  }

  /**
   * The device; where one was lost before, opened with as many attempts as `retries` says.
   * @throws what `openGpu` throws, and then the next call tries again; DeviceLostError with that as its cause after a loss
   */
  open(): Promise<Gpu> {
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = null;
      const lost = this.#losses > 0;
      this.options.onState?.({ kind: 'none', error: (lost && error.cause) || error, lost });
      throw error;
    });
    return this.#opening;
  }

  /**
   * Does `work`; where the device is lost meanwhile, again from its start on a new one.
   * @param work keeps what is worth keeping outside of the device
   * @throws whatever `work` throws while the device is well; what `open` throws; the signal's reason; DeviceLostError after
   * too many losses in a row, with the last error as its cause
   */
  async run<R>(work: (gpu: Gpu) => Promise<R>): Promise<R> {
    const { signal } = this.options;
    for (let losses = 0; ; ) {
      signal?.throwIfAborted();
      const gpu = await this.open();
      const start = performance.now();
      try {
        return await work(gpu);
      } catch (error) {
        if (!(await isLoss(gpu, error))) throw error;
        this.#lose(gpu, error as Error);
        if (performance.now() - start > SOON_MS) losses = 0;
        await this.#pause(losses++, error);
      }
    }
  }

  /** What is made once on each device, such as a codec, and freed with it. */
  made<T extends Disposable>(make: (gpu: Gpu) => T): (gpu: Gpu) => T {
    let last: { gpu: Gpu; one: T } | undefined;
    return (gpu) => {
      if (!last || last.gpu !== gpu || !this.#made.has(last.one)) {
        last = { gpu, one: make(gpu) };
        this.#made.add(last.one);
      }
      return last.one;
    };
  }

  /** Frees the device and what was made on it; further work would open another one. */
  close(): void {
    const gpu = this.#gpu;
    this.#gpu = this.#opening = null;
    try {
      for (const one of this.#made) one.dispose();
    } catch (error) {
      if (!gpu?.lost) throw error; // on a lost device there is nothing left to free
    } finally {
      this.#made.clear();
      gpu?.destroy();
    }
  }

  async #open(): Promise<Gpu> {
    const { onState, reopenAtOnce } = this.options;
    onState?.({ kind: 'opening' });
    const again = this.#losses > 0;
    for (let failures = 1; ; failures++) {
      try {
        const gpu = await this.openGpu();
        this.#gpu = gpu;
        if (reopenAtOnce) void gpu.device.lost.then(({ message }) => this.#lose(gpu, new DeviceLostError(message)));
        onState?.({ kind: 'open', gpu, again });
        return gpu;
      } catch (error) {
        if (!again) throw error;
        await this.#pause(failures, error);
      }
    }
  }

  /** Waits after the failure number `failures`, from 0: not after the first. @throws DeviceLostError where it was the last */
  async #pause(failures: number, cause: unknown): Promise<void> {
    const { retries = 6, backoffMs = 200, signal } = this.options;
    if (failures >= retries) {
      const message = `the GPU device was lost, and ${retries} attempts to go on with a new one failed`;
      throw new DeviceLostError(`${message}: ${(cause as Error).message}`, { cause });
    }
    if (failures > 0) await sleep(backoffMs * 2 ** (failures - 1), signal);
  }

  #lose(gpu: Gpu, error: Error): void {
    if (this.#gpu !== gpu) return; // it is known, or was closed
    const { onLost, onState, reopenAtOnce } = this.options;
    this.#losses++;
    this.close();
    onLost?.(error);
    onState?.({ kind: 'lost' });
    if (reopenAtOnce) this.open().catch(() => {}); // the state says it, and whoever needs the device is told
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
async function isLoss(gpu: Gpu, error: unknown): Promise<boolean> {
  if (gpu.lost || error instanceof DeviceLostError) return true;
  if (error instanceof CameoError && !(error instanceof GpuError)) return false;
  const news = new Promise<false>((resolve) => setTimeout(() => resolve(false), NEWS_MS));
  return Promise.race([gpu.device.lost.then(() => true), news]);
}
