import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { AutoencoderCodec } from '../codec/autoencoder-codec.js';
import { FaceCodec, leastFaceBytes } from '../codec/face-codec.js';
import { ArgumentError, CameoError } from '../common/errors.js';
import { parseJson } from '../common/json.js';
import { writeFileAtomic } from '../data/atomic-file.js';
import { openFaceFolder } from '../data/faces.js';
import { readJson, readRegularFile, readText } from '../data/read-file.js';
import { loadRecognizers, RECOGNIZER_NAMES, type ReadRecognizer } from '../data/recognizer-source.js';
import { EncodingCache } from '../evaluation/codecs/encoding-cache.js';
import { FOREIGN_CODECS } from '../evaluation/codecs/index.js';
import { tryCodecs } from '../evaluation/codecs/try-codecs.js';
import { type Condition, compareCodecs } from '../evaluation/comparison/compare-codecs.js';
import { compareGroups, type GroupService } from '../evaluation/comparison/compare-groups.js';
import {
  type ComparisonReport,
  comparisonCsv,
  comparisonHtml,
  comparisonMarkdown,
  comparisonPlots,
  summaryLine,
} from '../evaluation/comparison/comparison-report.js';
import {
  type EarlierReport,
  plainRows,
  readEarlier,
  settingId,
  stillValid,
  writeScores,
} from '../evaluation/comparison/earlier-rows.js';
import {
  autoencoderPngEncoder,
  baselineEncoder,
  cameoEncoder,
  cameoPngEncoder,
  type FaceEncoder,
} from '../evaluation/comparison/face-encoders.js';
import type { Mix } from '../evaluation/comparison/judge.js';
import { parseGoals } from '../evaluation/comparison/parse-goals.js';
import { deviceText } from '../evaluation/reports/run-facts.js';
import { LazyDevice } from '../gpu/device-source.js';
import { openGpu } from '../gpu/node/adapters.js';
import { gitCommit } from './git-commit.js';
import { lfwPerson, openLfwFaces, QUICK_PAIRS } from './lfw-faces.js';
import { Outputs } from './outputs.js';
import { cacheFile, dataFolder, encodingsFolder } from './places.js';
import { startStages } from './progress.js';
import { runFacts } from './report-facts.js';
import { print, say, warn } from './terminal.js';
import { stopOnInterrupt } from './training-run.js';
import { expectKind, readWeights, shippedWeights, weightsPath } from './weights.js';
import { recognizerFor } from './with-recognizer.js';

interface CodecsOptions {
  lfw?: string;
  codecs: string;
  budgets: string;
  recognizers: string;
  seen?: string;
  model?: string;
  besides?: string[];
  mixes: 'both' | 'reference' | 'all';
  groups?: string;
  quick?: boolean;
  single?: boolean;
  goals?: string;
  extend?: boolean;
  out: string;
}

const MAX_REPORT_BYTES = 2 ** 28;
const SCORES = 'scores.safetensors';
const REPORTS = [SCORES, 'report.json', 'report.md', 'report.csv', 'report.html'];
const OWN_CODECS = ['cameo', 'cameo-png'];
/** The PNGs of the other weights that ship. */
const PLAIN = 'autoencoder-png';
/** Faces that are encoded one at a time, to see how long it takes. */
const TIMED_FACES = 15;

