import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheFile, dataFolder, encodingsFolder, recognizerPlaces } from '../src/cli/places.js';
import { expectKind, readWeights, weightsPath } from '../src/cli/weights.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { openRecognizer } from '../src/data/checkpoints/recognizer-source.js';
import { openFaceFolder } from '../src/data/faces/face-set.js';
import { ensureFolder, writeFileAtomic } from '../src/data/files/atomic-file.js';
import { EncodingCache } from '../src/evaluation/codecs/encoding-cache.js';
import { WEBP } from '../src/evaluation/codecs/webp.js';
import { baselineEncoder, cameoEncoder, type FaceEncoder } from '../src/evaluation/comparison/face-encoders.js';
import { PersonBootstrap } from '../src/evaluation/comparison/person-bootstrap.js';
import { type PersonMean, personMean } from '../src/evaluation/comparison/person-means.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import { cosineSimilarity } from '../src/evaluation/metrics/verification.js';
import { psnrInside } from '../src/evaluation/quality/face-bins.js';
import { joinedBorder, smoothlyContinued } from '../src/evaluation/quality/fill-border.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import type { ReportTable } from '../src/evaluation/reports/html-report.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { embedFaces } from '../src/evaluation/verification/embed-pictures.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { writeUnitPixels } from '../src/models/unit-pixels.js';
import { sub } from '../src/ops/binary.js';
import { concat } from '../src/ops/layout.js';
import { matmul } from '../src/ops/matmul/matmul.js';
import { mean } from '../src/ops/reduce.js';
import { affine, square } from '../src/ops/unary.js';
import { scope, Tensor } from '../src/tensor/tensor.js';
import { drawBinFaces, type Face, openBinFaces, SEED } from './face-bins-faces.js';
import { binsOf } from './face-bins-tables.js';

/*
 * npx tsx bench/face-bins-mends.ts [--faces 80] [--budget 300] [--out DIR]: what could help faces that are turned, or whose crop
 * reaches over the photograph's border, without training; on validation persons. Tries other continuations beyond the border,
 * and a choice for each face among codecs; measures what the principal components lack, and what other entropy tables would save. Writes results/bins/mends.md and .json.
 */

const JUDGE = 'mobilefacenet-ms1m';
/** Chooses; it took part in the codec's training. */
const CHOOSER = 'mobilefacenet-casia';
/** Rounds of encoding with what was restored beyond the border. */
const ROUNDS = 3;
/** Quantization index at which bytes are counted. */
const FIXED_INDEX = 25;
const BATCH = 16;

const { values: options } = parseArgs({
  options: {
    faces: { type: 'string', default: '80' },
    budget: { type: 'string', default: '300' },
    out: { type: 'string', default: 'results/bins' },
  },
});
const budget = Number(options.budget);
const commit = gitCommit();
const { faces: all } = await openBinFaces('val');
const faces = drawBinFaces(all, Number(options.faces));
const bootstrap = new PersonBootstrap(faces.map(({ person }) => person));
const read = async (path: string) => expectKind(await readWeights(path), 'codec').file;
const [weights, weightsOfError] = await Promise.all([
  read(weightsPath(undefined, 'codec')),
  read('models/face-mse.safetensors'),
]);
const gpu = await openGpu();
const codec = FaceCodec.fromKlt(gpu, weights);
const codecOfError = FaceCodec.fromKlt(gpu, weightsOfError);
const cache = new EncodingCache(encodingsFolder());
const [judge, chooser] = await Promise.all(
  [JUDGE, CHOOSER].map((name) => openRecognizer(gpu, name, recognizerPlaces())),
);

/** A face as it was restored, and what is known of it. */
interface Outcome {
  rgb: Uint8Array;
  inside: number;
  /** 1 − cos by the judge to the given crop with its mirrored border: as restored, and with that border put back. */
  distance: number;
  distanceInside: number;
  /** Mean cosine to the person's other photographs, less that of the uncompressed crop. */
  toOthers: number;
  chosenBy: { psnr: number; distance: number };
}

