import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import type { ComparisonRow } from '../../src/evaluation/comparison/compare-codecs.js';
import type { ComparisonReport } from '../../src/evaluation/comparison/comparison-content.js';
import {
  comparisonCsv,
  comparisonHtml,
  comparisonMarkdown,
  comparisonPlots,
} from '../../src/evaluation/comparison/comparison-report.js';
import { goals } from '../../src/evaluation/comparison/goals.js';
import { pairedTar } from '../../src/evaluation/comparison/paired-tar.js';
import { parseGoals } from '../../src/evaluation/comparison/parse-goals.js';
import { tarAtFar } from '../../src/evaluation/metrics/verification.js';
import { probability } from '../../src/evaluation/reports/percent.js';
import { mcNemar } from '../../src/evaluation/verification/paired.js';
import { type ScoredPair, scoresByKind, verificationFigures } from '../../src/evaluation/verification/protocol.js';
import { drawPairs, tarOfDrawn } from '../../src/evaluation/verification/resampled-tar.js';

/** The goals of this project. */
const GOALS = parseGoals(
  JSON.parse(readFileSync(new URL('../../results/codecs/goals.json', import.meta.url), 'utf8')),
  'goals.json',
);

/** Pairs of ten folds, whose scores overlap more with more noise. Equal seeds give equal noise. */
function scores(noise: number, seed = 1): ScoredPair[] {
  const random = new CounterRandom(seed);
  return Array.from({ length: 600 }, (_, k) => {
    const same = k % 2 === 0;
    return { score: (same ? 0.6 : 0) + noise * random.normal(), same, fold: k % 10 };
  });
}

test('a paired bootstrap finds a better score, and no difference between equally good ones', () => {
  const [good, poor] = [scores(0.15), scores(0.25)];
  const better = pairedTar(good, poor);
  assert.ok(better.difference > 0.1 && better.low > 0 && better.high > better.difference, JSON.stringify(better));
  assert.ok(better.p <= 0.002);
  assert.ok(Math.abs(pairedTar(poor, good).difference + better.difference) < 1e-12);
  const equal = pairedTar(good, good);
  assert.equal([equal.difference, equal.low, equal.high, equal.p], [0, 0, 0, 1]);
  // The two are equally good but independent, so few differences should be significant.
  assert.ok(pairedTar(scores(0.2, 3), scores(0.2, 4)).p > 0.01);
  assert.throws(
    () => pairedTar(good, good.slice(1)),
    (error: Error) => error instanceof ArgumentError,
  );
});

function row(title: string, budget: number | null, noise: number, missing = 0): ComparisonRow {
  const pairs = scores(noise);
  const against = {
    accuracy: mcNemar([true, true, false], [true, false, false]),
    tar: pairedTar(scores(0.15), pairs),
    open: { difference: 1 / 3, low: -0.2, high: 0.5, p: 0.5 },
  };
  return {
    codec: title.toLowerCase(),
    title,
    version: '1',
    run: { commit: 'abc', date: '2026-01-01T00:00:00.000Z', device: 'adapter', command: 'cameo evaluate codecs' },
    budget,
    faces: 10,
    missing,
    bytes: missing === 10 ? Number.NaN : (budget ?? 32256) - 1,
    bpp: 0.2,
    psnr: 27.5,
    ssim: 0.81,
    psnrs: Array.from({ length: 10 }, (_, k) => 20 + k),
    verdicts:
      missing > 0
        ? []
        : [
            {
              recognizer: 'mobilefacenet-ms1m',
              mix: 'both',
              figures: verificationFigures(pairs),
              open: { impostors: 4321, threshold: 0.3, tar: 0.987, low: 0.95, high: 0.99 },
              scores: Float32Array.from(pairs, ({ score }) => score),
              ...(title === 'Cameo' || budget === null ? {} : { against }),
            },
          ],
  };
}

