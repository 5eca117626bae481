import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { ensureFolder, writeFileAtomic } from '../data/atomic-file.js';
import type { Split } from '../data/face-listing.js';
import { openFaceFolder } from '../data/faces.js';
import type { BaselineCodec } from '../evaluation/baselines.js';
import { type CodecMeans, evaluateCodec, type FaceResult, groupsOf, meansOf } from '../evaluation/codec-evaluation.js';
import { linePlot } from '../evaluation/plot-svg.js';
import { CodecSession, readWeights } from './codec-session.js';
import { integer } from './numbers.js';
import { PACKAGE_ROOT } from './package-root.js';

interface EvaluateOptions {
  data?: string;
  split: Split;
  limit: number;
  model?: string;
  out: string;
}

const CODECS: readonly ('cameo' | BaselineCodec)[] = ['cameo', 'jpeg', 'jpegScaled', 'jpeg2000'];
const NAMES = { cameo: 'Cameo', jpeg: 'JPEG', jpegScaled: 'JPEG, downscaled', jpeg2000: 'JPEG2000' } as const;

/** Adds `cameo evaluate codec` to the program. */
export function addEvaluateCommand(program: Command): void {
  const evaluate = program.command('evaluate').description('measure a model on held-out faces');
  evaluate
    .command('codec')
    .description('bytes, PSNR and SSIM beside JPEG and JPEG2000 at no more bytes, face by face')
    .option('--data <dir>', 'folder of aligned faces (default: CAMEO_DATA, else ../shared/data)')
    .option('--split <name>', 'which part of the set: train, val or test', 'test')
    .option('--limit <n>', 'faces, spread evenly over the set', integer(1), 200)
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else those that are shipped)')
    .option('-o, --out <dir>', 'folder for codec-SPLIT.json, .md and .svg', 'results')
    .addHelpText('after', '\nExample: cameo evaluate codec --data faces --limit 200 -o results')
    .action(run);
}

/** The commit that the figures belong to, with a plus where files were changed since. */
function commitName(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', args, { cwd: PACKAGE_ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '-uno') ? '+' : '');
  } catch {
    return 'unknown';
  }
}

async function run(options: EvaluateOptions): Promise<void> {
  const weights = await readWeights(options.model);
  await ensureFolder(options.out);
  const data = options.data ?? process.env.CAMEO_DATA ?? '../shared/data';
  const faces = await openFaceFolder(data, { split: options.split, limit: options.limit });
  const session = new CodecSession(weights);
  const bar = new SingleBar({
    format: '{bar} {value}/{total}  left {eta_formatted}',
    noTTYOutput: true,
    notTTYSchedule: 30_000,
  });
  try {
    const codec = await session.codec();
    const { kind, description, device } = (await session.gpu()).description;
    bar.start(faces.count * codec.rates, 0);
    const results = await evaluateCodec(codec, faces, ['jpeg', 'jpegScaled', 'jpeg2000'], (done) => bar.update(done));
    bar.stop();
    const head = {
      command: `cameo evaluate codec --split ${options.split} --limit ${options.limit}`,
      model: weights.modelId,
      split: options.split,
      faces: results.length / codec.rates,
      unreadable: faces.unreadable.length,
      device: `${description || device}${kind === 'hardware' ? '' : ' (software adapter)'}`,
      commit: commitName(),
      date: new Date().toISOString().slice(0, 10),
    };
    const { width, height } = codec.faceSize;
    const rates = Array.from({ length: codec.rates }, (_, rate) => summarize(results, rate, width * height));
    const file = (ending: string): string => join(options.out, `codec-${options.split}.${ending}`);
    await writeFileAtomic(file('json'), `${JSON.stringify({ ...head, rates }, null, 2)}\n`);
    const text = markdown(head, rates);
    await writeFileAtomic(file('md'), text);
    await writeFileAtomic(file('svg'), plot(rates));
    console.log(text);
  } finally {
    bar.stop();
    await session.close();
  }
}

type Means = Partial<Record<(typeof CODECS)[number], CodecMeans>>;
interface RateSummary {
  rate: number;
  all: Means;
  groups: Record<string, Means>;
}

function summarize(results: readonly FaceResult[], rate: number, pixels: number): RateSummary {
  const these = results.filter((result) => result.rate === rate);
  const means = (of: readonly FaceResult[]): Means =>
    Object.fromEntries(CODECS.flatMap((codec) => [[codec, meansOf(of, codec, pixels)]]).filter(([, value]) => value));
  const groups = [...groupsOf(these)].map(([name, of]) => [name, means(of)]);
  return { rate, all: means(these), groups: Object.fromEntries(groups) };
}

function markdown(head: Readonly<Record<string, string | number>>, rates: readonly RateSummary[]): string {
  const lines = ['# The codec on held-out faces', ''];
  for (const [key, value] of Object.entries(head)) lines.push(`- ${key}: ${value}`);
  lines.push(
    '',
    'Means over the faces. A baseline gets at most the bytes that Cameo took for the same face, and the best picture that',
    'fits; where it has no file so small, its smallest one counts all the same ("too large" says for how many faces).',
    '"JPEG, downscaled" may code a smaller picture that the reader enlarges.',
    '',
    '| rate | codec | bytes | bpp | PSNR, dB | SSIM | too large |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: |',
  );
  const row = (cells: (string | number)[]): string => `| ${cells.join(' | ')} |`;
  for (const { rate, all } of rates) {
    for (const codec of CODECS) {
      const means = all[codec];
      if (!means) continue;
      const { bytes, bitsPerPixel, psnr, ssim, misfits } = means;
      const figures = [bytes.toFixed(1), bitsPerPixel.toFixed(3), psnr.toFixed(2), ssim.toFixed(4)];
      lines.push(row([rate, NAMES[codec], ...figures, `${misfits} of ${means.faces}`]));
    }
  }
  lines.push('', '## By group (PSNR in dB, and bytes of Cameo)', '');
  const columns = rates.flatMap(({ rate }) => [`Cameo ${rate}`, `bytes ${rate}`, `JPEG2000 ${rate}`]);
  lines.push(row(['group', 'faces', ...columns]), row(['---', ...new Array(columns.length + 1).fill('---:')]));
  for (const name of Object.keys(rates[0].groups)) {
    const cells = rates.flatMap(({ groups }) => {
      const { cameo, jpeg2000 } = groups[name];
      return [cameo?.psnr.toFixed(2) ?? '', cameo?.bytes.toFixed(0) ?? '', jpeg2000?.psnr.toFixed(2) ?? ''];
    });
    lines.push(row([name, rates[0].groups[name].cameo?.faces ?? 0, ...cells]));
  }
  return `${lines.join('\n')}\n`;
}

function plot(rates: readonly RateSummary[]): string {
  const series = CODECS.map((codec) => ({
    name: NAMES[codec],
    points: rates.flatMap(({ all }) => (all[codec] ? [[all[codec].bytes, all[codec].psnr] as const] : [])),
    markers: true,
  }));
  return linePlot({
    title: 'Rate and distortion on held-out faces',
    xLabel: 'bytes a face',
    yLabel: 'PSNR, dB',
    series,
  });
}
