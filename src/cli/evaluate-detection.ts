import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { basename, join } from 'node:path';
import { type Command, Option } from 'commander';
import { ArgumentError, ImageError } from '../common/errors.js';
import type { Split, Unreadable } from '../data/faces/face-listing.js';
import { readPhotos } from '../data/faces/photo-folder.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { writePng } from '../data/pictures/image.js';
import type { DetectOptions, FaceDetector } from '../detection/face-detector.js';
import {
  DETECTION_SETS,
  type DetectionSet,
  lfwFaces,
  photoPictures,
  photosOfSplit,
  type SetPicture,
} from '../evaluation/quality/detection-sets.js';
import {
  COUNTING,
  type DetectionResult,
  detectionFigures,
  measurePicture,
} from '../evaluation/quality/measure-detection.js';
import { runMetadata } from '../evaluation/reports/collect-metadata.js';
import {
  type DetectionReport,
  detectionReportMarkdown,
  detectionTable,
  type PoorPicture,
  sheetOfWorst,
} from '../evaluation/reports/detection-report.js';
import { textTable } from '../evaluation/reports/tables.js';
import { complain } from './complain.js';
import { detectorOf, readDetector } from './detector-file.js';
import { openDevice } from './device.js';
import { addJson, beginJson, JSON_HELP } from './json-output.js';
import { integer, share } from './numbers.js';
import { claimFile, Outputs } from './outputs.js';
import { dataFolder } from './places.js';
import { startProgress } from './progress.js';
import { print, say } from './terminal.js';

interface EvaluateDetectionOptions {
  data?: string;
  split: Split;
  sets: string;
  limit: number;
  detector?: string;
  minFace?: number;
  threshold?: number;
  name: string;
  worst?: string;
  json?: boolean;
  out: string;
}

/** Adds `detection` to `cameo evaluate`. */
export function addEvaluateDetection(evaluate: Command): void {
  evaluate
    .command('detection')
    .description('recall, precision, landmarks and time of a face detector on photographs whose faces are known')
    .option(
      '--data <dir>',
      'folder with photos/ (or a manifest.tsv of its own) and lfw/ (default: CAMEO_DATA, else ../shared/data)',
    )
    .addOption(
      new Option('--split <name>', 'photographs of which part').choices(['train', 'val', 'test']).default('val'),
    )
    .option(
      '--sets <names>',
      `what is looked at, separated by commas: ${DETECTION_SETS.join(', ')}; variants are photographs turned, darkened, reduced or painted over`,
      DETECTION_SETS.join(','),
    )
    .option('--limit <n>', 'at most so many pictures of photos and of lfw, spread evenly', integer(1), 1_000_000)
    .option(
      '--detector <file>',
      'weights of the face detector: safetensors, or FILE.onnx, see docs/onnx.md (default: CAMEO_DETECTOR, else the shipped detector)',
    )
    .option('--min-face <pixels>', 'side of the smallest face that is looked for', integer(12, 100_000))
    .option('--threshold <x>', 'score that a face needs, from 0 to 1', share)
    .option('--worst <file>', 'PNG with the pictures in which most went wrong; it shows what the pictures show')
    .option('--name <name>', 'what the files that it writes are called', 'detection')
    .option('--json', JSON_HELP)
    .option('-o, --out <dir>', 'folder for NAME.json and .md', 'results')
    .addHelpText(
      'after',
      '\nExample:\n  cameo evaluate detection --split test --sets photos,variants --worst out/worst.png\nKeys of --json: report, as NAME.json has it',
    )
    .action(run);
}

/** @throws ArgumentError for a name that is none */
function chosenSets(text: string): Set<DetectionSet> {
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) {
    if (!(DETECTION_SETS as readonly string[]).includes(name)) {
      throw new ArgumentError(`--sets: "${name}" is none; expected some of ${DETECTION_SETS.join(', ')}`);
    }
  }
  return new Set(names as DetectionSet[]);
}