const REPORT: ComparisonReport = {
  command: 'cameo evaluate codecs',
  date: '2026-01-01T00:00:00.000Z',
  commit: 'abc',
  version: '0.0.0',
  runtime: 'Node',
  device: { vendor: 'v', architecture: 'a', device: 'd', description: 'adapter', kind: 'cpu' } as never,
  pairs: { count: 600, folds: 10, quick: false },
  embedding: 'of both',
  recognizers: [{ name: 'mobilefacenet-ms1m', id: '0123', seen: false }],
  model: { path: 'shipped', id: 'cafe', training: { seed: 1 } },
  setting: 'feed',
  besides: [{ name: 'mse', id: 'beef' }],
  conditions: [
    row('Uncompressed', null, 0.14),
    row('Cameo', 300, 0.15),
    row('JPEG', 300, 0.3, 10),
    row('WebP', 300, 0.25),
  ],
  groups: [],
};

test('the rate of resampled pairs is that of a list that has each pair as often as it was drawn', () => {
  const random = new CounterRandom(3);
  const kinds = scoresByKind(scores(0.25).map((pair) => ({ ...pair, score: Math.round(40 * pair.score) / 40 })));
  for (const far of [0, 0.01, 0.3]) {
    const tar = tarOfDrawn(kinds, far);
    for (let resample = 0; resample < 20; resample++) {
      const drawn = drawPairs(kinds, random);
      const listed = (scores: readonly number[], times: Uint16Array): number[] =>
        scores.flatMap((score, k) => new Array<number>(times[k]).fill(score));
      const [genuine, impostor] = (['genuine', 'impostor'] as const).map((kind) => listed(kinds[kind], drawn[kind]));
      assert.equal([genuine.length, impostor.length], [300, 300]);
      assert.is(tar(drawn), tarAtFar(genuine, impostor, far).tar);
    }
  }
});

test('a probability that underflows is shown as a bound, not as 0', () => {
  const n = 1200;
  const { p } = mcNemar(new Array(n).fill(true), new Array(n).fill(false));
  assert.is(probability(p), 'p < 1e-300');
  assert.is(probability(3.14e-8), 'p = 3.1e-8');
});

test('the report shows the figures, and where a codec makes no file', async () => {
  const plots = comparisonPlots(REPORT);
  assert.equal(
    [...plots.keys()],
    ['accuracy-mobilefacenet-ms1m.svg', 'tar-mobilefacenet-ms1m.svg', 'psnr.svg', 'ssim.svg'],
  );
  const markdown = comparisonMarkdown(REPORT, [...plots.keys()]);
  const cameoFigures = REPORT.conditions[1].verdicts[0].figures;
  assert.match(
    markdown,
    `${(100 * cameoFigures.accuracy).toFixed(2)} % ± ${(100 * cameoFigures.standardError).toFixed(2)}`,
  );
  assert.match(markdown, /these weights took no part in training/);
  assert.match(markdown, /Cameo better \/ worse/);
  const turned = { ...REPORT, reference: { codec: 'jpeg', title: 'JPEG' } };
  assert.match(comparisonMarkdown(turned, []), /JPEG better \/ worse: pairs that only JPEG,/);
  assert.match(markdown, /"mse" is model beef/);
  assert.not.match(markdown, /the autoencoder is model/);
  assert.match(
    comparisonMarkdown({ ...REPORT, autoencoder: 'f00d' }, []),
    /model cafe; the autoencoder is model f00d; "mse"/,
  );
  assert.match(markdown, /JPEG.*makes no file/);
  assert.match(markdown, /1 \/ 0, p = 5\.0e-1/);
  assert.match(markdown, /98\.7 % \(95\.0 % to 99\.0 %\) +\| 33\.3, 0\.500/);
  assert.match(markdown, /4,321 pairs/);
  const csv = comparisonCsv(REPORT).trim().split('\n');
  assert.is(csv.length, 1 + 4);
  for (const row of csv) assert.is(row.split(',').length, 25, row);
  const names = Array.from({ length: 10 }, (_, k) => `face ${k}`);
  const faces = names.map(() => new Uint8Array(96 * 112 * 3).fill(90));
  const samples = new Map<string, ({ size: number; rgb: Uint8Array } | null)[]>([
    ['Cameo', faces.map((rgb) => ({ size: 299, rgb }))],
    ['JPEG', faces.map(() => null)],
  ]);
  const html = await comparisonHtml(REPORT, plots, names, faces, samples, 300);
  for (const text of ['Best faces', 'Median faces', 'Worst faces', 'makes no file']) assert.match(html, text);
});

