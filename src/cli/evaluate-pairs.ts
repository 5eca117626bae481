import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { ArgumentError, ImageError } from '../common/errors.js';
import type { ReadRecognizer } from '../data/checkpoints/recognizer-source.js';
import { type FacePair, type PairList, parseLandmarkLines, parsePairs } from '../data/faces/lfw.js';
import { checkTarget, writeFileAtomic } from '../data/files/atomic-file.js';
import { readText } from '../data/files/read-file.js';
import { readImage } from '../data/pictures/image.js';
import { FACE_HEIGHT, FACE_WIDTH, type FaceLandmarks } from '../detection/align.js';
import { cosineSimilarity } from '../evaluation/metrics/verification.js';
import { runMetadata } from '../evaluation/reports/collect-metadata.js';
import { gitCommit } from '../evaluation/reports/git-commit.js';
import { contentOf, embedPictures, type FacePicture } from '../evaluation/verification/embed-pictures.js';
import {
  type PairReport,
  pairReportMarkdown,
  pairSummary,
  rocPlot,
  scoresCsv,
} from '../evaluation/verification/pair-report.js';
import { verificationFigures } from '../evaluation/verification/protocol.js';
import { usablePairs } from '../evaluation/verification/usable-pairs.js';
import { weightsId } from './detector-file.js';
import { FaceFinder } from './face-finder.js';
import { DETECTOR_HELP } from './face-options.js';
import { QUICK_PAIRS, quickPairs } from './lfw-faces.js';
import { integer } from './numbers.js';
import { Outputs } from './outputs.js';
import { cacheFile, dataFolder } from './places.js';
import { startProgress } from './progress.js';
import { print, say, warn } from './terminal.js';
import { checkFiguresFit, saveLfwFigures, thresholdsPath } from './thresholds.js';
import { RECOGNIZER_HELP, recognizerFor, withRecognizer } from './with-recognizer.js';

interface PairOptions {
  images?: string;
  pairs?: string;
  /** false: none, those are found. */
  landmarks?: string | false;
  detector?: string;
  faces?: 'largest' | 'central';
  model: string;
  single?: boolean;
  skipMissing?: boolean;
  quick?: boolean;
  enlarge?: number;
  saveFigures?: boolean;
  out: string;
}

/** Adds `lfw` and `pairs` to `cameo evaluate`. */
export function addEvaluatePairs(evaluate: Command): void {
  const add = (name: string, description: string, needed: boolean): Command => {
    const required = (flags: string, text: string, otherwise: string): [string, string] =>
      needed ? [flags, text] : [flags, `${text} (default: ${otherwise} in CAMEO_DATA/lfw)`];
    const command = evaluate.command(name).description(description);
    const option = needed ? command.requiredOption.bind(command) : command.option.bind(command);
    option(...required('--images <dir>', 'folder of NAME/NAME_0001.jpg', 'images'));
    option(...required('--pairs <file>', 'pairs in the format of LFW', 'pairs.txt'));
    return command
      .option(
        '--landmarks <file>',
        `five landmarks for each picture${needed ? '; without it, the detector finds the faces, except in aligned faces of 96×112' : ' (default: landmarks.txt in CAMEO_DATA/lfw)'}`,
      )
      .option('--no-landmarks', 'find and align the faces with the detector, even if there are landmarks')
      .option('--detector <file>', DETECTOR_HELP)
      .addOption(
        new Option(
          '--faces <which>',
          `which of the faces found in a picture (default: ${needed ? 'largest' : 'central'})`,
        ).choices(['largest', 'central']),
      )
      .requiredOption('--model <name>', RECOGNIZER_HELP)
      .option('--single', 'embed the picture alone, without its mirror image')
      .option('--quick', `use only the first ${QUICK_PAIRS} pairs of each kind in each fold`)
      .option('--enlarge <n>', 'first enlarge each picture by this factor, by cubic interpolation', integer(2, 8))
      .option('--skip-missing', 'leave out pictures that are missing or unreadable, and count them')
      .option('-o, --out <dir>', `folder for ${name}-MODEL.json, .md, .csv and .svg`, 'results');
  };
  add('lfw', "accuracy and TAR of a recogniser by LFW's View 2 protocol", false)
    .option('--save-figures', 'save accuracy and TAR for `cameo verify`, which prints them')
    .action((options: PairOptions) => {
      const folder = join(dataFolder(), 'lfw');
      return run('lfw', 'LFW, View 2', {
        images: join(folder, 'images'),
        pairs: join(folder, 'pairs.txt'),
        landmarks: join(folder, 'landmarks.txt'),
        ...options,
      });
    });
  add('pairs', 'the same for any list of pairs in the format of LFW', true).action((options: PairOptions) =>
    run('pairs', 'Pairs', options),
  );
}

