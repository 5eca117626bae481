import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command } from 'commander';
import { integer } from '../src/cli/numbers.js';
import { ensureFolder, writeFileAtomic } from '../src/data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { type RgbImage, readImage } from '../src/data/pictures/image.js';
import sharp from '../src/data/pictures/sharp.js';
import { FaceDetector } from '../src/detection/index.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { deviceText, programText, type RunMetadata } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { adapterName } from '../src/gpu/description.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * npx tsx bench/detection-time.ts: measures how long the shipped detector takes for a picture of 640×480 once its kernels are compiled,
 * and how much memory it takes to read a picture of 108 megapixels and find its faces. The pictures are the six photographs of npm
 * @vladmandic/face-api. It writes results/detection-time.json and .md; rows of other adapters in them stay (CAMEO_ADAPTER chooses one).
 */

const PHOTOS = join(PACKAGE_ROOT, 'node_modules/@vladmandic/face-api/demo');
const DETECTOR = join(PACKAGE_ROOT, 'models/face-detector.safetensors');
const SIZE = { width: 640, height: 480 };
const LARGE = { width: 12_000, height: 9000 };

interface Times {
  run: RunMetadata;
  processors: number;
  load: number;
  /** The time of each picture in each round. */
  milliseconds: number[];
  faces: number;
}

interface Peak {
  file: string;
  /** Largest resident memory of the whole process. */
  megabytes: number;
  seconds: number;
  faces: number;
}

interface Result {
  adapters: Record<string, Times>;
  large: { run: RunMetadata; pictures: Peak[] };
}

const photo = (k: number): string => join(PHOTOS, `sample${k}.jpg`);

/** The photographs, scaled and cropped at the centre to 640×480. */
async function smallPictures(): Promise<RgbImage[]> {
  return Promise.all(
    [1, 2, 3, 4, 5, 6].map(async (k) =>
      readImage(
        await sharp(await readFile(photo(k)))
          .resize(SIZE)
          .png()
          .toBuffer(),
      ),
    ),
  );
}

async function timesOf(detector: FaceDetector, rounds: number): Promise<Pick<Times, 'milliseconds' | 'faces'>> {
  const pictures = await smallPictures();
  let faces = 0;
  for (const picture of pictures) faces += (await detector.detect(picture)).length;
  const milliseconds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const picture of pictures) {
      const start = performance.now();
      await detector.detect(picture);
      milliseconds.push(performance.now() - start);
    }
  }
  return { milliseconds, faces };
}

/** Writes files of 108 megapixels, one in each form that decoders treat differently. @returns their names */
async function writeLargePictures(folder: string): Promise<string[]> {
  const raw = { raw: { ...LARGE, channels: 3 as const } };
  const enlarged = await sharp(await readFile(photo(6)))
    .resize({ ...LARGE, fit: 'fill', kernel: 'linear' })
    .raw()
    .toBuffer();
  const kinds: [string, ReturnType<typeof sharp>][] = [
    ['baseline.jpg', sharp(enlarged, raw).jpeg()],
    ['progressive.jpg', sharp(enlarged, raw).jpeg({ progressive: true })],
    ['turned.jpg', sharp(enlarged, raw).withMetadata({ orientation: 6 }).jpeg()],
    ['colour-8-bit.png', sharp(enlarged, raw).png({ compressionLevel: 1 })],
    ['opacity-8-bit.png', sharp(enlarged, raw).ensureAlpha(0.5).png({ compressionLevel: 1 })],
    ['colour-16-bit.png', sharp(enlarged, raw).toColourspace('rgb16').png({ compressionLevel: 1 })],
  ];
  for (const [name, picture] of kinds) await picture.toFile(join(folder, name));
  return kinds.map(([name]) => name);
}

/** Reads one file, finds its faces and prints the peak of memory. It needs a process to itself, because the peak is that of the process. */
async function printPeak(path: string): Promise<void> {
  const start = performance.now();
  const picture = await readImage(path);
  const gpu = await openGpu();
  const detector = FaceDetector.fromWeights(gpu, await readFile(DETECTOR));
  const { length: faces } = await detector.detect(picture);
  detector.dispose();
  gpu.destroy();
  const megabytes = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ megabytes, faces, seconds: (performance.now() - start) / 1000 }));
}

