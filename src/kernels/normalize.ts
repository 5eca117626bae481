import type { ColumnWidth } from '../../shaders/common/columns.js';
import { l2NormalizeGradientShader, l2NormalizeShader, rowPlan } from '../../shaders/normalize.wgsl.js';
import { type Kernel, type KernelLimits, linearGrid } from '../gpu/kernel.js';
import { elementGrid } from './elementwise.js';

/** How the rows of [rows, size] are added up. */
export interface RowConfig {
  readonly rows: number;
  readonly size: number;
  /** Elements of a load, a divisor of `size`. */
  readonly width: ColumnWidth;
  /** Invocations that share a row: 1, or a workgroup of 64. */
  readonly lanes: 1 | 64;
}

/** Vectors where the rows allow; a workgroup for each long row on a GPU, where a lonely thread would wait for its loads. */
export function chooseRows(rows: number, size: number, limits: KernelLimits): RowConfig {
  const width = size % 4 === 0 ? 4 : size % 2 === 0 ? 2 : 1;
  return { rows, size, width, lanes: limits.software || size / width < 32 ? 1 : 64 };
}

/** The plainest way: one invocation a row, one element a load. */
export function naiveRows(rows: number, size: number): RowConfig {
  return { rows, size, width: 1, lanes: 1 };
}

const rowGrid = ({ rows, lanes }: RowConfig) => (lanes === 1 ? elementGrid(rows) : linearGrid(rows));

/** The uniform of both kernels; `eps` is kept above the smallest normal float32, so that 1 / eps is finite. */
export function rowScalars({ rows, size, width }: RowConfig, eps: number): ArrayBuffer {
  return rowPlan.pack({ rows, groups: size / width, eps: Math.max(eps, 2 ** -126) });
}

/** Bindings x, y. */
export function l2NormalizeKernel(config: RowConfig): Kernel {
  return {
    label: 'l2 normalize',
    ...l2NormalizeShader(config.width, config.lanes),
    workgroups: rowGrid(config),
  };
}

/** Bindings x, dy, dx. */
export function l2NormalizeGradientKernel(config: RowConfig): Kernel {
  return {
    label: 'l2 normalize gradient',
    ...l2NormalizeGradientShader(config.width, config.lanes),
    workgroups: rowGrid(config),
  };
}
