import type { Gpu } from '../../src/gpu/gpu.js';
import type { Runnable } from '../core/runnable.js';
import type { Kind, Work } from '../core/work.js';

/** Another library that computes the same on the same device. */
export interface Peer {
  name: string;
  version: string;
  /** What of it can be compared; other kinds are not asked for. */
  kinds: readonly Kind[];
  /** What a reader of its figures must know; '' where there is nothing. */
  note: string;
  /** Uploads the operands. @throws where the library has no such operation */
  prepare(work: Work, operands: readonly [Float32Array, Float32Array]): Promise<Runnable>;
  dispose(): void;
}

/** Opens a peer on our device, or says why it cannot be had. */
export type OpenPeer = (gpu: Gpu) => Promise<Peer | string>;
