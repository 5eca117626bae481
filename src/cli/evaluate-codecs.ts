import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import type { FaceCodec } from '../codec/face-codec.js';
import { ArgumentError, CameoError } from '../common/errors.js';
import { parseJson } from '../common/json.js';
import { RECOGNIZER_NAMES } from '../data/checkpoints/recognizer-source.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { readRegularFile, readText } from '../data/files/read-file.js';
import { withWriterLock } from '../data/files/writer-lock.js';
import { FOREIGN_CODECS } from '../evaluation/codecs/index.js';
import { type ComparisonRow, compareCodecs } from '../evaluation/comparison/compare-codecs.js';
import { compareGroups, type GroupFigures } from '../evaluation/comparison/compare-groups.js';
import type { ComparisonReport } from '../evaluation/comparison/comparison-content.js';
import {
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
import type { FaceEncoder } from '../evaluation/comparison/face-encoders.js';
import { OWN } from '../evaluation/comparison/judge.js';
import { runMetadata } from '../evaluation/reports/collect-metadata.js';
import { gitCommit } from '../evaluation/reports/git-commit.js';
import { deviceText } from '../evaluation/reports/run-metadata.js';
import {
  AUTOENCODER_PNG,
  type CodecsInputs,
  type CodecsOptions,
  type CodecsRequest,
  OWN_CODECS,
  parseCodecsOptions,
  readCodecsInputs,
} from './codecs-request.js';
import { runCodecs } from './codecs-run.js';
import type { ComparedCodecs } from './compared-codecs.js';
import { lfwPerson, QUICK_PAIRS } from './lfw-faces.js';
import { Outputs } from './outputs.js';
import { cacheFile } from './places.js';
import { print, say } from './terminal.js';

const MAX_REPORT_BYTES = 2 ** 28;
const SCORES = 'scores.safetensors';
const REPORTS = [SCORES, 'report.json', 'report.md', 'report.csv', 'report.html'];
/** Number of faces that are encoded one at a time, to time it. */
const TIMED_FACES = 15;
/** Lock against two runs that write to one folder, of which the second would lose rows of the first. */
const LOCK = 'report.lock';

/** Adds `codecs` to `cameo evaluate`. */
export function addEvaluateCodecs(evaluate: Command): void {
  const names = FOREIGN_CODECS.map(({ name }) => name);
  evaluate
    .command('codecs')
    .description("codecs at the same bytes a face: PSNR, SSIM, and LFW's View 2 protocol with several recognisers")
    .option('--lfw <dir>', 'folder with images/, pairs.txt and landmarks.txt (default: CAMEO_DATA/lfw)')
    .option('--no-landmarks', 'find and align the central face of each picture with the detector')
    .option(
      '--codecs <names>',
      `comma-separated, of ${[...OWN_CODECS, AUTOENCODER_PNG, ...names].join(', ')}; NAME:300+500 for these budgets only`,
      ['cameo', ...names].join(','),
    )
    .option('--budgets <bytes>', 'comma-separated', '200,300,400,500,700,1000')
    .option(
      '--recognizers <names>',
      `comma-separated, of ${RECOGNIZER_NAMES.join(', ')}, safetensors files, or FILE.onnx (see docs/onnx.md)`,
      'mobilefacenet-ms1m,dlib',
    )
    .option('--seen <names>', 'recognisers that took part in training, in addition to those that the weights name')
    .option('--model <file>', 'weights of the Cameo codec (default: CAMEO_MODEL, else the shipped weights)')
    .option(
      '--extra-models <NAME=FILE...>',
      'other weights of the Cameo codec or of the autoencoder to compare with, such as mse=out/mse/face.safetensors; NAME:BUDGETS=FILE as with --codecs',
    )
    .option(
      '--reference <codec>',
      'the codec, or the name of an extra model, that others are compared with, pair by pair',
      OWN,
    )
    .addOption(new Option('--besides <NAME=FILE...>').hideHelp())
    .addOption(
      new Option('--mixes <which>', 'which pictures of a pair are compressed')
        .choices(['both', 'reference', 'all'])
        .default('all'),
    )
    .option(
      '--groups <dir>',
      'folder of data sets with UTKFace, whose manifest gives sex and race; adds a table by group (source utk, split test)',
    )
    .option('--quick', `use a tenth of the pairs (${2 * QUICK_PAIRS} of each fold)`)
    .option('--single', 'embed the picture alone, without its mirror image; takes half the time')
    .option(
      '--goals <file>',
      'JSON file of target figures, such as results/codecs/goals.json; the report says which are reached',
    )
    .option(
      '--extend',
      'keep the rows of the report in --out, and measure only rows that are missing or from an older program; pairs and recognisers have to be the same',
    )
    .option('-o, --out <dir>', 'folder for report.json, .md, .csv, .html and plots', 'results/codecs')
    .addHelpText(
      'after',
      '\nExample: cameo evaluate codecs --quick --budgets 300,500\nEncodings and embeddings are kept in the cache, so a run that was stopped goes on where it was.',
    )
    .action(run);
}

/** What is kept of the report in a folder; null if there is none. */
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
  const request = parseCodecsOptions(options);
  const inputs = await readCodecsInputs(options, request);
  const outputs = await Outputs.in(options.out);
  await outputs.reserve(REPORTS, [options.model, ...request.extraModels.map(({ path }) => path)]);
  await withWriterLock(join(options.out, LOCK), options.out, () => compare(options, request, inputs));
}