const embed = (recognizer: typeof judge, pictures: readonly Uint8Array[]): Promise<Float32Array[]> =>
  embedFaces(gpu, recognizer, pictures, {
    flip: false,
    cache: cacheFile('embeddings', `bins-${recognizer.modelId}.safetensors`),
  });

const given = faces.map(({ crops }) => crops.mirrored);
const ofAll = await embed(
  judge,
  all.map(({ crops }) => crops.mirrored),
);
const ofGiven = faces.map((face) => ofAll[all.indexOf(face)]);
const seenOfGiven = await embed(chooser, given);

function toOthers(face: Face, embedding: Float32Array): number {
  const others = all.flatMap((other, k) => (other !== face && other.person === face.person ? [ofAll[k]] : []));
  return others.reduce((sum, other) => sum + cosineSimilarity(embedding, other), 0) / others.length;
}

async function outcomes(restored: readonly Uint8Array[]): Promise<Outcome[]> {
  const pasted = restored.map((rgb, k) => joinedBorder(rgb, given[k], faces[k].outside));
  const embedded = await embed(judge, restored);
  const embeddedInside = await embed(judge, pasted);
  const seen = await embed(chooser, pasted);
  return faces.map((face, k) => {
    const inside = psnrInside(given[k], restored[k], face.outside);
    return {
      rgb: restored[k],
      inside,
      distance: 1 - cosineSimilarity(ofGiven[k], embedded[k]),
      distanceInside: 1 - cosineSimilarity(ofGiven[k], embeddedInside[k]),
      toOthers: toOthers(face, embedded[k]) - toOthers(face, ofGiven[k]),
      chosenBy: { psnr: inside, distance: 1 - cosineSimilarity(seenOfGiven[k], seen[k]) },
    };
  });
}

async function restoredBy(encoder: FaceEncoder, pictures: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const encoded = await encoder.encodeAll(pictures, budget, () => {});
  console.log(`${encoder.name}: ${pictures.length} faces`);
  return encoded.map((one, k) => one?.rgb ?? pictures[k].slice().fill(128));
}

const cameo = cameoEncoder(codec, cache);
const webp = baselineEncoder(WEBP, cache);

/** What the codec restores with each continuation beyond the border. */
async function fills(): Promise<Map<string, Outcome[]>> {
  const found = new Map<string, Outcome[]>();
  const smooth = given.map((rgb, k) => smoothlyContinued(rgb, faces[k].outside));
  const black = faces.map(({ crops }) => crops.black);
  found.set('Cameo, mirrored', await outcomes(await restoredBy(cameo, given)));
  found.set('Cameo, black', await outcomes(await restoredBy(cameo, black)));
  let restored = await restoredBy(cameo, smooth);
  found.set('Cameo, smooth', await outcomes(restored));
  for (let round = 1; round <= ROUNDS; round++) {
    // What costs few bytes is what the codec makes of it.
    restored = await restoredBy(
      cameo,
      given.map((rgb, k) => joinedBorder(rgb, restored[k], faces[k].outside)),
    );
    if (round !== 2) found.set(`Cameo, its own, ${round}×`, await outcomes(restored));
  }
  found.set('WebP, mirrored', await outcomes(await restoredBy(webp, given)));
  found.set('WebP, smooth', await outcomes(await restoredBy(webp, smooth)));
  return found;
}