/** Pictures of all sets, one after the other, and how many files they come from. */
async function picturesOf(
  { data: given, split, limit }: EvaluateDetectionOptions,
  sets: ReadonlySet<DetectionSet>,
  leftOut: (photo: Unreadable) => void,
): Promise<{ files: number; pictures: AsyncGenerator<SetPicture> }> {
  const data = dataFolder(given);
  const folder = existsSync(join(data, 'photos')) ? join(data, 'photos') : data;
  const wanted = new Set([...sets].filter((set) => set !== 'lfw'));
  const photos = wanted.size > 0 ? await photosOfSplit(folder, split, limit) : [];
  if (wanted.size > 0 && photos.length === 0) throw new ArgumentError(`${folder}: no photographs of split ${split}`);
  const faces = sets.has('lfw') ? await lfwFaces(join(data, 'lfw'), limit) : [];
  async function* pictures(): AsyncGenerator<SetPicture> {
    yield* photoPictures(folder, photos, wanted, leftOut);
    for await (const { photo, image } of readPhotos(join(data, 'lfw', 'images'), faces, leftOut)) {
      yield { row: 'LFW, View 2', name: photo.path, image, known: photo.landmarks };
    }
  }
  return { files: photos.length + faces.length, pictures: pictures() };
}

async function run(options: EvaluateDetectionOptions): Promise<void> {
  if (options.json) beginJson('evaluate detection');
  const { name, out, worst, minFace, threshold } = options;
  const sets = chosenSets(options.sets);
  const file = await readDetector(options.detector);
  const { path, bytes } = file;
  const leftOut = ({ path: photo, reason }: Unreadable): void => complain(new ImageError(reason), photo);
  const { files, pictures } = await picturesOf(options, sets, leftOut);
  const outputs = await Outputs.in(out);
  await outputs.reserve([`${name}.json`, `${name}.md`], [options.detector]);
  if (worst !== undefined) await claimFile(worst, [options.detector]);
  const gpu = await openDevice();
  const metadata = runMetadata(gpu.description);
  try {
    const detector = detectorOf(gpu, file);
    const asked = { minFace, threshold };
    const measured = await measure(detector, pictures, files, asked, worst !== undefined);
    detector.dispose();
    const report: DetectionReport = {
      ...metadata,
      detector: { file: basename(path), id: createHash('sha256').update(bytes).digest('hex').slice(0, 16) },
      options: { minFace: minFace ?? null, threshold: threshold ?? null },
      split: options.split,
      counting: COUNTING,
      processors: availableParallelism(),
      load: loadavg()[1],
      figures: [...measured.rows].map(([row, results]) => detectionFigures(row, results)),
    };
    await writeFileAtomic(join(out, `${name}.md`), detectionReportMarkdown(report));
    await writeFileAtomic(join(out, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
    const sheet = sheetOfWorst(measured.worst, 'Worst first');
    if (worst !== undefined && sheet) await writePng(worst, sheet, 'contact sheet of detected faces');
    if (!addJson({ report })) print(`\n${textTable(detectionTable(report))}\n`);
    for (const extension of ['md', 'json']) say(join(out, `${name}.${extension}`));
  } finally {
    gpu.destroy();
  }
}

/** What networks need for pictures of all sizes, so that it is no picture's time. */
async function compileKernels(detector: FaceDetector): Promise<void> {
  for (const side of [128, 256, 512]) {
    await detector.detect({ width: side, height: side, data: new Uint8Array(3 * side * side) });
  }
}

/** Pictures on the sheet of the worst. */
const WORST = 48;

async function measure(
  detector: FaceDetector,
  pictures: AsyncGenerator<SetPicture>,
  files: number,
  options: DetectOptions,
  keepWorst: boolean,
): Promise<{ rows: Map<string, DetectionResult[]>; worst: PoorPicture[] }> {
  const rows = new Map<string, DetectionResult[]>();
  let worst: PoorPicture[] = [];
  await compileKernels(detector);
  const bar = startProgress(files, 'pictures');
  const seen = new Set<string>();
  try {
    for await (const picture of pictures) {
      const { image, name, row } = picture;
      const { result, detected } = await measurePicture(detector, picture, options);
      rows.set(row, [...(rows.get(row) ?? []), result]);
      const badness = result.faces - result.found + result.wrong + Math.max(0, ...result.errors);
      if (keepWorst && badness > 0.15) {
        worst = [...worst, { name: `${row} ${name}`, image, detected, badness }];
        worst = worst.sort((a, b) => b.badness - a.badness).slice(0, WORST);
      }
      bar.update(seen.add(name).size);
    }
  } finally {
    bar.stop();
  }
  return { rows, worst };
}
