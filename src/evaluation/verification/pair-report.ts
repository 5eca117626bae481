import type { FacePair } from '../../data/faces/lfw.js';
import { rocCurve } from '../metrics/verification.js';
import { accuracyText, percent } from '../reports/percent.js';
import { linePlot } from '../reports/plot-svg.js';
import { listLines, metadataTexts, type RunMetadata } from '../reports/run-metadata.js';
import { markdownTable } from '../reports/tables.js';
import { type ScoredPair, scoresByKind, type VerificationFigures } from './protocol.js';

/** The results and metadata of an evaluation of pairs: the content of its JSON file. */
export interface PairReport extends RunMetadata {
  title: string;
  model: { name: string; id: string; input: string; embedding: string };
  data: {
    images: number;
    pairs: number;
    skippedImages: string[];
    skippedPairs: number;
    /** Numbers, from 1, of folds without remaining pairs. */
    lostFolds: number[];
    /** Id of the detector's weights, if one was used. */
    detector?: string;
    /** Times that pictures were made larger first. */
    enlarged?: number;
  };
  /** Seconds that the embeddings took; those from the cache take none. */
  seconds: number;
  figures: VerificationFigures;
}

/** One line for a terminal. */
export function pairSummary({ figures }: PairReport): string {
  const { tar, equalErrorRate } = figures;
  return `accuracy ${accuracyText(figures)}; TAR at FAR 1e-3 ${percent(tar.tar)} (95 %: ${percent(tar.low)} to ${percent(tar.high)}); EER ${percent(equalErrorRate)}`;
}

/** @param plot name of the plot's file beside it */
export function pairReportMarkdown(report: PairReport, plot: string): string {
  const { figures, model, data } = report;
  const { folds, tar } = figures;
  const skipped =
    data.skippedImages.length > 0
      ? `; ${data.skippedImages.length} pictures and with them ${data.skippedPairs} pairs left out`
      : '';
  const lost = data.lostFolds.length > 0 ? `; no pair is left of fold ${data.lostFolds.join(', ')}` : '';
  return [
    `# ${report.title}: ${model.name}`,
    listLines([
      `Pairs: ${figures.genuine} matched and ${figures.impostor} mismatched, ${folds.length} folds, ${data.images} pictures${skipped}${lost}`,
      `Recogniser: ${model.name} (weights ${model.id}), ${model.input}; ${model.embedding}`,
      ...(data.detector === undefined ? [] : [`Landmarks: found by the detector with weights ${data.detector}`]),
      ...(data.enlarged === undefined ? [] : [`Pictures: made ${data.enlarged} times as large first`]),
      `Embeddings: in ${report.seconds.toFixed(0)} s`,
      ...metadataTexts(report),
    ]),
    markdownTable({
      title: 'Figures',
      columns: ['Figure', 'Value'],
      rows: [
        ['accuracy, mean of the folds ± standard error', accuracyText(figures)],
        [
          'TAR at FAR 1e-3, with the 95 % interval of a bootstrap',
          `${percent(tar.tar)} (${percent(tar.low)} to ${percent(tar.high)})`,
        ],
        ['threshold there', tar.threshold.toFixed(4)],
        ['equal error rate', percent(figures.equalErrorRate)],
        ['area under the ROC curve', figures.areaUnderRoc.toFixed(5)],
      ],
      note: 'The threshold of each fold is the one that decides most pairs of the other folds rightly.',
    }),
    markdownTable({
      title: 'Folds',
      columns: ['Fold', 'Accuracy', 'Threshold', 'Pairs'],
      rows: folds.map((fold) => [fold.fold + 1, percent(fold.accuracy), fold.threshold.toFixed(4), fold.pairs]),
    }),
    `![ROC curve](${plot})`,
    '',
  ].join('\n\n');
}

/** TAR over FAR, the latter logarithmic. */
export function rocPlot(title: string, pairs: readonly ScoredPair[]): string {
  const { genuine, impostor } = scoresByKind(pairs);
  return linePlot({
    title,
    xLabel: 'false accept rate',
    yLabel: 'true accept rate',
    logX: true,
    series: [{ name: 'TAR', points: rocCurve(genuine, impostor) }],
  });
}

/** Every pair and its score. */
export function scoresCsv(pairs: readonly FacePair[], scores: readonly number[]): string {
  const rows = pairs.map(({ a, b, same, fold }, k) => `${fold + 1},${a},${b},${same ? 1 : 0},${scores[k].toFixed(6)}`);
  return ['fold,a,b,same,score', ...rows, ''].join('\n');
}