test('rows of an older version have no interval of TAR over all mismatched pairs', () => {
  const conditions = REPORT.conditions.map((row) => ({
    ...row,
    verdicts: row.verdicts.map(({ open: { low: _, high: __, ...open }, against, ...verdict }) => ({
      ...verdict,
      open,
      ...(against ? { against: { ...against, open: { difference: against.open.difference } } } : {}),
    })),
  }));
  const old = { ...REPORT, conditions };
  assert.match(comparisonMarkdown(old, []), /98\.7 % +\| 33\.3 +\|/);
  const [, , , , webp] = comparisonCsv(old).split('\n');
  assert.match(webp, /,0\.987,,,0\.33+,$/);
});

test('goals are judged by the rows, and are undecided if a row is missing', () => {
  const named = (codec: string, title: string, budget: number | null, noise: number, missing = 0): ComparisonRow => ({
    ...row(title, budget, noise, missing),
    codec,
  });
  const of = (conditions: ComparisonRow[], rest: Partial<ComparisonReport> = {}) =>
    new Map(goals({ ...REPORT, ...rest, conditions }, GOALS).map((goal) => [goal.what, goal]));
  const conditions = [
    named('uncompressed', 'Uncompressed', null, 0.14),
    named('cameo', 'Cameo', 250, 0.19),
    named('cameo', 'Cameo', 300, 0.15),
    named('jpeg', 'JPEG', 300, 0.3, 10),
    named('jpeg2000', 'JPEG2000', 500, 0.2),
    { ...named('cameo-png', 'PNG', 500, 0.2), bytes: 490, ownBytes: 300 },
  ];
  const found = of(conditions, { seconds: { budget: 500, encode: 0.2, decode: 0.4 } });
  const say = (what: string) => [...found].find(([name]) => name.startsWith(what))![1];
  // JPEG has no files. There is no row of Cameo at 500 bytes, and a goal without measurement is not reached.
  assert.is(say('against JPEG2000 and JPEG').reached, null);
  assert.is(
    say('against JPEG2000 and JPEG').found,
    'JPEG 300 B: no file for 10 of 10 faces; not in this comparison: jpeg2000 300 B, jpeg2000 400 B, jpeg 400 B, jpeg2000 500 B, jpeg 500 B',
  );
  const payloads = [named('avif-payload', 'AVIF, payload only', 300, 0.25), named('webp2', 'WebP 2', 300, 0.25)];
  const payload = (some: ComparisonRow[]) =>
    of([...conditions, ...some]).get('against AVIF payload and WebP2 at 300 B')!.reached;
  assert.equal([payload(payloads.slice(0, 1)), payload(payloads)], [null, true]);
  // A codec that was not measured has not lost.
  const alone = [named('avif', 'AVIF', 300, 0.3, 10), named('webp', 'WebP', 300, 0.3, 10)];
  assert.is(of(alone).get('against WebP and AVIF files at 300 and 400 B')!.reached, null);
  assert.is(of(alone).get('against WebP and AVIF files at 300 and 400 B')!.found, 'not in this comparison');
  assert.match(say('bytes needed').found, /with 250 B, 50 % fewer/);
  assert.is(say('bytes needed').reached, true);
  assert.is(say('our bitstream').reached, false);
  assert.match(say('our bitstream').found, /38\.8 % ✗/);
  assert.match(say('encode and decode').found, /200 \+ 400 ms/);
  assert.is(say('encode and decode').reached, false);
  for (const what of ['against WebP', 'against AVIF payload', 'accuracy lost against uncompressed at 500', 'jointly']) {
    assert.is(say(what).reached, null, what);
  }
  // McNemar's test of one pair decides nothing. A part that falls short decides a goal, even if AVIF is absent.
  const webp = of([...conditions, named('webp', 'WebP', 300, 0.25)]);
  assert.is(webp.get('against WebP and AVIF files at 300 and 400 B')!.reached, false);
  // TAR is judged by the pairs of View 2, not by the wider count of the fixture, whose p is 0.5.
  const mse = of([...conditions, named('cameo-mse', 'Cameo, mse', 300, 0.25)]);
  const jointly = [...mse.values()].find(({ what }) => what.startsWith('jointly'))!;
  assert.is(jointly.reached, true);
  assert.match(
    jointly.found,
    /300 B, mobilefacenet-ms1m: \+[\d.]+ points, p = 0\.002; by all mismatched pairs \+33\.3 points, p = 0\.500$/,
  );
  // A recogniser that was part of training decides nothing.
  const recognizers = REPORT.recognizers.map((one) => ({ ...one, seen: true }));
  assert.is(of(conditions, { recognizers }).get("bytes needed for JPEG2000's accuracy at 500 B")!.reached, null);
});