/** The pictures that pairs need. Missing ones are reported before anything is computed. */
async function picturesOf(
  pairs: readonly FacePair[],
  options: PairOptions,
): Promise<{ found: FacePicture[]; missing: Map<string, string> }> {
  const landmarks = options.landmarks ? parseLandmarkLines(await readText(options.landmarks), options.landmarks) : null;
  const found: FacePicture[] = [];
  const missing = new Map<string, string>();
  for (const name of new Set(pairs.flatMap(({ a, b }) => [a, b]))) {
    const path = join(options.images!, name);
    const points = landmarks?.get(name);
    if (!existsSync(path)) missing.set(name, `${path} is missing`);
    else if (landmarks && !points) missing.set(name, `${options.landmarks} has no landmarks for it`);
    else found.push({ name, path, enlarged: options.enlarge, landmarks: points && enlarged(points, options.enlarge) });
  }
  const [first] = missing;
  if (first && !options.skipMissing) {
    throw new ImageError(
      `${first[0]}: ${first[1]}${missing.size > 1 ? `, and ${missing.size - 1} more pictures cannot be used` : ''}; --skip-missing leaves them out`,
    );
  }
  return { found, missing };
}

/** Landmarks in a picture that is so many times as large. */
const enlarged = (points: FaceLandmarks, factor = 1): FaceLandmarks =>
  points.map((point) => point.map((value) => (value + 0.5) * factor - 0.5)) as unknown as FaceLandmarks;

/**
 * Finds the faces of the pictures that have no landmarks and are not aligned faces; pictures without a face count as missing.
 * @returns the pictures with the faces found, and the id of the detector if one was used
 */
async function withFoundFaces(
  found: readonly FacePicture[],
  missing: Map<string, string>,
  kind: 'lfw' | 'pairs',
  options: PairOptions,
): Promise<{ pictures: FacePicture[]; detector?: string }> {
  const finder = new FaceFinder({ detector: options.detector });
  const wanted = options.landmarks === false || options.detector !== undefined;
  if (wanted) await finder.file();
  const without = found.filter(({ landmarks }) => !landmarks).length;
  // Without a detector, a picture that needs one is reported when it is embedded.
  if (without === 0 || finder.aligner() === undefined) return { pictures: [...found] };
  const choice = options.faces ?? (kind === 'lfw' ? 'central' : 'largest');
  const bar = startProgress(without, 'pictures to find faces in');
  const pictures: FacePicture[] = [];
  let [done, used] = [0, false];
  try {
    for (const picture of found) {
      if (picture.landmarks) {
        pictures.push(picture);
        continue;
      }
      try {
        const image = await readImage(await contentOf(picture), { name: picture.name });
        const isFace = image.width === FACE_WIDTH && image.height === FACE_HEIGHT;
        pictures.push(
          isFace ? picture : { ...picture, landmarks: (await finder.findOne(image, picture.name, choice)).landmarks },
        );
        used ||= !isFace;
      } catch (error) {
        if (!options.skipMissing || !(error instanceof ImageError)) throw error;
        missing.set(picture.name, error.message);
      }
      bar.update(++done);
    }
    return { pictures, detector: used ? weightsId((await finder.file()).bytes) : undefined };
  } finally {
    bar.stop();
    finder.close();
  }
}

/** The base name of an evaluation's files: the kind, the model, and options that differ from their defaults. */
const baseName = (kind: string, model: string, { single, landmarks, quick, enlarge }: PairOptions): string =>
  [
    `${kind}-${model}`,
    ...(single ? ['single'] : []),
    ...(landmarks === false ? ['found'] : []),
    ...(quick ? ['quick'] : []),
    ...(enlarge ? [`enlarged-${enlarge}`] : []),
  ].join('-');

/** The pairs to evaluate. @throws FileError, FormatError; ArgumentError if figures are to be saved but not all pairs are evaluated */
async function pairsOf(options: PairOptions): Promise<PairList> {
  if (options.saveFigures && (options.quick || options.enlarge)) {
    throw new ArgumentError(
      '--save-figures: it saves figures of all pairs of unchanged pictures; expected neither --quick nor --enlarge',
    );
  }
  const list = parsePairs(await readText(options.pairs!), options.pairs);
  return options.quick ? { ...list, pairs: quickPairs(list.pairs) } : list;
}

