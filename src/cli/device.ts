import type { Gpu } from '../gpu/gpu.js';
import { openGpu } from '../gpu/node/adapters.js';

let opener: () => Promise<Gpu> = () => openGpu();

/** Opens the device of a command. @throws as `openGpu` */
export const openDevice = (): Promise<Gpu> => opener();

/** From now on, commands open their device by `open`: many commands of one process may share one that stays open. */
export function openDevicesBy(open: () => Promise<Gpu>): void {
  opener = open;
}