/** What a choice among codecs for each face gives. */
async function choices(found: ReadonlyMap<string, Outcome[]>): Promise<Map<string, Outcome[]>> {
  const error = cameoEncoder(codecOfError, cache, 'Cameo, squared error', 'cameo-mse');
  const shipped = found.get('Cameo, mirrored')!;
  const own = found.get(`Cameo, its own, ${ROUNDS}×`)!;
  const squared = await outcomes(await restoredBy(error, given));
  const foreign = found.get('WebP, mirrored')!;
  const best = (lists: readonly Outcome[][], by: keyof Outcome['chosenBy']): Outcome[] =>
    faces.map((_, k) =>
      lists
        .map((list) => list[k])
        .reduce((a, b) =>
          (by === 'psnr' ? b.chosenBy.psnr > a.chosenBy.psnr : b.chosenBy.distance < a.chosenBy.distance) ? b : a,
        ),
    );
  return new Map([
    ['Cameo', shipped],
    ['Cameo, squared error', squared],
    ['WebP', foreign],
    ['Cameo or WebP, by PSNR', best([shipped, foreign], 'psnr')],
    ['Cameo or WebP, by a seen recogniser', best([shipped, foreign], 'distance')],
    ['Cameo or squared error, by PSNR', best([shipped, squared], 'psnr')],
    ['Cameo or squared error, by a seen recogniser', best([shipped, squared], 'distance')],
    ['Cameo mirrored or its own border, by a seen recogniser', best([shipped, own], 'distance')],
  ]);
}

/** What of a face the components hold, before anything is rounded. */
interface Held {
  /** Share of the energy about the mean face outside of the cosines' band, and outside of the components. */
  outsideBand: number;
  outsideComponents: number;
  /** Mean squared error of the projection, of samples in [0, 1]. */
  error: number;
  /** Bytes at a fixed quantization index. */
  bytes: number;
}

async function held(): Promise<Held[]> {
  const results: Held[] = [];
  const { model } = codec;
  const { height, width } = model.config;
  for (let first = 0; first < given.length; first += BATCH) {
    const batch = given.slice(first, first + BATCH);
    const pixels = new Float32Array(batch.length * height * width * 3);
    writeUnitPixels(batch, pixels);
    const x = Tensor.from(gpu, pixels, [batch.length, height, width, 3]);
    const errors = scope(gpu, () => {
      const centred = affine(x, 1, -0.5);
      const [symmetric, antisymmetric] = model.cosines(centred);
      const inBand = model.fromCosines([symmetric, antisymmetric]);
      const components = concat(
        [
          matmul(sub(symmetric, model.mean.tensor), model.basis[0].tensor),
          matmul(antisymmetric, model.basis[1].tensor),
        ],
        1,
      );
      const projected = model.fromComponents(components);
      const average = model.fromComponents(affine(components, 0, 0));
      const energy = (a: Tensor, b: Tensor) => mean(square(sub(a, b)), [1, 2, 3]);
      return { all: energy(centred, average), band: energy(centred, inBand), rest: energy(centred, projected) };
    });
    const [total, band, rest] = await Promise.all([errors.all.read(), errors.band.read(), errors.rest.read()]);
    const encoded = await codec.encode(batch, { qIndex: FIXED_INDEX }, 'bare');
    batch.forEach((_, k) => {
      results.push({
        outsideBand: band[k] / total[k],
        outsideComponents: rest[k] / total[k],
        error: rest[k],
        bytes: encoded[k].length,
      });
    });
    for (const tensor of [x, ...Object.values(errors)]) tensor.dispose();
  }
  return results;
}

/** Faces whose symbols a table is fitted to, and the weight of the other table in it, in faces. */
const FITTED = 300;
const PRIOR = 10;
/** From this turn on, faces are fitted apart, in degrees. */
const TURNED = 45;

const symbolsOf = async (crops: readonly Uint8Array[]): Promise<ArrayLike<number>[]> =>
  (await codec.symbolsOf([...crops], { qIndex: FIXED_INDEX })).map(({ symbols }) => symbols);

/** Mean size of each component's symbols. @param prior that of other faces, which counts as some faces more */
function sizesOf(symbols: readonly ArrayLike<number>[], prior?: Float64Array): Float64Array {
  const weight = prior ? PRIOR : 1;
  return Float64Array.from({ length: symbols[0].length }, (_, k) => {
    const sum = symbols.reduce((total, one) => total + Math.abs(one[k]), 0);
    return (sum + weight * (prior?.[k] ?? 0.01)) / (symbols.length + weight);
  });
}