test('goals in a file are checked, and the report shows them only if they are given', () => {
  const [goal] = GOALS;
  const refused = (list: unknown, message: RegExp): void => {
    assert.throws(
      () => parseGoals(list, 'g.json'),
      (error: Error) => error instanceof ArgumentError && message.test(error.message),
    );
  };
  refused({}, /^g.json: expected a list of goals$/);
  refused([goal, 3], /^g.json, goal 2: expected an object$/);
  refused([{ ...goal, what: '' }], /goal 1: what is ""; expected a text$/);
  refused([{ ...goal, kind: 'toString' }], /goal 1: kind is "toString"; expected accuracy, lost, bytes, /);
  refused([{ ...goal, budgets: [300.5] }], /goal 1: budgets is \[300.5\]; expected a list of bytes a face$/);
  refused([{ ...goal, wanted: undefined }], /goal 1: wanted is missing; expected "higher" or "no lower"$/);
  refused([{ ...goal, budget: 3 }], /goal 1: there is no field "budget" in a goal of kind "accuracy"$/);
  refused([{ what: 'x', kind: 'container', fewer: 40 }], /goal 1: fewer is 40; expected a share between 0 and 1$/);
  assert.not.match(comparisonMarkdown(REPORT, []), /Figures to reach/);
  assert.match(comparisonMarkdown({ ...REPORT, goals: GOALS }, []), /Figures to reach[\s\S]*against JPEG2000 and JPEG/);
});

test('accuracy may fall by exactly the allowed amount', () => {
  const at = (accuracy: number, one: ComparisonRow): ComparisonRow => ({
    ...one,
    verdicts: one.verdicts.map((verdict) => ({ ...verdict, figures: { ...verdict.figures, accuracy } })),
  });
  for (const [accuracy, reached] of [
    [595 / 600, true],
    [594 / 600, false],
  ] as const) {
    const conditions = [
      at(598 / 600, { ...row('Uncompressed', null, 0.14), codec: 'uncompressed' }),
      at(accuracy, row('Cameo', 500, 0.15)),
    ];
    const lost = goals({ ...REPORT, conditions }, GOALS).find(
      ({ what }) => what.endsWith('at 500 B') && what.includes('lost'),
    )!;
    assert.is(lost.reached, reached, lost.found);
  }
});

test('the report shows groups side by side', () => {
  const service = {
    budget: 300,
    recognizer: 'r',
    faces: 60,
    psnr: 27,
    ssim: 0.8,
    similarity: 0.9,
    similarityError: 0.01,
  };
  const groups = ['Cameo', 'WebP'].flatMap((title) =>
    ['f asian', 'm black'].map((group) => ({ ...service, codec: title, title, group })),
  );
  const markdown = comparisonMarkdown({ ...REPORT, groups }, []);
  assert.match(markdown, /\| f asian \| +60 \| +27\.00 \|/);
  assert.match(markdown, /error rates by group are not known/);
});

test.run();
