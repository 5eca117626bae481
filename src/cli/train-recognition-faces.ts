import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { type FaceSet, openFaceFolder } from '../data/faces/face-set.js';
import { ensureFolder, writeFileAtomic } from '../data/files/atomic-file.js';
import { readTextIfThere } from '../data/files/read-file.js';
import { commandLine } from '../evaluation/reports/collect-metadata.js';
import { gitCommit } from '../evaluation/reports/git-commit.js';
import { markdownTable } from '../evaluation/reports/tables.js';
import { LazyDevice } from '../gpu/device-source.js';
import {
  doubtfulPeople,
  findOverlaps,
  type GatherProgress,
  type Overlap,
  packOriginals,
  packWithout,
} from '../training/gather-faces.js';
import { openDevice } from './device.js';
import { lfwPerson, openLfwFaces } from './lfw-faces.js';
import { integer, number, share } from './numbers.js';
import { claimFile, Outputs } from './outputs.js';
import { dataFolder, embeddingsFile, recognizerPlaces } from './places.js';
import { startStages } from './progress.js';
import { note, print } from './terminal.js';

interface FacesOptions {
  data?: string;
  teacher: string;
  leastScore: number;
  doubtful: number;
  compare: string;
  facesEach: number;
  report?: string;
  out: string;
}

/** Adds `recognition-faces` to `cameo train`. */
export function addTrainRecognitionFaces(train: Command): void {
  train
    .command('recognition-faces')
    .description('gather the faces for training a recogniser into one pack of pixels')
    .option(
      '--data <dir>',
      'folder of data sets: faces, photos, profiles, lfw (default: CAMEO_DATA, else ../shared/data)',
    )
    .option('--teacher <name>', 'the recogniser that compares persons', 'mobilefacenet-casia')
    .option('--least-score <x>', 'minimum score of a face in a photograph', share, 0.8)
    .option(
      '--compare <sources>',
      'sources whose persons are compared with those of LFW',
      'pins,glint24,photos,profiles',
    )
    .option('--faces-each <n>', 'number of faces of a person to compare', integer(1, 1000), 3)
    .option(
      '--doubtful <x>',
      'persons whose mean embeddings have at least this cosine may be the same, and are left out',
      number,
      0.55,
    )
    .option('--report <file>', 'Markdown report of what was compared and left out')
    .option(
      '-o, --out <dir>',
      'folder for the packs: originals, which later runs use again, and faces, without doubtful persons',
      'out/recognizer',
    )
    .addHelpText(
      'after',
      '\nExample: cameo train recognition-faces -o out/recognizer\nThen: cameo train recognition --data out/recognizer/faces',
    )
    .action(run);
}

async function run(options: FacesOptions): Promise<void> {
  const data = dataFolder(options.data);
  const teacher = await readRecognizerOf(options.teacher, recognizerPlaces(data));
  const lists = await openLfwFaces(join(data, 'lfw'));
  await Outputs.in(options.out);
  if (options.report) await claimFile(options.report, [options.teacher]);
  const commit = gitCommit();
  const device = new LazyDevice(openDevice);
  const stages = startStages();
  try {
    const originals = await originalsOf(options, data, stages.update);
    const lfw = await lists.crops(
      (done, total) => stages.update('faces of LFW', done, total),
      (names) => [...new Map(names.map((name) => [lfwPerson(name), name])).values()],
    );
    const excluded = { title: 'LFW', names: [...lfw.keys()].map(lfwPerson), pixels: [...lfw.values()] };
    const { facesEach, doubtful } = options;
    const sources = options.compare.split(',');
    const cache = embeddingsFile(teacher.modelId);
    const compared = { sources, facesEach, excluded };
    const gpu = await device.open();
    teacher.load(gpu);
    const overlaps = await findOverlaps(gpu, teacher, cache, originals, compared, stages.update);
    const people = doubtfulPeople(overlaps, doubtful);
    const { kept, leftOut } = await packWithout(originals, new Set(people.keys()), join(options.out, 'faces'));
    stages.stop();
    const pack = await openFaceFolder(join(options.out, 'faces'));
    const metadata = [
      `- Command: \`${commandLine()}\`, commit ${commit ?? 'unknown'}, ${new Date().toISOString()}`,
      `- Device: ${gpu.description.description} (${gpu.description.kind})`,
      `- Teacher ${teacher.name} (weights ${teacher.modelId}); the mean of up to ${facesEach} faces a person; of LFW one picture a person of View 2`,
      `- ${kept} faces in the pack; ${people.size} persons left out, and ${leftOut} faces of them`,
    ];
    if (options.report) await writeFileAtomic(options.report, reportText(metadata, pack, overlaps, people, doubtful));
    print(metadata.join('\n'));
  } finally {
    stages.stop();
    teacher.dispose();
    await device.close();
  }
}