async function compare(options: CodecsOptions, request: CodecsRequest, inputs: CodecsInputs): Promise<void> {
  const commit = gitCommit(); // at the start, because files may change while the program runs
  const stopped = 'stopped; encodings and embeddings are kept, and the report has the rows so far';
  await runCodecs(inputs, stopped, async ({ onProgress, endStage, open }) => {
    const { lfw, recognizers, minBytes } = inputs;
    const faces = await lfw.crops((done, total) => onProgress('aligning faces', done, total));
    inputs.found?.finder.close();
    const setting = settingId({ pairs: lfw.pairs, faces, recognizers, mixes: request.mixes, single: request.single });
    const earlier = options.extend ? await earlierReport(options.out, setting, lfw.pairs.length) : null;
    const { gpu, codecs } = await open();
    const encoders = await codecs.asked(request);
    const everyCodec = await codecs.every(earlier?.conditions.some(({ codec }) => codec === AUTOENCODER_PNG) ?? false);
    const kept = rowsToKeep(earlier, [...everyCodec, ...encoders]);
    const metadata = runMetadata(gpu.description, commit);
    const pictures = [...faces.keys()];
    const originals = pictures.map((name) => faces.get(name)!);
    const seconds = await secondsOf(codecs.cameo, originals.slice(0, TIMED_FACES), Math.max(minBytes, 500));
    const reference = codecs.referenceOf(request);
    const first = everyCodec.concat(encoders).find(({ name }) => name === reference);
    const named = first && first.name !== OWN ? { reference: { codec: first.name, title: first.title } } : {};
    const head = {
      ...metadata,
      ...reportHead(options, request, inputs, codecs, earlier, kept),
      setting,
      seconds,
      ...named,
    };
    const keptGroups: GroupFigures[] = earlier?.model.id === codecs.cameo.modelId ? earlier.groups : [];
    const { budgets, mixes, single } = request;
    const sampleBudget = budgets.includes(300) ? 300 : budgets[0];
    const { conditions, samples } = await compareCodecs({
      ...{
        gpu,
        pairs: lfw.pairs,
        faces,
        personOf: lfwPerson,
        encoders,
        budgets,
        recognizers,
        mixes,
        single,
        reference,
      },
      run: { commit, date: metadata.date, device: deviceText(metadata), command: metadata.command },
      earlier: kept,
      earlierEncoders: everyCodec,
      cacheOf: ({ modelId }, row) => cacheFile('embeddings', modelId, `${row}.safetensors`),
      sampleBudget,
      onProgress,
      onRow: async (row, all) => {
        endStage();
        print(summaryLine(row));
        await saveReport(options.out, { ...head, conditions: [...all], groups: keptGroups });
      },
    });
    let groups = keptGroups;
    if (inputs.groups) {
      const [recognizer] = recognizers;
      const cache = cacheFile('embeddings', recognizer.modelId, 'groups.safetensors');
      groups = await compareGroups({
        ...{ gpu, faces: inputs.groups, encoders, budget: sampleBudget, recognizer, cache, onProgress },
      });
      endStage();
    }
    const report: ComparisonReport = { ...head, conditions: [...conditions], groups };
    const plots = await saveReport(options.out, report);
    const page = await comparisonHtml(report, plots, pictures, originals, samples, sampleBudget);
    await writeFileAtomic(join(options.out, 'report.html'), page);
    say(join(options.out, 'report.md'));
  });
}

