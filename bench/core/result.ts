import type { AblatedLayer } from './ablation.js';
import type { Ceilings } from './ceilings.js';
import type { Measurement } from './measure.js';
import type { NetworkResult } from './networks.js';

/** What one run of the bench found. Plain data: it is written as JSON and read back. */
export interface BenchResult {
  adapter: { name: string; kind: string; vendor: string; architecture: string; driver: string };
  engineVersion: string;
  commit: string | null;
  date: string;
  batch: number;
  /** True where convs ran with the kernels that were measured to be best here, false where with those of the estimate. */
  tuned: boolean;
  /** Where times are from: the device's timestamps, or batches of runs by the clock on the wall. */
  clock: 'timestamps' | 'wall';
  ceilings: Ceilings;
  measurements: Measurement[];
  networks: NetworkResult[];
  /** Where the time goes, with the networks and on adapters that run the register kernel. */
  ablations: AblatedLayer[];
}

/** Giga-operations a second, or null where moving data is all the work. */
export function gflopsOf({ flops, time }: Measurement): number | null {
  return flops > 0 ? flops / time.median / 1e6 : null;
}

/** Gigabytes a second that any implementation of this speed moves at least. */
export function gbpsOf({ bytes, time }: Measurement): number {
  return bytes / time.median / 1e6;
}
