import type { ReportTable } from '../src/evaluation/reports/html-report.js';
import type { BenchResult } from './core/result.js';

/** Where the time of the conv kernel for CPU adapters goes. */
export function ablationTable({ ablations, ceilings }: BenchResult): ReportTable {
  return {
    title: 'Where the time of the register-tiled conv goes',
    columns: ['Layer', 'Left out', 'ms', 'saves', 'GFLOP/s of what the whole computes', 'of peak'],
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
    note: 'The forward kernel, and the same with one part left out (its results are then wrong): what that saves is what the part costs. Least times of several, by turns; parts overlap, so that savings need not add up.',
  };
}
