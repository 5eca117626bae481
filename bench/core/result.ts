import type { Precision } from '../../src/common/precision.js';
import { adapterName, type GpuDescription } from '../../src/gpu/description.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { ENGINE_VERSION } from '../../src/gpu/tuning.js';
import type { AblatedLayer } from './ablation.js';
import type { Ceilings } from './ceilings.js';
import type { Measurement } from './measure.js';
import type { NetworkResult } from './networks.js';
import type { SuiteResult } from './suite.js';

/** The results of one run of the bench, as plain data: they are written as JSON and read back. */
export interface BenchResult {
  adapter: { name: string; kind: string; vendor: string; architecture: string; driver: string };
  /** The version of Node, or the browser's user agent. */
  runtime: string;
  engineVersion: string;
  commit: string | null;
  date: string;
  /** Batch sizes, with each of which everything was measured. */
  batches: number[];
  /** True if convs ran with the kernels that were measured to be fastest on this adapter, false if with those of the estimate. */
  tuned: boolean;
  /** The type in which the fast convs stored their operands; f32 if absent. */
  precision?: Precision;
  /** What times are measured by: the device's timestamps, or the wall clock over several runs. */
  clock: 'timestamps' | 'wall';
  ceilings: Ceilings;
  measurements: Measurement[];
  networks: NetworkResult[];
  /** What parts of the register kernel cost; empty where networks are not measured or the adapter runs other kernels. */
  ablations: AblatedLayer[];
}

/** "llvmpipe (LLVM 15.0.6, 256 bits)" becomes "llvmpipe-llvm-15-0-6-256-bits"; lavapipe and SwiftShader keep their short names. */
export function adapterSlug({ kind, device, description, vendor, architecture }: GpuDescription): string {
  if (kind === 'lavapipe' || kind === 'swiftshader') return kind;
  const text = (device || description || `${vendor} ${architecture}`.trim() || kind).toLowerCase();
  return text.replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '') || 'adapter';
}

/** The results of a suite together with the adapter and the settings that it ran with. */
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

/** 10⁹ operations per second, or null for tasks that only move data. */
export function gflopsOf({ flops, time }: Measurement): number | null {
  return flops > 0 ? flops / time.median / 1e6 : null;
}

/** 10⁹ bytes per second that any implementation with this time must at least move. */
export function gbpsOf({ bytes, time }: Measurement): number {
  return bytes / time.median / 1e6;
}