async function run(kind: 'lfw' | 'pairs', title: string, options: PairOptions): Promise<void> {
  const list = await pairsOf(options);
  usablePairs(list, () => true, options.pairs!);
  if (!(await stat(options.images!).catch(() => null))?.isDirectory()) {
    throw new ArgumentError(`--images ${options.images}: no such folder`);
  }
  const { found, missing } = await picturesOf(list.pairs, options);
  const names = new Set(found.map(({ name }) => name));
  usablePairs(list, (name) => names.has(name), options.pairs!); // too few pairs are reported before anything is computed
  const opened = await recognizerFor(options.model);
  const embedding = options.single ? 'single' : 'flip';
  if (options.saveFigures) {
    await checkFiguresFit(opened.modelId, embedding);
    await checkTarget(thresholdsPath());
  }
  const base = baseName(kind, opened.name, options);
  const outputs = await Outputs.in(options.out);
  const extensions = ['md', 'json', 'csv', 'svg'];
  await outputs.reserve(
    extensions.map((extension) => `${base}.${extension}`),
    [options.pairs!, options.landmarks || undefined, options.model],
  );
  const commit = gitCommit(); // at the start, because files may change while the program runs
  const { pictures, detector } = await withFoundFaces(found, missing, kind, options);
  await withRecognizer(opened, async (gpu) => {
    say(`${opened.name} on ${pictures.length} pictures, ${gpu.description.description}`);
    const bar = startProgress(pictures.length, 'pictures');
    const start = performance.now();
    const embeddings = await embedPictures(gpu, opened, pictures, {
      flip: !options.single,
      cache: cacheFile('embeddings', `${opened.modelId}.safetensors`),
      onUnusable: options.skipMissing
        ? (name, error) => {
            missing.set(name, error.message);
          }
        : undefined,
      onProgress: (done) => bar.update(done),
    }).finally(bar.stop);
    const seconds = (performance.now() - start) / 1000;
    for (const [name, reason] of missing) warn(`left out ${name}: ${reason}`);

    const { pairs: usable, lostFolds } = usablePairs(list, (name) => embeddings.has(name), options.pairs!);
    for (const fold of lostFolds) warn(`left out fold ${fold + 1}: none of its pairs remains`);
    const scores = usable.map(({ a, b }) => cosineSimilarity(embeddings.get(a)!, embeddings.get(b)!));
    const scored = usable.map(({ same, fold }, k) => ({ score: scores[k], same, fold }));
    const report: PairReport = {
      title,
      ...runMetadata(gpu.description, commit),
      model: describedModel(opened, embedding),
      data: {
        images: embeddings.size,
        ...(detector === undefined ? {} : { detector }),
        ...(options.enlarge ? { enlarged: options.enlarge } : {}),
        pairs: usable.length,
        skippedImages: [...missing.keys()],
        skippedPairs: list.pairs.length - usable.length,
        lostFolds: lostFolds.map((fold) => fold + 1),
      },
      seconds,
      figures: verificationFigures(scored),
    };
    const path = join(options.out, base);
    await writeFileAtomic(`${path}.svg`, rocPlot(`${title}: ${opened.name}`, scored));
    await writeFileAtomic(`${path}.csv`, scoresCsv(usable, scores));
    await writeFileAtomic(`${path}.md`, pairReportMarkdown(report, `${base}.svg`));
    await writeFileAtomic(`${path}.json`, `${JSON.stringify(report, null, 2)}\n`);
    print(pairSummary(report));
    if (options.saveFigures) await keepFigures(report, embedding);
    for (const extension of extensions) say(`${path}.${extension}`);
  });
}

/** The recogniser as a report describes it. */
function describedModel(
  { name, modelId, recognizer }: ReadRecognizer,
  embedding: 'single' | 'flip',
): PairReport['model'] {
  const { width, height, dimension } = recognizer;
  return {
    name,
    id: modelId,
    input: `RGB ${width}×${height} (width×height)`,
    embedding:
      embedding === 'single'
        ? `${dimension} values of the picture alone`
        : `${dimension} values of the picture and as many of its mirror image, concatenated`,
  };
}

/** Keeps the figures for `cameo verify`. */
async function keepFigures({ model, figures, command }: PairReport, embedding: 'single' | 'flip'): Promise<void> {
  const { pairs, accuracy, standardError, tar } = figures;
  await saveLfwFigures(
    model.id,
    { name: model.name, embedding },
    { pairs, accuracy, standardError, tar: tar.tar, far: tar.far, command },
  );
  say(`figures for cameo verify: ${thresholdsPath()}`);
}
