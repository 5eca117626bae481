import { readFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { integer } from '../src/cli/numbers.js';
import { dataFolder } from '../src/cli/places.js';
import { parseLandmarkLines, parsePairs } from '../src/data/faces/lfw.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { readImage } from '../src/data/pictures/image.js';
import { FaceDetector } from '../src/detection/index.js';
import { landmarkError } from '../src/evaluation/metrics/landmarks.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { deviceText, programText, type RunMetadata } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * npx tsx bench/detection.ts: finds the faces of LFW with the published weights of MTCNN, compares their landmarks with the given
 * ones, and writes results/detection-mtcnn.json and .md. All pictures of View 2 take some 20 minutes on two cores; --pictures N
 * takes N of them at even distances.
 */

/** A face counts as found if the mean distance of its landmarks from the given ones is at most this fraction of the distance of the eyes. */
const FOUND = 0.25;

interface Picture {
  name: string;
  /** Landmark error of the face nearest to the given landmarks; null where no face is near enough. */
  error: number | null;
  faces: number;
  milliseconds: number;
}

interface Result {
  run: RunMetadata;
  processors: number;
  load: number;
  minFace: number;
  /** Number of pictures in View 2. */
  all: number;
  /** The pictures that were searched. */
  pictures: Picture[];
}

async function measure(data: string, count: number, minFace: number): Promise<Result> {
  const lfw = join(data, 'lfw');
  const given = parseLandmarkLines(await readFile(join(lfw, 'landmarks.txt'), 'utf8'));
  const { pairs } = parsePairs(await readFile(join(lfw, 'pairs.txt'), 'utf8'));
  const all = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))].sort();
  const wanted = Math.min(count, all.length);
  const names = Array.from({ length: wanted }, (_, k) => all[Math.floor((k * all.length) / wanted)]);
  const gpu = await openGpu();
  const command = `npx tsx bench/detection.ts ${process.argv.slice(2).join(' ')}`.trim();
  const run = { ...runMetadata(gpu.description), command };
  const detector = FaceDetector.fromWeights(gpu, await readFile(join(data, 'weights/mtcnn.safetensors')));
  const pictures: Picture[] = [];
  // The first picture of a size compiles kernels.
  await detector.detect(await readImage(join(lfw, 'images', names[0])), { minFace });
  for (const name of names) {
    const picture = await readImage(join(lfw, 'images', name));
    const start = performance.now();
    const faces = await detector.detect(picture, { minFace });
    const milliseconds = performance.now() - start;
    const error = Math.min(...faces.map(({ landmarks }) => landmarkError(landmarks, given.get(name)!)));
    pictures.push({ name, error: error <= FOUND ? error : null, faces: faces.length, milliseconds });
    if (pictures.length % 100 === 0) console.log(`${pictures.length} of ${names.length}`);
  }
  detector.dispose();
  gpu.destroy();
  return { run, processors: availableParallelism(), load: loadavg()[2], minFace, all: all.length, pictures };
}

/** The value below which the fraction `part` of the sorted values lies. */
const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];

function report({ run, processors, load, minFace, all, pictures }: Result): string {
  const errors = pictures.flatMap(({ error }) => error ?? []).sort((a, b) => a - b);
  const times = pictures.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
  const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;
  const missed = pictures.filter(({ error }) => error === null).map(({ name }) => name);
  const more = pictures.reduce((sum, { faces, error }) => sum + faces - (error === null ? 0 : 1), 0);
  return [
    '# MTCNN with published weights on LFW',
    `\`${run.command}\`, ${run.date}, ${programText(run)}, on ${deviceText(run)}, ${processors} processors, ` +
      `load average ${load.toFixed(1)}.`,
    `${pictures.length} of the ${all} pictures of View 2 (250×250), ${pictures.length < all ? 'taken at even distances' : 'all of them'}; ` +
      `faces from ${minFace} pixels. A face counts as found if the mean distance of its five landmarks from the given ones is at ` +
      `most ${FOUND} of the distance of the eyes. The landmarks given are whole numbers, set by another program.`,
    markdownTable({
      title: '',
      columns: ['', ''],
      rows: [
        ['found', `${errors.length} of ${pictures.length}, ${percent(errors.length / pictures.length)}`],
        ['error of the landmarks, mean (NME)', percent(errors.reduce((a, b) => a + b, 0) / errors.length)],
        ['median', percent(quantile(errors, 0.5))],
        ['95th percentile', percent(quantile(errors, 0.95))],
        ['largest', percent(errors[errors.length - 1])],
        ['other faces found, people in the background or false', more],
        ['time per picture, median', `${quantile(times, 0.5).toFixed(0)} ms`],
        ['the fastest tenth', `${quantile(times, 0.1).toFixed(0)} ms`],
      ],
      note: missed.length > 0 ? `Not found: ${missed.join(', ')}` : undefined,
    }),
  ].join('\n\n');
}

const program = new Command('detection')
  .description("Recall, landmarks and time of MTCNN's published weights on LFW")
  .option('--data <dir>', 'folder of data sets', resolve(dataFolder()))
  .option('--pictures <n>', 'how many pictures; default: all', integer(1), Number.MAX_SAFE_INTEGER)
  .option('--min-face <n>', 'smallest face in pixels', integer(12), 20)
  .option('--out <dir>', 'where to write the results', 'results');
const { data, pictures, minFace, out } = program
  .parse()
  .opts<{ data: string; pictures: number; minFace: number; out: string }>();
const result = await measure(data, pictures, minFace);
await writeFileAtomic(join(out, 'detection-mtcnn.json'), `${JSON.stringify(result, null, 1)}\n`);
await writeFileAtomic(join(out, 'detection-mtcnn.md'), `${report(result)}\n`);
console.log(report(result));
