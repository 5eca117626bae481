import { percent, probability } from '../reports/percent.js';
import type { ComparisonRow } from './compare-codecs.js';
import type { ComparisonReport } from './comparison-content.js';
import type { Verdict } from './judge.js';
import type { GoalSpec } from './parse-goals.js';

/** A target figure for the codec, with the result of a comparison. */
export interface Goal {
  what: string;
  wanted: string;
  found: string;
  /** null: the comparison lacks some or all of the needed figures, and those that it has do not miss the goal. */
  reached: boolean | null;
}

const SIGNIFICANT = 0.01;

/** One codec at one budget by one unseen recogniser, with both pictures compressed. */
interface Judgement {
  row: ComparisonRow;
  verdict: Verdict;
}

function judged({ conditions, recognizers }: ComparisonReport, codec: string, budget: number | null): Judgement[] {
  const unseen = new Set(recognizers.filter(({ seen }) => !seen).map(({ name }) => name));
  return conditions
    .filter((row) => row.codec === codec && row.budget === budget)
    .flatMap((row) =>
      row.verdicts
        .filter(({ mix, recognizer }) => mix === 'both' && unseen.has(recognizer))
        .map((verdict) => ({ row, verdict })),
    );
}

const budgetsOf = ({ conditions }: ComparisonReport, from: number, to: number): number[] => [
  ...new Set(conditions.flatMap(({ budget }) => (budget !== null && budget >= from && budget <= to ? [budget] : []))),
];

/** A difference of two rates, in points with its sign. */
const gained = (difference: number, digits: number): string =>
  `${difference < 0 ? '' : '+'}${(100 * difference).toFixed(digits)} points`;

/** A piece of what was found. */
interface Found {
  text: string;
  reached: boolean;
}

/**
 * Joins the results. A goal is missed if any part is missed. It is reached if all parts are reached and none is absent.
 */
function goal(what: string, wanted: string, found: readonly Found[], absent: readonly string[] = []): Goal {
  if (found.length === 0) return { what, wanted, found: 'not in this comparison', reached: null };
  const texts = found.map((one) => (one.reached ? one.text : `${one.text} ✗`));
  if (absent.length > 0) texts.push(`not in this comparison: ${absent.join(', ')}`);
  const missed = found.some(({ reached }) => !reached);
  return { what, wanted, found: texts.join('; '), reached: missed || absent.length === 0 ? !missed : null };
}

/** A goal about all of some codecs at all of some budgets. */
function againstAll(
  report: ComparisonReport,
  what: string,
  wanted: string,
  codecs: readonly string[],
  budgets: readonly number[],
  enough: Enough,
): Goal {
  const parts = budgets.flatMap((budget) =>
    codecs.map((codec) => ({ codec, budget, found: against(report, codec, budget, enough) })),
  );
  const absent = parts.filter(({ found }) => found.length === 0).map(({ codec, budget }) => `${codec} ${budget} B`);
  return goal(
    what,
    wanted,
    parts.flatMap(({ found }) => found),
    absent,
  );
}

/** Accuracy beside our own at the same bytes; a codec that makes no file for some faces has lost. */
function against(report: ComparisonReport, codec: string, budget: number, enough: Enough): Found[] {
  const ours = judged(report, 'cameo', budget);
  if (ours.length === 0) return [];
  return [
    ...report.conditions
      .filter((other) => other.codec === codec && other.budget === budget && other.missing > 0)
      .filter(({ verdicts }) => verdicts.length === 0)
      .map(({ title, missing, faces }) => ({
        text: `${title} ${budget} B: no file for ${missing} of ${faces} faces`,
        reached: true,
      })),
    ...judged(report, codec, budget).flatMap(({ row, verdict }) => {
      const own = ours.find((one) => one.verdict.recognizer === verdict.recognizer);
      if (!own || !verdict.against) return [];
      const gain = own.verdict.figures.accuracy - verdict.figures.accuracy;
      const { p } = verdict.against.accuracy;
      const text = `${row.title} ${budget} B, ${verdict.recognizer}: ${gained(gain, 2)}, ${probability(p)}`;
      return [{ text, reached: enough(gain, p) }];
    }),
  ];
}

type Enough = (gain: number, p: number) => boolean;
const better: Enough = (gain, p) => gain > 0 && p < SIGNIFICANT;
const noWorse: Enough = (gain) => gain >= 0;

