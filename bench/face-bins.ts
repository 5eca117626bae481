import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheFile, encodingsFolder, recognizerPlaces } from '../src/cli/places.js';
import { expectKind, readWeights, weightsPath } from '../src/cli/weights.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { openRecognizer } from '../src/data/checkpoints/recognizer-source.js';
import { ensureFolder, writeFileAtomic } from '../src/data/files/atomic-file.js';
import { EncodingCache } from '../src/evaluation/codecs/encoding-cache.js';
import { JPEG2000 } from '../src/evaluation/codecs/jpeg2000.js';
import { WEBP } from '../src/evaluation/codecs/webp.js';
import { baselineEncoder, cameoEncoder } from '../src/evaluation/comparison/face-encoders.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import { cosineSimilarity } from '../src/evaluation/metrics/verification.js';
import { psnrInside } from '../src/evaluation/quality/face-bins.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { embedFaces } from '../src/evaluation/verification/embed-pictures.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { drawBinFaces, type Face, MIN_SCORE, openBinFaces, SEED } from './face-bins-faces.js';
import { type Border, binMeans, binTables, type Figures, figuresKey } from './face-bins-tables.js';

/*
 * npx tsx bench/face-bins.ts [--split test] [--faces 160] [--budgets 300,500] [--recognizers mobilefacenet-ms1m] [--out DIR]:
 * compares codecs on faces of photographs and profile photographs, in bins of how far the face is turned, of how much of the
 * crop lies outside of the photograph, and of the face's size there; with the photograph mirrored at its border, and with black
 * there. Writes results/bins/report.json and report.md. Encodings are kept in the cache.
 */

const { values: options } = parseArgs({
  options: {
    split: { type: 'string', default: 'test' },
    faces: { type: 'string', default: '160' },
    budgets: { type: 'string', default: '300,500' },
    recognizers: { type: 'string', default: 'mobilefacenet-ms1m' },
    out: { type: 'string', default: 'results/bins' },
  },
});
const budgets = options.budgets.split(',').map(Number);
const recognizerNames = options.recognizers.split(',');

const commit = gitCommit();
const { faces: all, leftOut } = await openBinFaces(options.split);
const faces = drawBinFaces(all, Number(options.faces));
const weights = expectKind(await readWeights(weightsPath(undefined, 'codec')), 'codec').file;
const gpu = await openGpu();
const codec = FaceCodec.fromKlt(gpu, weights);
const cache = new EncodingCache(encodingsFolder());
const recognizers = await Promise.all(recognizerNames.map((name) => openRecognizer(gpu, name, recognizerPlaces())));

/** Embeddings of pictures by each recogniser. */
const embed = async (pictures: readonly Uint8Array[]): Promise<Float32Array[][]> => {
  const byRecognizer: Float32Array[][] = [];
  for (const recognizer of recognizers) {
    const file = cacheFile('embeddings', `bins-${recognizer.modelId}.safetensors`);
    byRecognizer.push(await embedFaces(gpu, recognizer, pictures, { flip: false, cache: file }));
  }
  return byRecognizer;
};

/** Measures crops by every codec at every budget, into the faces' figures. */
async function measure(border: Border, members: readonly Face[]): Promise<void> {
  const given = members.map(({ crops }) => crops[border]);
  const originals = await embed(given);
  for (const encoder of encoders) {
    for (const budget of budgets) {
      const started = performance.now();
      const restored = await encoder.encodeAll(given, budget, () => {});
      const fitting = [...members.keys()].filter((k) => restored[k]);
      const embedded = await embed(fitting.map((k) => restored[k]!.rgb));
      const key = figuresKey(border, encoder.name, budget);
      for (const face of members) face.figures[key] = null;
      for (const [n, k] of fitting.entries()) {
        const { size, rgb } = restored[k]!;
        const figures: Figures = {
          bytes: size,
          psnr: psnr(given[k], rgb),
          inside: psnrInside(given[k], rgb, members[k].outside),
          distances: recognizers.map((_, r) => 1 - cosineSimilarity(originals[r][k], embedded[r][n])),
        };
        members[k].figures[key] = figures;
      }
      console.log(`${key}: ${members.length} faces, ${((performance.now() - started) / 1000).toFixed(0)} s`);
    }
  }
}

const encoders = [cameoEncoder(codec, cache), baselineEncoder(WEBP, cache), baselineEncoder(JPEG2000, cache)];
try {
  await measure('mirrored', faces);
  const bordered = faces.filter(({ border }) => border > 0);
  await measure('black', bordered);
  // Without a border, the crops are the same.
  for (const { border, figures } of faces) {
    if (border > 0) continue;
    for (const key of Object.keys(figures)) figures[key.replace('mirrored', 'black')] = figures[key];
  }
  await writeReport(bordered.length);
} finally {
  for (const recognizer of recognizers) recognizer.dispose();
  codec.dispose();
  gpu.destroy();
}

async function writeReport(bordered: number): Promise<void> {
  const codecs = encoders.map(({ name }) => name);
  const means = binMeans(faces, { codecs, budgets, recognizers: recognizerNames });
  const metadata = {
    ...runMetadata(gpu.description, commit),
    command: `npx tsx bench/face-bins.ts ${process.argv.slice(2).join(' ')}`.trim(),
  };
  const measured = faces.map(({ crops: _, outside: __, ...face }) => face);
  const without = faces.filter(({ figures }) => Object.values(figures).includes(null)).length;
  const persons = new Set(faces.map(({ person }) => person)).size;
  const facts = [
    `${faces.length} faces of ${persons} persons, split ${options.split}, drawn with seed ${SEED} from ${all.length} (${leftOut} more have a detector's score below ${MIN_SCORE}, or cannot be aligned): as evenly as they allow over the bins of turn and border. So “all” and the sets are no sample of photographs.`,
    'Turn: atan(n / h) from the five points that a detector set. n is the distance of the nose from the line from the middle of the eyes to that of the mouth, h half the distance between the eyes across that line. It takes the nose to be as far in front as an eye is from the middle. The points of the far side are guesses, and tend to make the turn smaller.',
    'Outside: share of the crop that is outside of the photograph. Eyes: distance between them in the photograph; it shrinks with the turn.',
    `Borders: the photograph continued by its mirror image, as alignment does it, or black. ${bordered} of the faces have a border; the others are the same crops in both.`,
    `Each codec gives the file of best PSNR that it finds within the bytes, for each face; Cameo: bare container, model ${codec.modelId}. 1 − cos: between the embeddings of the restored and the given crop, each with its border, without the mirror image; by recognisers that took no part in training. Faces for which a codec has no file: ${without}; they are left out of its budget's tables.`,
    'In brackets: 95 % intervals by persons resampled; for fewer than 5 persons none.',
  ];
  const titles = Object.fromEntries(encoders.map(({ name, title }) => [name, title]));
  const tables = binTables(means, titles).map(markdownTable).join('\n\n');
  await ensureFolder(options.out);
  const report = { ...metadata, seed: SEED, split: options.split, model: codec.modelId, means, faces: measured };
  const short = (_: string, value: unknown): unknown =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value;
  await writeFileAtomic(join(options.out, 'report.json'), `${JSON.stringify(report, short)}\n`);
  await writeFileAtomic(
    join(options.out, 'report.md'),
    `# Faces in bins of turn, border and size\n\n${listLines([...metadataTexts(metadata), ...facts])}\n\n${tables}\n`,
  );
}