/** Bytes of symbols by two-sided geometric distributions of these mean sizes: P(s) = (1 − t) / (1 + t) · t^|s|. */
function bytesBy(sizes: Float64Array, symbols: ArrayLike<number>): number {
  let bits = 0;
  sizes.forEach((size, k) => {
    // The mean of |s| is 2t / (1 − t²).
    const t = (Math.sqrt(1 + size * size) - 1) / size;
    bits -= Math.log2((1 - t) / (1 + t)) + Math.abs(symbols[k]) * Math.log2(t);
  });
  return bits / 8;
}

/** Bytes of each face by tables of the codec's training faces, and by tables of turned ones. */
async function bytesByTables(): Promise<{ usual: number; turned: number }[]> {
  const set = await openFaceFolder(dataFolder(), { split: 'train', limit: FITTED });
  const usual = sizesOf(await symbolsOf(await set.batch(await set.readable())));
  const { faces: profiles } = await openBinFaces('train', ['profiles']);
  const far = profiles.filter(({ turn }) => turn >= TURNED).slice(0, FITTED);
  const turned = sizesOf(await symbolsOf(far.map(({ crops }) => crops.mirrored)), usual);
  return (await symbolsOf(given)).map((symbols) => ({
    usual: bytesBy(usual, symbols),
    turned: bytesBy(turned, symbols),
  }));
}

const numbers = new Map(faces.map((face, k) => [face.path, k]));
const BINS = binsOf(faces).filter(({ bin }) => !bin.startsWith('eyes'));
const indices = (members: readonly { path: string }[]): number[] => members.map(({ path }) => numbers.get(path)!);
const meanOf = (members: readonly number[], of: (k: number) => number): PersonMean =>
  personMean(
    members.map(of),
    members.map((k) => faces[k].person),
    bootstrap,
  );
const show = (value: number, digits: number): string => `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(digits)}`;

type Measure = { name: string; digits: number; of: (outcome: Outcome) => number };
const MEASURES: readonly Measure[] = [
  { name: 'PSNR inside of the photograph, dB', digits: 2, of: ({ inside }) => inside },
  { name: `1 − cos, ${JUDGE}`, digits: 4, of: ({ distance }) => distance },
  { name: `1 − cos, ${JUDGE}, the given border put back`, digits: 4, of: ({ distanceInside }) => distanceInside },
  {
    name: `cos to the person's other photographs, ${JUDGE}, less that of the uncompressed crop`,
    digits: 4,
    of: (o) => o.toOthers,
  },
];

/** A table for each measure: bins by variant, and in brackets the 95 % interval of the difference from the first variant. */
function variantTables(what: string, found: ReadonlyMap<string, Outcome[]>): ReportTable[] {
  const [[, base]] = found;
  return MEASURES.map(({ name, digits, of }) => ({
    title: `${what}: ${name}`,
    columns: ['Bin', 'Faces', 'Persons', ...found.keys()],
    rows: BINS.map(({ bin, members }) => {
      const at = indices(members);
      const cells = [...found.values()].map((list) => {
        const text = show(meanOf(at, (k) => of(list[k])).mean, digits);
        const { interval } = meanOf(at, (k) => of(list[k]) - of(base[k]));
        if (list === base || !interval) return text;
        return `${text} (${show(interval.low, digits)} to ${show(interval.high, digits)})`;
      });
      return [bin, at.length, new Set(at.map((k) => faces[k].person)).size, ...cells];
    }),
    note: `In brackets: 95 % interval of the difference from the first column, by persons resampled.`,
  }));
}

