import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { dataFolder } from '../src/cli/places.js';
import { weightsPath } from '../src/cli/weights.js';
import { listFaces } from '../src/data/faces/face-listing.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { readImage } from '../src/data/pictures/image.js';
import { meanOf } from '../src/evaluation/metrics/mean-of.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import { deviceText, programText, type RunMetadata } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import type { Gpu } from '../src/gpu/gpu.js';
import { spreadOf } from './core/statistics.js';

/** Bytes of a face, the file's header included. */
const BYTES = 300;

/** One task of one checkout. Times are medians over the rounds, by face. */
interface Row {
  task: string;
  /** The commit of the code. */
  code: string;
  /** Milliseconds by the wall clock. */
  ms: number;
  /** Milliseconds that the main thread computes: JavaScript, and handing commands to the device. */
  jsMs: number;
  /** Median of the rounds' ratios: how many times as fast as the other checkout. */
  ratio?: number;
}

export interface CodecSpeed {
  run: RunMetadata;
  processors: number;
  load: number;
  faces: number;
  rounds: number;
  rows: Row[];
  /** By checkout: mean bytes of a file, and mean squared error of the pixels of the restored faces. */
  files: { code: string; bytes: number; most: number; error: number }[];
}

interface Codec {
  encode(faces: readonly Uint8Array[], target: { maxBytes: number }): Promise<Uint8Array[]>;
  decode(files: readonly Uint8Array[]): Promise<Uint8Array[]>;
  dispose(): void;
}
interface Side {
  code: string;
  codec: Codec;
  gpu: Gpu;
  encode: { ms: number; jsMs: number }[];
  decode: { ms: number; jsMs: number }[];
  files: Uint8Array[];
  restored: Uint8Array[];
}

