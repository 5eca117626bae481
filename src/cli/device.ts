import type { Gpu } from '../gpu/gpu.js';
import { openGpu } from '../gpu/node/adapters.js';

let opener: () => Promise<Gpu> = () => openGpu();

/** Opens the device of a command. @throws as `openGpu` */
export const openDevice = (): Promise<Gpu> => opener();

/** Makes commands open their device by `open`, so that many commands of one process can share an open device. */
export function openDevicesBy(open: () => Promise<Gpu>): void {
  opener = open;
}