/** Adds `codecs` to `cameo evaluate`. */
export function addEvaluateCodecs(evaluate: Command): void {
  const names = FOREIGN_CODECS.map(({ name }) => name);
  evaluate
    .command('codecs')
    .description("codecs at the same bytes a face: PSNR, SSIM, and LFW's View 2 protocol with several recognisers")
    .option('--lfw <dir>', 'folder with images/, pairs.txt and landmarks.txt (default: CAMEO_DATA/lfw)')
    .option(
      '--codecs <names>',
      `comma-separated, of ${[...OWN_CODECS, PLAIN, ...names].join(', ')}; NAME:300+500 for some of the budgets alone`,
      ['cameo', ...names].join(','),
    )
    .option('--budgets <bytes>', 'comma-separated', '200,300,400,500,700,1000')
    .option(
      '--recognizers <names>',
      `comma-separated, of ${RECOGNIZER_NAMES.join(', ')}, or safetensors files`,
      'mobilefacenet-ms1m,dlib',
    )
    .option('--seen <names>', 'recognisers that training saw, beside those that the weights name')
    .option('--model <file>', 'weights of the Cameo codec (default: CAMEO_MODEL, else those that are shipped)')
    .option(
      '--besides <NAME=FILE...>',
      'other weights of the Cameo codec to compare with, as mse=out/mse/face.safetensors; NAME:BUDGETS=FILE as with --codecs',
    )
    .addOption(
      new Option('--mixes <which>', 'which pictures of a pair are compressed')
        .choices(['both', 'reference', 'all'])
        .default('all'),
    )
    .option(
      '--groups <dir>',
      'data sets with UTKFace, whose manifest tells sex and race: adds a table by group (source utk, split test)',
    )
    .option('--quick', `a tenth of the pairs (${2 * QUICK_PAIRS} of each fold)`)
    .option('--single', 'embeddings of the picture alone, without its mirror image: half the time')
    .option('--goals <file>', 'figures to reach, as results/codecs/goals.json has them: the report says which it shows')
    .option(
      '--extend',
      'keep the rows of the report in --out, and measure only those that it has not, or has from an older program: with the same pairs and recognisers',
    )
    .option('-o, --out <dir>', 'folder for report.json, .md, .csv, .html and plots', 'results/codecs')
    .addHelpText(
      'after',
      '\nExample: cameo evaluate codecs --quick --budgets 300,500\nEncodings and embeddings are kept in the cache: a run that is stopped goes on where it was.',
    )
    .action(run);
}

/** What is kept of the report in a folder; null where there is no report. */
async function earlierReport(folder: string, setting: string, pairs: number): Promise<EarlierReport | null> {
  const path = join(folder, 'report.json');
  if (!existsSync(path)) return null;
  const scores = await readRegularFile(join(folder, SCORES), MAX_REPORT_BYTES);
  const json = await readText(path);
  try {
    return readEarlier(json, scores, setting, pairs);
  } catch (error) {
    if (error instanceof CameoError) throw new ArgumentError(`--extend ${folder}: ${error.message}`, { cause: error });
    throw error;
  }
}

function budgetsOf(words: readonly string[], option: string): number[] {
  return words.map((word) => {
    const budget = Number(word);
    if (!Number.isInteger(budget) || budget < 1) {
      throw new ArgumentError(`${option}: "${word}"; expected a positive number of bytes`);
    }
    return budget;
  });
}

/** What NAME or NAME:BUDGET+BUDGET… asks for. @throws ArgumentError for a budget that the comparison has not */
function codecWord(word: string, option: string, all: readonly number[]): { name: string; budgets?: number[] } {
  const at = word.indexOf(':');
  if (at < 0) return { name: word };
  const budgets = budgetsOf(word.slice(at + 1).split('+'), option);
  const odd = budgets.find((budget) => !all.includes(budget));
  if (odd !== undefined) throw new ArgumentError(`${option} ${word}: ${odd} bytes are not among --budgets ${all}`);
  return { name: word.slice(0, at), budgets };
}

/** Medians of encoding and decoding one face at a time, after one that does not count. */
async function secondsOf(codec: FaceCodec, faces: readonly Uint8Array[], budget: number) {
  const times: { encode: number; decode: number }[] = [];
  for (const face of [faces[0], ...faces]) {
    const start = performance.now();
    const [file] = await codec.encode([face], { maxBytes: budget }, 'bare');
    const middle = performance.now();
    await codec.decode([file]);
    times.push({ encode: (middle - start) / 1000, decode: (performance.now() - middle) / 1000 });
  }
  const median = (of: 'encode' | 'decode'): number => {
    const sorted = times
      .slice(1)
      .map((time) => time[of])
      .sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  };
  return { budget, encode: median('encode'), decode: median('decode') };
}

