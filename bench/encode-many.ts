import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { integer } from '../src/cli/numbers.js';
import { dataFolder } from '../src/cli/places.js';
import { startProgress } from '../src/cli/progress.js';
import { weightsPath } from '../src/cli/weights.js';
import { readKlt } from '../src/codec/codec-weights.js';
import { encodeToArchive } from '../src/data/archives/encode-archive.js';
import { readWeightsFile } from '../src/data/checkpoints/weights-file.js';
import { listFaces } from '../src/data/faces/face-listing.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { readJson } from '../src/data/files/read-file.js';
import { readImage } from '../src/data/pictures/image.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import { deviceText, programText, type RunMetadata } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * npx tsx bench/encode-many.ts: encodes many faces into one archive with the shipped model, destroys the device three times on
 * the way, and writes throughput, memory and the time of each recovery to results/encode-many.json and .md.
 */

interface Sample {
  faces: number;
  /** Since the first face was encoded. */
  seconds: number;
  rssMiB: number;
  /** Memory of JavaScript: its heap and its array buffers. */
  heapMiB: number;
}

interface Loss {
  faces: number;
  /** From the loss to the end of the first batch on the new device. */
  secondsToNextBatch: number;
  /** The part of this time until the new device was open. */
  secondsToOpen: number;
}

interface Result {
  run: RunMetadata;
  processors: number;
  /** Load average of the last 15 minutes. If it is above `processors`, other programs have slowed the run. */
  load: number;
  model: string;
  bytes: number;
  faces: number;
  failed: number;
  archiveBytes: number;
  seconds: number;
  /** Median time of a batch of 16 faces. */
  medianBatchSeconds: number;
  samples: Sample[];
  losses: Loss[];
}

const MIB = 2 ** 20;
const SAMPLES = 20;

/** Measures a run, and destroys its device three times. */
class RunMonitor {
  readonly samples: Sample[] = [];
  readonly losses: Loss[] = [];
  readonly #batches: number[] = [];
  #gpu: Gpu | undefined;
  #opened = 0;
  #lostAt = 0;
  #start = 0;
  #last = 0;

  /** @param total number of faces of the run */
  constructor(private readonly total: number) {}

  readonly open = async (): Promise<Gpu> => {
    this.#gpu = await openGpu();
    this.#opened = performance.now();
    return this.#gpu;
  };

  /** The device that was opened last. */
  get gpu(): Gpu {
    return this.#gpu!;
  }

  /** Median over the batches that no loss delayed. */
  get medianBatchSeconds(): number {
    return this.#batches.sort((a, b) => a - b)[this.#batches.length >> 1] ?? 0;
  }

