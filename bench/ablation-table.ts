import type { ReportTable } from '../src/evaluation/reports/html-report.js';
import type { BenchResult } from './core/result.js';

/** A table of what each part of the register-tiled conv kernel, which CPU adapters use, costs. */
export function ablationTable({ ablations, ceilings }: BenchResult): ReportTable {
  return {
    title: 'Where the time of the register-tiled conv goes',
    columns: ['Layer', 'Left out', 'ms', 'saves', 'GFLOP/s, counting the whole work', 'of peak'],
    rows: ablations.flatMap(({ layer, gflops, parts }) =>
      parts.map(({ without, time, saved }) => {
        const rate = gflops / (1 - saved);
        return [
          layer,
          without,
          time.toFixed(1),
          `${(100 * saved).toFixed(0)} %`,
          rate.toFixed(1),
          `${((100 * rate) / ceilings.gflops).toFixed(0)} %`,
        ];
      }),
    ),
    note: 'The whole forward kernel, and the same kernel without one part (its results are then wrong): what that saves is what the part costs. Each time is the least of several, measured in turn. Parts overlap in time, so the savings need not add up.',
  };
}