/** Accuracy that is lost at a budget against the uncompressed pictures. */
function lost(report: ComparisonReport, what: string, budget: number, max: number): Goal {
  const plain = judged(report, 'uncompressed', null);
  const found = judged(report, 'cameo', budget).flatMap(({ verdict }) => {
    const before = plain.find((one) => one.verdict.recognizer === verdict.recognizer);
    if (!before) return [];
    const points = 100 * (before.verdict.figures.accuracy - verdict.figures.accuracy);
    // If accuracies differ by exactly the limit, rounding may make the difference slightly larger.
    return [{ text: `${verdict.recognizer}: ${points.toFixed(2)} points`, reached: points <= max + 1e-9 }];
  });
  return goal(what, `at most ${max} points`, found);
}

/** The smallest of the measured budgets that is as accurate as another codec at a budget. */
function bytesFor(report: ComparisonReport, what: string, codec: string, budget: number, share: number): Goal {
  const found = judged(report, codec, budget).flatMap(({ verdict }) => {
    const name = verdict.recognizer;
    const enough = budgetsOf(report, 1, budget)
      .filter((bytes) =>
        judged(report, 'cameo', bytes).some(
          (own) => own.verdict.recognizer === name && own.verdict.figures.accuracy >= verdict.figures.accuracy,
        ),
      )
      .sort((a, b) => a - b);
    const wanted = `${name}: ${percent(verdict.figures.accuracy)}`;
    if (enough.length === 0) return [{ text: `${wanted} not with up to ${budget} B`, reached: false }];
    const fewer = 1 - enough[0] / budget;
    return [{ text: `${wanted} with ${enough[0]} B, ${(100 * fewer).toFixed(0)} % fewer`, reached: fewer >= share }];
  });
  return goal(what, `${percentOf(share)} fewer`, found);
}

const percentOf = (share: number): string => `${Math.round(100 * share)} %`;

function container({ conditions }: ComparisonReport, what: string, share: number): Goal {
  const found = conditions
    .filter(({ ownBytes }) => ownBytes !== undefined)
    .map(({ budget, bytes, ownBytes }) => {
      const fewer = 1 - ownBytes! / bytes;
      return { text: `${budget} B: ${(100 * fewer).toFixed(1)} %`, reached: fewer >= share };
    });
  return goal(what, `${percentOf(share)} fewer bytes`, found);
}

/** Against another model of Cameo, which `--extra-models NAME=FILE` brings in. */
function higherTar(report: ComparisonReport, what: string, model: string): Goal {
  const found = budgetsOf(report, 1, Number.POSITIVE_INFINITY).flatMap((budget) =>
    judged(report, `cameo-${model}`, budget).flatMap(({ verdict }) => {
      if (!verdict.against) return [];
      const { tar, open } = verdict.against;
      const text =
        `${budget} B, ${verdict.recognizer}: ${gained(tar.difference, 1)}, p = ${tar.p.toFixed(3)}; ` +
        `by all mismatched pairs ${gained(open.difference, 1)}${open.p === undefined ? '' : `, p = ${open.p.toFixed(3)}`}`;
      // The goal is about View 2's own pairs; the figure over all pairs is added.
      return [{ text, reached: tar.difference > 0 && tar.p < SIGNIFICANT }];
    }),
  );
  return goal(what, 'higher TAR at FAR 1e-3, p < 0.01', found);
}

function speed({ seconds }: ComparisonReport, what: string, max: number): Goal {
  const found = seconds
    ? [
        {
          text: `${(1000 * seconds.encode).toFixed(0)} + ${(1000 * seconds.decode).toFixed(0)} ms at ${seconds.budget} B, medians`,
          reached: seconds.encode + seconds.decode < max,
        },
      ]
    : [];
  return goal(what, `under ${max} s`, found);
}

/** Each goal, with what a comparison found of it. */
export const goals = (report: ComparisonReport, specs: readonly GoalSpec[]): Goal[] =>
  specs.map((spec) => {
    const { what } = spec;
    switch (spec.kind) {
      case 'accuracy': {
        const [wanted, enough] =
          spec.wanted === 'higher'
            ? (['higher accuracy, p < 0.01', better] as const)
            : (['no worse', noWorse] as const);
        return againstAll(report, what, wanted, spec.codecs, spec.budgets, enough);
      }
      case 'lost':
        return lost(report, what, spec.budget, spec.points);
      case 'bytes':
        return bytesFor(report, what, spec.codec, spec.budget, spec.fewer);
      case 'container':
        return container(report, what, spec.fewer);
      case 'tar':
        return higherTar(report, what, spec.model);
      default:
        return speed(report, what, spec.seconds);
    }
  });