/** @param restored the faces within the budget */
function heldTable(list: readonly Held[], restored: readonly Outcome[]): ReportTable {
  return {
    title: 'What the components hold, before anything is rounded',
    columns: [
      'Bin',
      'Faces',
      'Energy outside of the band of cosines',
      'Energy outside of the components',
      'PSNR of the projection, dB',
      `Error of the projection over that at ${budget} bytes`,
      `Bytes at quantization index ${FIXED_INDEX}`,
    ],
    rows: BINS.map(({ bin, members }) => {
      const at = indices(members);
      const cell = (of: (one: Held, k: number) => number, digits: number): string => {
        const { mean: average, interval } = meanOf(at, (k) => of(list[k], k));
        return `${show(average, digits)}${interval ? ` (${show(interval.low, digits)} to ${show(interval.high, digits)})` : ''}`;
      };
      return [
        bin,
        at.length,
        `${cell(({ outsideBand }) => 100 * outsideBand, 2)} %`,
        `${cell(({ outsideComponents }) => 100 * outsideComponents, 2)} %`,
        cell(({ error }) => -10 * Math.log10(error), 2),
        cell(({ error }, k) => error * 10 ** (psnr(given[k], restored[k].rgb) / 10), 2),
        cell(({ bytes }) => bytes, 0),
      ];
    }),
    note: 'Energy: squared difference from the mean face, of the crop with its mirrored border. The synthesis network may restore what the components do not hold. In brackets: 95 % intervals by persons resampled.',
  };
}

function tablesTable(list: readonly { usual: number; turned: number }[]): ReportTable {
  return {
    title: 'Entropy tables for turned faces',
    columns: [
      'Bin',
      'Faces',
      'Bytes by usual tables',
      'By tables of turned faces',
      'By the better of both',
      'Saved, %',
    ],
    rows: BINS.map(({ bin, members }) => {
      const at = indices(members);
      const best = (k: number): number => Math.min(list[k].usual, list[k].turned);
      const saved = meanOf(at, (k) => 100 * (1 - best(k) / list[k].usual));
      return [
        bin,
        at.length,
        meanOf(at, (k) => list[k].usual).mean.toFixed(1),
        meanOf(at, (k) => list[k].turned).mean.toFixed(1),
        meanOf(at, best).mean.toFixed(1),
        `${saved.mean.toFixed(1)}${saved.interval ? ` (${saved.interval.low.toFixed(1)} to ${saved.interval.high.toFixed(1)})` : ''}`,
      ];
    }),
    note: `The same symbols at quantization index ${FIXED_INDEX}, coded by a distribution for each component without contexts: fitted to ${FITTED} faces that the codec was trained on, or to up to ${FITTED} profile photographs of training persons that are turned by ${TURNED}° or more. An estimate of what a second set of tables in the model could save, which one bit of a face would choose.`,
  };
}

try {
  const components = await held();
  const filled = await fills();
  const chosen = await choices(filled);
  const tables = [
    ...variantTables('Beyond the border', filled),
    ...variantTables('A choice for each face', chosen),
    heldTable(components, filled.get('Cameo, mirrored')!),
    tablesTable(await bytesByTables()),
  ];
  const metadata = {
    ...runMetadata(gpu.description, commit),
    command: `npx tsx bench/face-bins-mends.ts ${process.argv.slice(2).join(' ')}`.trim(),
  };
  const facts = [
    `${faces.length} faces, split val, drawn with seed ${SEED} from ${all.length} as in report.md; ${budget} bytes; Cameo: model ${codec.modelId}, trained for squared error alone: ${codecOfError.modelId}`,
    'Beyond the border: what the encoder puts outside of the photograph. Smooth: each pixel is the mean of its neighbours. Its own: what the codec restored there, encoded again with what is inside, 1 or 3 times from smooth. Decoders need not know of it.',
    `A choice for each face: among what was restored. A seen recogniser: ${CHOOSER}. The choice itself is not counted in the bytes.`,
  ];
  await ensureFolder(options.out);
  const text = tables.map(markdownTable).join('\n\n');
  await writeFileAtomic(
    join(options.out, 'mends.md'),
    `# What could help turned and cut faces without training\n\n${listLines([...metadataTexts(metadata), ...facts])}\n\n${text}\n`,
  );
  await writeFileAtomic(join(options.out, 'mends.json'), `${JSON.stringify({ ...metadata, seed: SEED, tables })}\n`);
} finally {
  for (const one of [judge, chooser, codec, codecOfError]) one.dispose();
  gpu.destroy();
}