  /** Records that this many faces are done, and destroys the device after each quarter of them. */
  update(faces: number): void {
    const now = performance.now();
    if (this.#lostAt > 0) {
      const secondsToNextBatch = (now - this.#lostAt) / 1000;
      this.losses.push({ faces, secondsToNextBatch, secondsToOpen: (this.#opened - this.#lostAt) / 1000 });
      this.#lostAt = 0;
    } else if (this.#last > 0) this.#batches.push((now - this.#last) / 1000);
    this.#last = now;
    this.#start ||= now;
    this.#sample(faces, (now - this.#start) / 1000);
    const loseAt = [1, 2, 3].map((quarters) => (quarters * this.total) / 4);
    if (this.losses.length < loseAt.length && faces >= loseAt[this.losses.length]) {
      this.#lostAt = performance.now();
      this.gpu.device.destroy();
    }
  }

  #sample(faces: number, seconds: number): void {
    const { samples, total } = this;
    if (samples.length > 0 && faces < (samples.length * total) / SAMPLES && faces !== total) return;
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
    samples.push({ faces, seconds, rssMiB: rss / MIB, heapMiB: (heapUsed + arrayBuffers) / MIB });
  }
}

/** Yields the face of each file below a folder, or the error for a file that cannot be read. */
async function* readFaces(root: string, entries: readonly { path: string }[]) {
  for (const { path: name } of entries) {
    try {
      yield { name, rgb: (await readImage(join(root, name))).data };
    } catch (error) {
      yield { name, error };
    }
  }
}

async function measure(folder: string, faces: number, bytes: number): Promise<Result> {
  const commit = gitCommit(); // now, because files may change while the program runs
  const { root, entries } = await listFaces(folder);
  const chosen = entries.slice(0, faces);
  const path = weightsPath(undefined, 'codec');
  const { file: weights } = await readWeightsFile(path, readKlt);
  const temporary = await mkdtemp(join(tmpdir(), 'cameo-encode-many-'));
  const bar = startProgress(chosen.length, 'faces');
  const monitor = new RunMonitor(chosen.length);
  try {
    const { failed, bytes: archiveBytes } = await encodeToArchive(readFaces(root, chosen), {
      openGpu: monitor.open,
      weights,
      bytes,
      archive: join(temporary, 'faces.cameos'),
      onProgress: ({ done, failed }) => {
        bar.update(done + failed);
        monitor.update(done + failed);
      },
    });
    const { samples, losses, medianBatchSeconds } = monitor;
    return {
      run: {
        ...runMetadata(monitor.gpu.description, commit),
        command: `npx tsx bench/encode-many.ts ${process.argv.slice(2).join(' ')}`.trim(),
      },
      processors: availableParallelism(),
      load: loadavg()[2],
      model: weights.tables!.model.idText,
      bytes,
      faces: chosen.length,
      failed,
      archiveBytes,
      seconds: samples.at(-1)!.seconds,
      medianBatchSeconds,
      samples,
      losses,
    };
  } finally {
    bar.stop();
    await rm(temporary, { recursive: true, force: true });
  }
}

/** The largest growth of the process between two losses of the device, after the face `first`, in MiB. */
function growthBetween(samples: readonly Sample[], losses: readonly Loss[], first: number): number {
  const ends = [...losses.map(({ faces }) => faces), Number.POSITIVE_INFINITY];
  const growths = ends.map((end, k) => {
    const start = Math.max(first, k === 0 ? 0 : ends[k - 1]);
    const within = samples.filter(({ faces }) => faces >= start && faces < end);
    return within.length > 1 ? within.at(-1)!.rssMiB - within[0].rssMiB : 0;
  });
  return Math.max(...growths);
}

function report({ run, processors, load, ...result }: Result): string {
  const { faces, failed, seconds, bytes, archiveBytes, samples, losses } = result;
  const warm = samples.find(({ faces: done }) => done >= faces / 10) ?? samples[0];
  const end = samples.at(-1)!;
  return [
    '# Encoding many faces',
    `\`${run.command}\`, ${run.date}, ${programText(run)}, on ${deviceText(run)}, ${processors} processors, ` +
      `load average ${load.toFixed(1)}.`,
    `${faces} faces (${failed} unreadable) of at most ${bytes} bytes, model ${result.model}, into one archive of ` +
      `${archiveBytes} bytes: ${((faces - samples[0].faces) / seconds).toFixed(2)} faces a second over ` +
      `${(seconds / 60).toFixed(1)} minutes, with ${losses.length} devices lost on the way. From face ${warm.faces} to the ` +
      `last, the process grew by ${(end.rssMiB - warm.rssMiB).toFixed(1)} MiB (JavaScript: ` +
      `${(end.heapMiB - warm.heapMiB).toFixed(1)} MiB, including garbage that is not yet collected), between two losses ` +
      `by ${growthBetween(samples, losses, warm.faces).toFixed(1)} MiB at most.`,
    markdownTable({
      title: 'Memory and throughput',
      columns: ['Faces', 'Seconds', 'Faces a second', 'Process, MiB', 'JavaScript, MiB'],
      rows: samples.map((sample, k) => {
        const before = samples[k - 1];
        const rate = before ? (sample.faces - before.faces) / (sample.seconds - before.seconds) : undefined;
        return [
          sample.faces,
          sample.seconds.toFixed(0),
          rate?.toFixed(2) ?? '',
          sample.rssMiB.toFixed(0),
          sample.heapMiB.toFixed(0),
        ];
      }),
      note: 'Time starts at the end of the first batch. "Faces a second" is the rate since the line before, including losses of the device.',
    }),
    markdownTable({
      title: 'Devices lost',
      columns: ['Faces', 'Until the new device was open, s', 'Until its first batch was done, s'],
      rows: losses.map((loss) => [loss.faces, loss.secondsToOpen.toFixed(2), loss.secondsToNextBatch.toFixed(2)]),
      note:
        `The device was destroyed by the program. The first batch of the new one compiles its kernels; a batch usually takes ` +
        `${result.medianBatchSeconds.toFixed(2)} s (median).`,
    }),
  ].join('\n\n');
}

const program = new Command('encode-many')
  .description('Encodes many faces, destroys the device three times, and reports throughput, memory and recovery')
  .option('--data <dir>', 'folder of aligned faces (default: faces in CAMEO_DATA)')
  .option('--faces <n>', 'how many faces', integer(64), 5000)
  .option('--bytes <n>', 'most bytes of a face', integer(1, 65536), 500)
  .option('--from <file>', 'only write the report again, from the measurements in this JSON file')
  .option('--out <dir>', 'where to write the results', 'results');
const { data, faces, bytes, from, out } = program
  .parse()
  .opts<{ data?: string; faces: number; bytes: number; from?: string; out: string }>();
const result: Result = from ? ((await readJson(from)) as Result) : await measure(data ?? dataFolder(), faces, bytes);
await writeFileAtomic(join(out, 'encode-many.json'), `${JSON.stringify(result, null, 1)}\n`);
await writeFileAtomic(join(out, 'encode-many.md'), `${report(result)}\n`);
console.log(report(result));
