import { linePlot } from '../evaluation/reports/plot-svg.js';
import type { TrainingLog } from '../training/training-log.js';

/** A plot of columns of a training's log over its steps. */
export interface TrainingPlot {
  title: string;
  yLabel: string;
  logY?: boolean;
  /** Columns by the names of their lines. Those that begin with `val_` are of held-out data: few points, which get markers. */
  lines: Readonly<Record<string, string>>;
}

const isHeldOut = (column: string): boolean => column.startsWith('val_');

/**
 * Plots below each other, as one SVG. A line of held-out data without a figure is left out, and so is a plot that would
 * show held-out data and has none yet.
 */
export function plotTraining(log: TrainingLog, plots: readonly TrainingPlot[]): string {
  const shown = plots.flatMap(({ lines, ...plot }) => {
    const series = Object.entries(lines)
      .map(([name, column]) => ({ name, points: log.series(column), markers: isHeldOut(column) }))
      .filter(({ points, markers }) => points.length > 0 || !markers);
    const wanted = !Object.values(lines).some(isHeldOut) || series.some(({ markers }) => markers);
    return wanted ? [{ ...plot, xLabel: 'step', series }] : [];
  });
  const panels = shown.map((plot, k) => linePlot(plot).replace('<svg ', `<svg y="${400 * k}" `)).join('\n');
  const height = 400 * shown.length;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="${height}" viewBox="0 0 640 ${height}">\n${panels}\n</svg>\n`;
}
