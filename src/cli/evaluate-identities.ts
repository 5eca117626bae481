import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { ArgumentError } from '../common/errors.js';
import type { FaceEntry, Split } from '../data/faces/face-listing.js';
import { openFaceFolder } from '../data/faces/face-set.js';
import { checkTarget, writeFileAtomic } from '../data/files/atomic-file.js';
import { cosineSimilarity, type OperatingPoint, tarAtFar } from '../evaluation/metrics/verification.js';
import { runMetadata } from '../evaluation/reports/collect-metadata.js';
import { gitCommit } from '../evaluation/reports/git-commit.js';
import { percent } from '../evaluation/reports/percent.js';
import { listLines, metadataTexts, type RunMetadata } from '../evaluation/reports/run-metadata.js';
import { markdownTable, textTable } from '../evaluation/reports/tables.js';
import { embedPictures } from '../evaluation/verification/embed-pictures.js';
import { FaceFinder } from './face-finder.js';
import { DETECTOR_HELP } from './face-options.js';
import { noteOwn } from './note-own.js';
import { Outputs } from './outputs.js';
import { cacheFile, dataFolder } from './places.js';
import { startProgress } from './progress.js';
import { print, say } from './terminal.js';
import { readThresholds, saveThresholds, thresholdsPath } from './thresholds.js';
import { RECOGNIZER_HELP, recognizerFor, withRecognizer } from './with-recognizer.js';

const FARS = [1e-1, 1e-2, 1e-3, 1e-4];
/** With fewer genuine pairs, a group is left out. */
const MIN_PAIRS = 30;

interface IdentitiesOptions {
  data?: string;
  split: Split;
  sources?: string;
  model: string;
  single?: boolean;
  detector?: string;
  out: string;
  saveThresholds?: boolean;
}

/** Adds `identities` to `cameo evaluate`. */
export function addEvaluateIdentities(evaluate: Command): void {
  evaluate
    .command('identities')
    .description('compare every two faces of a folder by identity: TAR and thresholds at several FARs')
    .option(
      '--data <dir>',
      'folder of aligned 96×112 faces with identities, or of photographs, whose largest face counts (default: CAMEO_DATA, else ../shared/data)',
    )
    .addOption(new Option('--split <name>', 'part of the set').choices(['train', 'val', 'test']).default('val'))
    .option('--sources <names>', 'use only these sources of the manifest, separated by commas')
    .requiredOption('--model <name>', RECOGNIZER_HELP)
    .option('--single', 'embed the picture alone, without its mirror image')
    .option('--detector <file>', DETECTOR_HELP)
    .option('--save-thresholds', 'save the thresholds beside the models, for `cameo verify`; not with split test')
    .option('-o, --out <dir>', 'folder for identities-MODEL-SPLIT.json and .md (with --single: -single)', 'results')
    .action(run);
}

/** Pairs of one group of people, by sex or race, or of all people. */
interface Group {
  name: string;
  genuine: number[];
  impostor: number[];
}

function pairGroups(entries: readonly FaceEntry[], rows: readonly Float32Array[]): Group[] {
  const groups = new Map<string, Group>();
  const add = (name: string, same: boolean, score: number): void => {
    const group = groups.get(name) ?? { name, genuine: [], impostor: [] };
    groups.set(name, group);
    (same ? group.genuine : group.impostor).push(score);
  };
  for (let a = 0; a < rows.length; a++) {
    for (let b = a + 1; b < rows.length; b++) {
      const [one, other] = [entries[a], entries[b]];
      const same = one.identity === other.identity;
      const score = cosineSimilarity(rows[a], rows[b]);
      add('all', same, score);
      for (const key of ['source', 'sex', 'race'] as const) {
        if (one[key] !== '' && one[key] === other[key]) add(`${key} ${one[key]}`, same, score);
      }
    }
  }
  return [...groups.values()].filter((g) => g.genuine.length >= MIN_PAIRS && g.impostor.length >= MIN_PAIRS);
}

/** @throws ArgumentError if there is nothing to compare */
function checkPairs(entries: readonly FaceEntry[], split: Split): void {
  const sizes = new Map<string, number>();
  for (const { identity } of entries) sizes.set(identity, (sizes.get(identity) ?? 0) + 1);
  const pairs = (count: number): number => (count * (count - 1)) / 2;
  const genuine = [...sizes.values()].reduce((sum, count) => sum + pairs(count), 0);
  if (genuine >= MIN_PAIRS && pairs(entries.length) - genuine >= MIN_PAIRS) return;
  throw new ArgumentError(`split ${split}: fewer than ${MIN_PAIRS} genuine or impostor pairs; nothing to compare`);
}

/** One wanted FAR, and what was reached at it. */
type Point = OperatingPoint & { wanted: number };

/** The results of a group of pairs. */
interface GroupResult {
  name: string;
  /** Pairs. */
  genuine: number;
  impostor: number;
  points: Point[];
}

