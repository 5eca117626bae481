import type { Precision } from '../../src/common/precision.js';
import { adapterName, type GpuDescription } from '../../src/gpu/description.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { ENGINE_VERSION } from '../../src/gpu/tuning.js';
import type { AblatedLayer } from './ablation.js';
import type { Ceilings } from './ceilings.js';
import type { Measurement } from './measure.js';
import type { NetworkResult } from './networks.js';
import type { SuiteResult } from './suite.js';

/** What one run of the bench found. Plain data: it is written as JSON and read back. */
export interface BenchResult {
  adapter: { name: string; kind: string; vendor: string; architecture: string; driver: string };
  /** The version of Node, or what the browser calls itself. */
  runtime: string;
  engineVersion: string;
  commit: string | null;
  date: string;
  /** Pictures a batch: everything was measured with each. */
  batches: number[];
  /** True where convs ran with the kernels that were measured to be best here, false where with those of the estimate. */
  tuned: boolean;
  /** How the fast convs stored their operands; f32 where it is left out. */
  precision?: Precision;
  /** Where times are from: the device's timestamps, or batches of runs by the clock on the wall. */
  clock: 'timestamps' | 'wall';
  ceilings: Ceilings;
  measurements: Measurement[];
  networks: NetworkResult[];
  /** Where the time goes, with the networks and on adapters that run the register kernel. */
  ablations: AblatedLayer[];
}

/** "llvmpipe (LLVM 15.0.6, 256 bits)" becomes "llvmpipe-llvm-15-0-6-256-bits"; software adapters have their short name. */
export function adapterSlug({ kind, device, description, vendor, architecture }: GpuDescription): string {
  if (kind === 'lavapipe' || kind === 'swiftshader') return kind;
  const text = (device || description || `${vendor} ${architecture}`.trim() || kind).toLowerCase();
  return text.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'adapter';
}

/** What a suite found, with what it ran on. */
export function benchResult(
  { description, limits }: Gpu,
  run: Pick<BenchResult, 'batches' | 'tuned' | 'commit' | 'runtime'>,
  suite: SuiteResult,
): BenchResult {
  const name = adapterName(description);
  const { kind, vendor, architecture, description: driver } = description;
  return {
    adapter: { name, kind, vendor, architecture, driver: driver === name ? '' : driver },
    engineVersion: ENGINE_VERSION,
    date: new Date().toISOString(),
    precision: limits.precision,
    ...run,
    ...suite,
  };
}

/** Giga-operations a second, or null where moving data is all the work. */
export function gflopsOf({ flops, time }: Measurement): number | null {
  return flops > 0 ? flops / time.median / 1e6 : null;
}

/** Gigabytes a second that any implementation of this speed moves at least. */
export function gbpsOf({ bytes, time }: Measurement): number {
  return bytes / time.median / 1e6;
}