/** A pack that an earlier run has finished is used again. */
const isPack = (folder: string): boolean => existsSync(join(folder, 'manifest.tsv'));

async function originalsOf(options: FacesOptions, data: string, onProgress: GatherProgress): Promise<FaceSet> {
  const folder = join(options.out, 'originals');
  const settings = `${JSON.stringify({ data: resolve(data), leastScore: options.leastScore })}\n`;
  if (isPack(folder)) await checkOriginals(folder, settings);
  else {
    await ensureFolder(folder);
    await writeFileAtomic(join(folder, SETTINGS), settings); // before the pack, so that no pack is without them
    const leftOut = await packOriginals(data, folder, options.leastScore, onProgress);
    const lines = leftOut.map(({ path, reason }) => `${path}\t${reason}\n`);
    await writeFileAtomic(join(folder, 'left-out.tsv'), lines.join(''));
  }
  return openFaceFolder(folder);
}

/** What the originals of a folder were made from. */
const SETTINGS = 'settings.json';

/** @throws ArgumentError for originals of other faces */
async function checkOriginals(folder: string, settings: string): Promise<void> {
  const made = await readTextIfThere(join(folder, SETTINGS));
  if (made === undefined)
    note(`${folder} is used again; it does not say which --data and --least-score it was made with`);
  else if (made !== settings) {
    throw new ArgumentError(
      `${folder} was made with ${made.trim()}, this is ${settings.trim()}: remove it, or choose another --out`,
    );
  }
}

function reportText(
  metadata: readonly string[],
  pack: FaceSet,
  overlaps: readonly Overlap[],
  people: ReadonlyMap<string, string>,
  doubtful: number,
): string {
  const sources = [...new Set(pack.entries.map(({ source }) => source))];
  const counts = sources.map((source) => {
    const own = pack.entries.filter((entry) => entry.source === source);
    const persons = new Set(own.map(({ identity }) => identity).filter((identity) => identity !== ''));
    const bySplit = ['train', 'val', 'test'].map((split) => own.filter((entry) => entry.split === split).length);
    return [source, persons.size, ...bySplit];
  });
  const contents = { title: 'Faces', columns: ['Source', 'Persons', 'train', 'val', 'test'], rows: counts };
  const compared = {
    title: 'Persons compared',
    columns: ['Compared', 'Persons', 'with persons', 'the five highest cosines', `at least ${doubtful}`],
    rows: overlaps.map(({ title, people: own, others, matches }) => [
      title,
      own,
      others,
      matches
        .slice(0, 5)
        .map(({ cosine }) => cosine.toFixed(2))
        .join(' '),
      matches.filter(({ cosine }) => cosine >= doubtful).length,
    ]),
    note: 'Of each person the most alike other one.',
  };
  const list = [...people].sort().map(([identity, reason]) => `- ${identity} (${reason})`);
  const left = `## Persons left out\n\n${list.length > 0 ? list.join('\n') : 'None.'}`;
  return `# Faces to train a recogniser on\n\n${metadata.join('\n')}\n\n${markdownTable(contents)}\n\n${markdownTable(compared)}\n\n${left}\n`;
}