interface IdentitiesReport extends RunMetadata {
  model: { name: string; id: string; embedding: 'single' | 'flip' };
  data: { split: IdentitiesOptions['split']; faces: number; identities: number };
  groups: GroupResult[];
}

async function run(options: IdentitiesOptions): Promise<void> {
  if (options.saveThresholds && options.split === 'test') {
    throw new ArgumentError('--save-thresholds: thresholds must not be chosen on split test; use val or train');
  }
  if (options.saveThresholds) await readThresholds(); // a file that cannot be extended is reported now, not at the end
  const finder = await FaceFinder.forFolder(options.detector);
  const set = await openFaceFolder(dataFolder(options.data), {
    split: options.split,
    sources: options.sources?.split(','),
    align: finder.aligner(),
  });
  noteOwn(set);
  const indices = (await set.readable().finally(() => finder.close())).filter(
    (index) => set.entries[index].identity !== '',
  );
  const entries = indices.map((index) => set.entries[index]);
  checkPairs(entries, options.split);
  const opened = await recognizerFor(options.model, options.data);
  const outputs = await Outputs.in(options.out);
  const base = `identities-${opened.name}-${options.split}${options.single ? '-single' : ''}`;
  await outputs.reserve([`${base}.json`, `${base}.md`], [options.model]);
  if (options.saveThresholds) await checkTarget(thresholdsPath());
  const commit = gitCommit(); // at the start, because files may change while the program runs
  await withRecognizer(opened, async (gpu) => {
    const pictures = await Promise.all(
      indices.map(async (index) => {
        const { path } = set.entries[index];
        return set.packed || set.wasFound(index)
          ? { name: path, face: await set.face(index) }
          : { name: path, path: join(set.root, path) };
      }),
    );
    const bar = startProgress(pictures.length, 'faces');
    const embeddings = await embedPictures(gpu, opened, pictures, {
      flip: !options.single,
      cache: cacheFile('embeddings', `${opened.modelId}.safetensors`),
      onProgress: (done) => bar.update(done),
    }).finally(bar.stop);
    const groups = pairGroups(
      entries,
      entries.map(({ path }) => embeddings.get(path)!),
    );
    const results: GroupResult[] = groups.map(({ name, genuine, impostor }) => ({
      name,
      genuine: genuine.length,
      impostor: impostor.length,
      points: FARS.map((far) => ({ wanted: far, ...tarAtFar(genuine, impostor, far) })),
    }));
    const report: IdentitiesReport = {
      ...runMetadata(gpu.description, commit),
      model: { name: opened.name, id: opened.modelId, embedding: options.single ? 'single' : 'flip' },
      data: { split: options.split, faces: entries.length, identities: new Set(entries.map((e) => e.identity)).size },
      groups: results,
    };
    await writeReport(join(options.out, base), report, results);
    if (options.saveThresholds) await keepThresholds(report, results[0]);
  });
}

/** Writes the report as PATH.json and PATH.md, and prints its table. */
async function writeReport(path: string, report: IdentitiesReport, results: readonly GroupResult[]): Promise<void> {
  const { model, data } = report;
  const table = {
    title: `Pairs of split ${data.split}`,
    columns: ['Group', 'Genuine', 'Impostor', ...FARS.map((far) => `TAR at FAR ${far}`), 'Threshold at 0.001'],
    rows: results.map(({ name, genuine, impostor, points }) => [
      name,
      genuine,
      impostor,
      ...points.map(({ tar }) => percent(tar, 1)),
      points[2].threshold.toFixed(4),
    ]),
    note: 'Thresholds of each group are its own. A FAR below one over the number of impostor pairs means none was accepted.',
  };
  const metadata = [
    `${data.faces} faces of ${data.identities} identities`,
    `Recogniser: ${model.name} (weights ${model.id}), ${model.embedding === 'single' ? 'the picture alone' : 'the picture and its mirror image'}`,
    ...metadataTexts(report),
  ];
  await writeFileAtomic(`${path}.json`, `${JSON.stringify(report, null, 2)}\n`);
  await writeFileAtomic(
    `${path}.md`,
    `# ${model.name} on held-out identities\n\n${listLines(metadata)}\n\n${markdownTable(table)}\n`,
  );
  print(textTable(table));
}

/** Keeps the thresholds of all pairs for `cameo verify`. */
async function keepThresholds(
  { model, command }: IdentitiesReport,
  { genuine, impostor, points }: GroupResult,
): Promise<void> {
  await saveThresholds(model.id, {
    name: model.name,
    embedding: model.embedding,
    thresholds: Object.fromEntries(points.map(({ wanted, threshold }) => [String(wanted), threshold])),
    pairs: { genuine, impostor, tar: Object.fromEntries(points.map(({ wanted, tar }) => [String(wanted), tar])) },
    command,
  });
  say(`thresholds for cameo verify: ${thresholdsPath()}`);
}