async function run(options: CodecsOptions): Promise<void> {
  const budgets = budgetsOf(options.budgets.split(','), '--budgets');
  const wanted = options.codecs.split(',').map((word) => codecWord(word, '--codecs', budgets));
  const known = new Map(FOREIGN_CODECS.map((codec) => [codec.name, codec]));
  const names = [...OWN_CODECS, PLAIN, ...known.keys()];
  for (const { name } of wanted) {
    if (!names.includes(name)) {
      throw new ArgumentError(`--codecs: "${name}"; expected some of ${names.join(', ')}`);
    }
  }
  const besides = (options.besides ?? []).map((word) => {
    const at = word.indexOf('=');
    const { name, budgets: own } = codecWord(word.slice(0, Math.max(0, at)), '--besides', budgets);
    if (!/^[\w-]+$/.test(name) || name === 'png') {
      throw new ArgumentError(
        `--besides ${word}: expected NAME=FILE or NAME:BUDGETS=FILE, the name of letters, digits, - and _`,
      );
    }
    return { name, budgets: own, path: word.slice(at + 1) };
  });
  if (new Set(besides.map(({ name }) => name)).size < besides.length) {
    throw new ArgumentError('--besides: two weights have the same name');
  }
  const wantedFigures =
    options.goals === undefined ? undefined : parseGoals(await readJson(options.goals), options.goals);
  const lfw = await openLfwFaces(options.lfw ?? join(dataFolder(), 'lfw'), { quick: options.quick });
  const { pairs, folds } = lfw;
  const budgetWeights = async (file: string) => expectKind(await readWeights(file), 'budget');
  const weights = await budgetWeights(weightsPath(options.model, 'budget'));
  const { metadata } = weights.file;
  const groupFaces =
    options.groups === undefined ? null : await openFaceFolder(options.groups, { split: 'test', sources: ['utk'] });
  const others = await Promise.all(
    besides.map(async ({ name, budgets, path }) => ({ name, budgets, file: (await budgetWeights(path)).file })),
  );
  const least = leastFaceBytes(weights.file.tables.model, 'bare');
  for (const budget of budgets) {
    if (budget < least) throw new ArgumentError(`--budgets: ${budget}; a Cameo face takes at least ${least} bytes`);
  }
  const recognizers: ReadRecognizer[] = [];
  for (const name of options.recognizers.split(',')) recognizers.push(await recognizerFor(name));
  const plainWeights = wanted.some(({ name }) => name === PLAIN)
    ? expectKind(await readWeights(shippedWeights('png')), 'png')
    : null;
  await tryCodecs(wanted.flatMap(({ name }) => known.get(name) ?? []));
  const outputs = await Outputs.in(options.out);
  await outputs.reserve(REPORTS, [options.model, ...besides.map(({ path }) => path)]);
  const commit = gitCommit(); // of the program as it starts; files may change while it runs

  const stop = stopOnInterrupt('stopping …');
  const device = new LazyDevice(openGpu);
  const own: FaceCodec[] = [];
  const plain: AutoencoderCodec[] = [];
  const stages = startStages();
  const onProgress = (name: string, done: number, total: number): void => {
    stop.signal.throwIfAborted();
    stages.update(name, done, total);
  };
  try {
    const faces = await lfw.crops((done, total) => onProgress('aligning faces', done, total));
    const pictures = [...faces.keys()];
    const sampleBudget = budgets.includes(300) ? 300 : budgets[0];
    const mixes: Mix[] = options.mixes === 'all' ? ['both', 'reference'] : [options.mixes];
    const single = options.single === true;
    const setting = settingId({ pairs, faces, recognizers, mixes, single });
    const earlier = options.extend ? await earlierReport(options.out, setting, pairs.length) : null;
    const gpu = await device.open();
    loadRecognizers(gpu, recognizers);
    const codec = FaceCodec.fromKlt(gpu, weights.file);
    own.push(codec);
    const cache = new EncodingCache(encodingsFolder());
    const openEncoder = async (name: string): Promise<FaceEncoder> => {
      if (name === 'cameo') return cameoEncoder(codec, cache);
      if (name === 'cameo-png') return cameoPngEncoder(codec, cache);
      if (name === PLAIN) {
        const { bytes } = plainWeights ?? expectKind(await readWeights(shippedWeights('png')), 'png');
        plain.push(AutoencoderCodec.fromWeights(gpu, bytes));
        return autoencoderPngEncoder(plain.at(-1)!, cache);
      }
      return baselineEncoder(known.get(name)!, cache, stop.signal);
    };
    const opened = new Map<string, FaceEncoder>();
    const encoderOf = async (name: string): Promise<FaceEncoder> => {
      const encoder = opened.get(name) ?? (await openEncoder(name));
      opened.set(name, encoder);
      return encoder;
    };
    const encoders: FaceEncoder[] = [];
    for (const { name, budgets } of wanted) encoders.push({ ...(await encoderOf(name)), budgets });
    for (const { name, budgets, file } of others) {
      const other = FaceCodec.fromKlt(gpu, file);
      own.push(other);
      encoders.push({ ...cameoEncoder(other, cache, `Cameo, ${name}`, `cameo-${name}`), budgets });
    }
    const hasPlain = earlier?.conditions.some(({ codec }) => codec === PLAIN);
    const everyCodec = await Promise.all(
      [...known.keys(), ...OWN_CODECS, ...(hasPlain ? [PLAIN] : [])].map((name) => encoderOf(name)),
    );
    const versions = new Map([...everyCodec, ...encoders].map(({ name, version }) => [name, version]));
    const { kept, changed } = stillValid(earlier?.conditions ?? [], versions);
    if (changed.length > 0) {
      const rows = changed.map(({ title, budget }) => `${title} ${budget} B`).join(', ');
      say(`left out, as the codec or its model is another now: ${rows}`);
    }
    const keptBesides = (earlier?.besides ?? []).filter(
      ({ name }) => !others.some((other) => other.name === name) && kept.some(({ codec }) => codec === `cameo-${name}`),
    );
    const keptGroups: GroupService[] = earlier?.model.id === codec.modelId ? earlier.groups : [];
    const seen = new Set(options.seen?.split(',') ?? []);
    const watched = metadata.get('cameo.recognizers') ?? '';
    const training = parseJson(metadata.get('cameo.training') ?? 'null', 'metadata "cameo.training"');
    const write = (name: string, content: string): Promise<void> => writeFileAtomic(join(options.out, name), content);
    /** Everything but the page, so that what is known by now is not lost, whatever becomes of the rest. */
    const save = async (conditions: readonly Condition[], groups: GroupService[]) => {
      const report: ComparisonReport = {
        ...facts,
        pairs: { count: pairs.length, folds, quick: options.quick === true },
        embedding: single ? 'of the picture alone' : 'of the picture and of its mirror image, concatenated',
        recognizers: recognizers.map(({ name, modelId }) => ({
          name,
          id: modelId,
          seen: seen.has(name) || watched.includes(modelId),
        })),
        model: { path: options.model ? 'given' : 'shipped', id: codec.modelId, training },
        setting,
        besides: [...others.map(({ name }, k) => ({ name, id: own[k + 1].modelId })), ...keptBesides],
        conditions: [...conditions],
        groups,
        goals: wantedFigures ?? earlier?.goals,
        seconds,
      };
      const plots = comparisonPlots(report);
      for (const [file, svg] of plots) await write(file, svg);
      await write('report.csv', comparisonCsv(report));
      await write('report.md', comparisonMarkdown(report, [...plots.keys()]));
      const compact = { ...report, conditions: plainRows(conditions) };
      await writeFileAtomic(join(options.out, SCORES), writeScores(conditions, setting));
      await write('report.json', `${JSON.stringify(compact, null, 2)}\n`);
      return { report, plots };
    };
    const facts = runFacts(gpu.description, commit);
    const originals = pictures.map((name) => faces.get(name)!);
    const seconds = await secondsOf(codec, originals.slice(0, TIMED_FACES), Math.max(least, 500));
    const { conditions, samples } = await compareCodecs({
      gpu,
      pairs,
      faces,
      personOf: lfwPerson,
      encoders,
      budgets,
      recognizers,
      mixes,
      single,
      run: { commit, date: facts.date, device: deviceText(facts), command: facts.command },
      earlier: kept,
      earlierEncoders: everyCodec,
      cacheOf: ({ modelId }, condition) => cacheFile('embeddings', modelId, `${condition}.safetensors`),
      sampleBudget,
      onProgress,
      onCondition: async (condition, all) => {
        stages.stop();
        print(summaryLine(condition));
        await save(all, keptGroups);
      },
    });
    let groups = keptGroups;
    if (groupFaces) {
      const [recognizer] = recognizers;
      const embeddings = cacheFile('embeddings', recognizer.modelId, 'groups.safetensors');
      const common = {
        gpu,
        faces: groupFaces,
        encoders,
        budget: sampleBudget,
        recognizer,
        cache: embeddings,
        onProgress,
      };
      groups = await compareGroups(common);
      stages.stop();
    }
    const { report, plots } = await save(conditions, groups);
    await write('report.html', await comparisonHtml(report, plots, pictures, originals, samples, sampleBudget));
    say(join(options.out, 'report.md'));
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    warn('stopped; encodings and embeddings are kept, and the report has what was done');
    process.exitCode = 130;
  } finally {
    stages.stop();
    stop.release();
    for (const one of recognizers) one.dispose();
    for (const one of [...own, ...plain]) one.dispose();
    await device.close();
  }
}
