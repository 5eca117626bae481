import { orAborted } from '../common/abortable.js';
import { CameoError, DeviceLostError, GpuError } from '../common/errors.js';
import type { AbortSignal } from '../common/platform-types.js';
import type { Gpu } from './gpu.js';

export interface DeviceKeeperOptions {
  /** Losses and failed openings in a row after which a piece of work is given up; default 6. */
  retries?: number;
  /** Milliseconds before the second reopening in a row; doubled before each further one; default 200. */
  backoffMs?: number;
  /** Once it is aborted, no device is opened and no work begins. */
  signal?: AbortSignal;
  /** Called for each loss, before a new device is opened. */
  onLost?: (error: Error) => void;
}

/** How long after an error the device may report the loss that caused it, in milliseconds. */
const NEWS_MS = 250;

export type DeviceState =
  | { kind: 'opening' }
  /** `again`: it replaces a lost device. */
  | { kind: 'open'; gpu: Gpu; again: boolean }
  | { kind: 'lost' }
  /** `lost`: no device could be opened to replace a lost one. */
  | { kind: 'none'; error: unknown; lost: boolean };

/** For a program that shows the state of its device. */
export interface DeviceWatchOptions {
  onState?: (state: DeviceState) => void;
  /** True: a new device is opened as soon as one is lost. False, the default: when work needs one. */
  reopenAtOnce?: boolean;
}

interface Disposable {
  dispose(): void;
}

/** If a piece of work took longer than this, in milliseconds, before its device was lost, it is not taken for the cause. */
const SOON_MS = 30_000;

/**
 * Keeps a device for work that may outlive it. A device ends, with everything on it, when its driver is reset or updated, a
 * laptop sleeps, or a card is removed. Then a new device is opened, and the work is done again. The first device is opened
 * when it is first needed.
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

  /** Number of devices lost so far. */
  get losses(): number {
    return this.#losses;
  }

  /**
   * The device. After a loss, it is opened with up to `retries` attempts.
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
   * Does `work`; if the device is lost meanwhile, starts it again on a new one.
   * @param work keeps outside of the device what should survive a loss
   * @throws whatever `work` throws while the device is not lost; what `open` throws; the signal's reason; DeviceLostError after
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

  /** Something that is made once on each device, such as a codec, and freed with it. */
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

  /** Frees the device and what was made on it; further work opens a new device. */
  close(): void {
    const gpu = this.#gpu;
    this.#gpu = this.#opening = null;
    try {
      for (const one of this.#made) one.dispose();
    } catch (error) {
      if (!gpu?.lost) throw error; // a lost device has nothing left to free
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

  /** Waits after the failure number `failures`, from 0: not after the first. @throws DeviceLostError if it was the last */
  async #pause(failures: number, cause: unknown): Promise<void> {
    const { retries = 6, backoffMs = 200, signal } = this.options;
    if (failures >= retries) {
      const message = `the GPU device was lost, and ${retries} attempts to go on with a new one failed`;
      throw new DeviceLostError(`${message}: ${(cause as Error).message}`, { cause });
    }
    if (failures > 0) await sleep(backoffMs * 2 ** (failures - 1), signal);
  }

  #lose(gpu: Gpu, error: Error): void {
    if (this.#gpu !== gpu) return; // already known, or closed
    const { onLost, onState, reopenAtOnce } = this.options;
    this.#losses++;
    this.close();
    onLost?.(error);
    onState?.({ kind: 'lost' });
    if (reopenAtOnce) this.open().catch(() => {}); // the state shows it, and whoever needs the device gets the error
  }
}

/** Makes something once on each device; a failure is not kept. */
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