async function largePeaks(): Promise<Peak[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cameo-large-'));
  try {
    const peaks: Peak[] = [];
    for (const file of await writeLargePictures(folder)) {
      const child = [...process.execArgv, fileURLToPath(import.meta.url), '--picture', join(folder, file)];
      const { stdout } = await promisify(execFile)(process.execPath, child);
      const peak = { file, ...(JSON.parse(stdout) as Omit<Peak, 'file'>) };
      console.log(`${file}: ${peak.megabytes.toFixed(0)} MB, ${peak.seconds.toFixed(1)} s, ${peak.faces} faces`);
      peaks.push(peak);
    }
    return peaks;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The value below which the fraction `part` of the values lies. */
function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}

function markdown({ adapters, large }: Result): string {
  const all = Object.values(adapters);
  const where = ({ run, processors, load }: Times): string =>
    `${deviceText(run)}, ${programText(run)}, ${run.date}, ${processors} processors, load average ${load.toFixed(1)}`;
  return `${[
    '# Time and memory of the face detector',
    `\`${large.run.command}\`, once on each adapter. Pictures: the six photographs of npm @vladmandic/face-api.`,
    markdownTable({
      title: 'A picture of 640×480, kernels compiled',
      columns: ['adapter', 'runs', 'faces', 'median', 'fastest tenth'],
      rows: all.map((times) => [
        adapterName(times.run.device),
        times.milliseconds.length,
        times.faces,
        `${quantile(times.milliseconds, 0.5).toFixed(0)} ms`,
        `${quantile(times.milliseconds, 0.1).toFixed(0)} ms`,
      ]),
      note: all.map(where).join('; '),
    }),
    markdownTable({
      title: `A picture of ${LARGE.width}×${LARGE.height}, read and searched in a process of its own`,
      columns: ['file', 'largest memory', 'time', 'faces'],
      rows: large.pictures.map(({ file, megabytes, seconds, faces }) => [
        file,
        `${megabytes.toFixed(0)} MB`,
        `${seconds.toFixed(1)} s`,
        faces,
      ]),
      note: `${deviceText(large.run)}. Memory is that of the whole process, with Node and the adapter; times include the compilation of kernels.`,
    }),
  ].join('\n\n')}\n`;
}

const program = new Command('detection-time')
  .description('Time and memory of the shipped face detector')
  .option('--rounds <n>', 'how often each picture is searched', integer(1), 10)
  .option('--no-large', 'leave out the large pictures if the result file has them already')
  .option('--picture <file>', 'only this picture: print its time and peak of memory as JSON')
  .option('--out <dir>', 'where to write the results', 'results');
const { rounds, large, picture, out } = program
  .parse()
  .opts<{ rounds: number; large: boolean; picture?: string; out: string }>();

if (picture !== undefined) await printPeak(picture);
else {
  await ensureFolder(out);
  const path = join(out, 'detection-time.json');
  const earlier = existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as Result) : null;
  const gpu = await openGpu();
  const run = { ...runMetadata(gpu.description), command: 'npx tsx bench/detection-time.ts' };
  const detector = FaceDetector.fromWeights(gpu, await readFile(DETECTOR));
  const times = { run, processors: availableParallelism(), ...(await timesOf(detector, rounds)), load: loadavg()[1] };
  console.log(`${adapterName(gpu.description)}: median ${quantile(times.milliseconds, 0.5).toFixed(0)} ms`);
  detector.dispose();
  gpu.destroy();
  const result: Result = {
    adapters: { ...earlier?.adapters, [adapterName(gpu.description)]: times },
    large: large || !earlier ? { run, pictures: await largePeaks() } : earlier.large,
  };
  await writeFileAtomic(path, `${JSON.stringify(result, null, 1)}\n`);
  await writeFileAtomic(join(out, 'detection-time.md'), markdown(result));
}
