import type { Gpu } from '../../src/gpu/gpu.js';
import type { Runnable } from '../core/runnable.js';
import type { Kind, Work } from '../core/work.js';

/** Another library that runs the same computations on the same device. */
export interface Peer {
  name: string;
  version: string;
  /** The kinds that it can compute; it is not asked for others. */
  kinds: readonly Kind[];
  /** What a reader of its figures must know; may be empty. */
  note: string;
  /** Uploads the operands. @throws Error if the library does not have the operation */
  prepare(work: Work, operands: readonly [Float32Array, Float32Array]): Promise<Runnable>;
  dispose(): void;
}

/** Opens a peer on our device. @returns a string that says why, if it cannot */
export type OpenPeer = (gpu: Gpu) => Promise<Peer | string>;