/** Milliseconds that the main thread has computed, where Linux says so; else those of the process, which include a CPU adapter. */
function mainThreadMs(): number {
  const file = `/proc/self/task/${process.pid}/schedstat`;
  if (existsSync(file)) return Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The codec of a checkout, on a device of its own. */
async function sideOf(folder: string, weights: Uint8Array, code: string): Promise<Side> {
  const moduleOf = (path: string) => import(pathToFileURL(join(folder, path)).href);
  const { FaceCodec } = await moduleOf('src/codec/face-codec.ts');
  const { openGpu } = await moduleOf('src/gpu/node/adapters.ts');
  const gpu: Gpu = await openGpu();
  const codec = FaceCodec.fromWeights(gpu, weights);
  return { code, codec, gpu, encode: [], decode: [], files: [], restored: [] };
}

/** Some faces, from all over the listing. */
async function readFaces(count: number): Promise<Uint8Array[]> {
  const { root, entries } = await listFaces(dataFolder());
  const stride = Math.max(1, Math.floor(entries.length / count));
  const chosen = entries.filter((_, k) => k % stride === 0).slice(0, count);
  return Promise.all(chosen.map(async ({ path }) => (await readImage(join(root, path))).data));
}

/**
 * Times encoding and decoding, and how long JavaScript takes of it.
 * @param against another checkout, which is timed by turns with this one in the same process
 */
export async function measureCodec(faces: number, rounds: number, against?: string): Promise<CodecSpeed> {
  const commit = gitCommit();
  const weights = readFileSync(weightsPath(undefined, 'codec'));
  const pictures = await readFaces(faces);
  const sides = [await sideOf(resolve('.'), weights, commit ?? 'here')];
  if (against) sides.unshift(await sideOf(resolve(against), weights, `${gitCommit(against) ?? against}`));
  const timed = async <T>(into: { ms: number; jsMs: number }[], work: () => Promise<T>): Promise<T> => {
    const [start, js] = [performance.now(), mainThreadMs()];
    const result = await work();
    const each = (ms: number): number => ms / pictures.length;
    into.push({ ms: each(performance.now() - start), jsMs: each(mainThreadMs() - js) });
    return result;
  };
  // The first round compiles.
  for (let round = 0; round <= rounds; round++) {
    for (const side of sides) {
      if (round === 1) side.encode.length = side.decode.length = 0;
      side.files = await timed(side.encode, () => side.codec.encode(pictures, { maxBytes: BYTES }));
      side.restored = await timed(side.decode, () => side.codec.decode(side.files));
    }
  }
  const result = {
    run: { ...runMetadata(sides[0].gpu.description, commit), command: commandText() },
    processors: availableParallelism(),
    load: loadavg()[1],
    faces: pictures.length,
    rounds,
    rows: (['encode', 'decode'] as const).flatMap((task) => rowsOf(task, sides)),
    files: sides.map(({ code, files, restored }) => ({
      code,
      bytes: meanOf(files.map(({ length }) => length)),
      most: Math.max(...files.map(({ length }) => length)),
      error: meanOf(restored.map((face, k) => meanOf(Array.from(face, (value, i) => (value - pictures[k][i]) ** 2)))),
    })),
  };
  for (const { codec, gpu } of sides) {
    codec.dispose();
    gpu.destroy();
  }
  return result;
}

const commandText = (): string => `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim();
function rowsOf(task: 'encode' | 'decode', sides: readonly Side[]): Row[] {
  return sides.map((side, k) => ({
    task: task === 'encode' ? `encode to ${BYTES} bytes` : `decode ${BYTES} bytes`,
    code: side.code,
    ms: spreadOf(side[task].map(({ ms }) => ms)).median,
    jsMs: spreadOf(side[task].map(({ jsMs }) => jsMs)).median,
    ...(k > 0 ? { ratio: spreadOf(side[task].map(({ ms }, round) => sides[0][task][round].ms / ms)).median } : {}),
  }));
}

export function codecSpeedReport({ run, processors, load, faces, rounds, rows, files }: CodecSpeed): string {
  return [
    '# Speed of encoding and decoding',
    `\`${run.command}\`, ${run.date}, ${programText(run)}, on ${deviceText(run)}, ${processors} processors, load average ${load.toFixed(1)}.`,
    `${faces} faces in one call, medians of ${rounds} rounds after a first one, checkouts by turns in one process.`,
    markdownTable({
      title: 'Time of a face',
      columns: [
        'task',
        'commit',
        'ms',
        'faces/s',
        'JavaScript, ms',
        'share',
        'faces/s without the device',
        'times as fast',
      ],
      rows: rows.map(({ task, code, ms, jsMs, ratio }) => [
        task,
        code,
        ms.toFixed(2),
        (1000 / ms).toFixed(1),
        jsMs.toFixed(2),
        `${((100 * jsMs) / ms).toFixed(0)} %`,
        (1000 / jsMs).toFixed(0),
        ratio?.toFixed(2) ?? '',
      ]),
      note:
        '"JavaScript" is the processor time of the main thread: JavaScript, and handing commands to the device. "Without the device" is the rate on a device of infinite speed. ' +
        '"Times as fast" is the median of the ratios of the rounds.',
    }),
    markdownTable({
      title: 'What was encoded',
      columns: ['commit', 'mean bytes', 'most bytes', 'mean squared error'],
      rows: files.map(({ code, bytes, most, error }) => [code, bytes.toFixed(2), most, error.toFixed(3)]),
      note: 'The error is that of the restored pixels, in squared levels.',
    }),
  ].join('\n\n');
}

/** Measures, prints and writes `encoding.json` and `encoding.md` into the folder. */
export async function benchCodec(folder: string, quick: boolean, against?: string): Promise<void> {
  const speed = await measureCodec(quick ? 16 : 112, quick ? 2 : 5, against);
  const report = codecSpeedReport(speed);
  await writeFileAtomic(join(folder, 'encoding.json'), `${JSON.stringify(speed, null, 1)}\n`);
  await writeFileAtomic(join(folder, 'encoding.md'), `${report}\n`);
  console.log(report);
}
