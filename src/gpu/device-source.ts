import type { Gpu } from './gpu.js';

/** A device, or a function that opens one after everything else has been checked. The caller closes it. */
export type DeviceSource = Gpu | (() => Promise<Gpu>);

/** The device. @throws what opening it throws */
export async function deviceOf(source: DeviceSource): Promise<Gpu> {
  return typeof source === 'function' ? source() : source;
}

/** A device that is opened once, when it is first asked for. */
export class LazyDevice {
  #opened: Promise<Gpu> | undefined;

  constructor(private readonly openDevice: () => Promise<Gpu>) {}

  readonly open = (): Promise<Gpu> => {
    this.#opened ??= this.openDevice();
    return this.#opened;
  };

  async close(): Promise<void> {
    (await this.#opened?.catch(() => undefined))?.destroy();
  }
}