/** Rows of an earlier report whose codecs have not changed; reports the others. */
function rowsToKeep(earlier: EarlierReport | null, encoders: readonly FaceEncoder[]): ComparisonRow[] {
  const versions = new Map(encoders.map(({ name, version }) => [name, version]));
  const { kept, changed } = stillValid(earlier?.conditions ?? [], versions);
  if (changed.length > 0) {
    const rows = changed.map(({ title, budget }) => `${title} ${budget} B`).join(', ');
    say(`left out, because the codec or its model has changed: ${rows}`);
  }
  return kept;
}

/** The metadata of a report. */
function reportHead(
  options: CodecsOptions,
  { extraModels, single }: CodecsRequest,
  { lfw, found, recognizers, weights, goals, extraModels: ownExtraModels }: CodecsInputs,
  codecs: ComparedCodecs,
  earlier: EarlierReport | null,
  kept: readonly ComparisonRow[],
) {
  const { metadata } = weights.file;
  const seen = new Set(options.seen?.split(',') ?? []);
  const models = [weights, ...(codecs.autoencoder ? [codecs.autoencoder] : []), ...ownExtraModels];
  const watched = models.map(({ file }) => file.metadata.get('cameo.recognizers') ?? '').join();
  const keptModels = (earlier?.besides ?? []).filter(
    ({ name }) =>
      !extraModels.some((other) => other.name === name) &&
      kept.some(({ codec }) => codec === `cameo-${name}` || codec === `${AUTOENCODER_PNG}-${name}`),
  );
  return {
    pairs: { count: lfw.pairs.length, folds: lfw.folds, quick: options.quick === true },
    ...(found && { detector: found.detector }),
    embedding: single ? 'of the picture alone' : 'of the picture and of its mirror image, concatenated',
    recognizers: recognizers.map(({ name, modelId }) => ({
      name,
      id: modelId,
      seen: seen.has(name) || watched.includes(modelId),
    })),
    model: {
      path: options.model ? 'given' : 'shipped',
      id: codecs.cameo.modelId,
      training: parseJson(metadata.get('cameo.training') ?? 'null', 'metadata "cameo.training"'),
    },
    autoencoder: codecs.autoencoder?.modelId,
    besides: [...extraModels.map(({ name }, k) => ({ name, id: codecs.extraModels[k].modelId })), ...keptModels],
    goals: goals ?? earlier?.goals,
  };
}

/** Writes everything except the page, so that the results so far are not lost if the rest fails. */
async function saveReport(folder: string, report: ComparisonReport): Promise<ReturnType<typeof comparisonPlots>> {
  const write = (name: string, content: string): Promise<void> => writeFileAtomic(join(folder, name), content);
  const plots = comparisonPlots(report);
  for (const [file, svg] of plots) await write(file, svg);
  await write('report.csv', comparisonCsv(report));
  await write('report.md', comparisonMarkdown(report, [...plots.keys()]));
  const compact = { ...report, conditions: plainRows(report.conditions) };
  await writeFileAtomic(join(folder, SCORES), writeScores(report.conditions, report.setting));
  await write('report.json', `${JSON.stringify(compact, null, 2)}\n`);
  return plots;
}
