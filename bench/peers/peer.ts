import type { Gpu } from '../../src/gpu/gpu.js';
import type { Runnable } from '../core/runnable.js';
import type { Work } from '../core/work.js';

/** Another library that computes the same on the same device. */
export interface Peer {
  name: string;
  version: string;
  /** Uploads the operands. @returns null where the library has no such operation */
  prepare(work: Work, operands: readonly [Float32Array, Float32Array]): Runnable | null;
  dispose(): void;
}

/** Opens a peer on our device, or says why it cannot be had. */
export type OpenPeer = (gpu: Gpu) => Promise<Peer | string>;
