import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheFile, encodingsFolder, recognizerPlaces } from '../src/cli/places.js';
import { expectKind, readWeights, weightsPath } from '../src/cli/weights.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { ArgumentError } from '../src/common/errors.js';
import { openRecognizer } from '../src/data/checkpoints/recognizer-source.js';
import { openFaceFolder } from '../src/data/faces/face-set.js';
import { ensureFolder, writeFileAtomic } from '../src/data/files/atomic-file.js';
import { EncodingCache } from '../src/evaluation/codecs/encoding-cache.js';
import { cameoEncoder } from '../src/evaluation/comparison/face-encoders.js';
import { meanOf } from '../src/evaluation/metrics/mean-of.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import { cosineSimilarity, tarAtFar } from '../src/evaluation/metrics/verification.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { gitCommit } from '../src/evaluation/reports/git-commit.js';
import { percent } from '../src/evaluation/reports/percent.js';
import { linePlot } from '../src/evaluation/reports/plot-svg.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { embedFaces } from '../src/evaluation/verification/embed-pictures.js';
import { FAR } from '../src/evaluation/verification/protocol.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * npx tsx bench/low-rates.ts --data FACES [--faces 400] [--budgets 40,60,80] [--recognizers dlib] [--out DIR]: from which size on is a
 * restored face still the person? Faces of split `val` are compressed to few bytes, and compared with the other, uncompressed faces of
 * the split. Writes low-rates.md and low-rates.svg. Encodings and embeddings are kept in the cache.
 */

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    faces: { type: 'string', default: '400' },
    sources: { type: 'string', default: 'photos' },
    budgets: { type: 'string', default: '40,50,60,70,80,100,120,150,200,300' },
    recognizers: { type: 'string', default: 'mobilefacenet-ms1m,dlib' },
    out: { type: 'string', default: 'results/codecs' },
  },
});
if (!options.data) throw new ArgumentError('--data is missing; expected a folder of aligned faces with identities');
const budgets = options.budgets.split(',').map(Number);
const names = options.recognizers.split(',');

const commit = gitCommit();
const set = await openFaceFolder(options.data, { split: 'val', sources: options.sources.split(',') });
const labelled = (await set.readable()).filter((index) => set.entries[index].identity !== '');
const every = Math.max(1, labelled.length / Number(options.faces));
const drawn = labelled.filter((_, k) => Math.floor(k / every) !== Math.floor((k - 1) / every));
const persons = drawn.map((index) => set.entries[index].identity);
const faces = await set.batch(drawn);

const gpu = await openGpu();
const codec = FaceCodec.fromKlt(gpu, expectKind(await readWeights(weightsPath(undefined, 'codec')), 'codec').file);
const encoder = cameoEncoder(codec, new EncodingCache(encodingsFolder()));
/** Scores of each compressed face with each other person's or own other face. */
function scores(compressed: readonly Float32Array[], originals: readonly Float32Array[]) {
  const genuine: number[] = [];
  const impostor: number[] = [];
  for (const [i, one] of compressed.entries()) {
    for (const [j, other] of originals.entries()) {
      if (i !== j) (persons[i] === persons[j] ? genuine : impostor).push(cosineSimilarity(one, other));
    }
  }
  return { genuine, impostor };
}

interface Row {
  budget: number;
  bytes: number;
  psnr: number;
  /** By recogniser: TAR, and the share of faces that are accepted as their own originals. */
  tars: number[];
  same: number[];
}

try {
  const recognizers = await Promise.all(names.map((name) => openRecognizer(gpu, name, recognizerPlaces())));
  const embed = async (pictures: readonly Uint8Array[]): Promise<Float32Array[][]> => {
    const all: Float32Array[][] = [];
    for (const recognizer of recognizers) {
      const cache = cacheFile('embeddings', `low-${recognizer.modelId}.safetensors`);
      all.push(await embedFaces(gpu, recognizer, pictures, { flip: false, cache }));
    }
    return all;
  };
  const originals = await embed(faces);
  const plain = originals.map((own) => {
    const { genuine, impostor } = scores(own, own);
    return { ...tarAtFar(genuine, impostor, FAR), genuine: genuine.length, impostor: impostor.length };
  });
  const rows: Row[] = [];
  for (const budget of budgets) {
    const files = await encoder.encodeAll(faces, budget, () => {});
    const missing = files.filter((file) => file === null).length;
    if (missing > 0) throw new ArgumentError(`${budget} bytes: ${missing} faces have no file this small`);
    const restored = await embed(files.map((file) => file!.rgb));
    rows.push({
      budget,
      bytes: meanOf(files.map((file) => file!.size)),
      psnr: meanOf(files.map((file, k) => psnr(faces[k], file!.rgb))),
      tars: restored.map((own, r) => {
        const { genuine, impostor } = scores(own, originals[r]);
        return tarAtFar(genuine, impostor, FAR).tar;
      }),
      same: restored.map((own, r) =>
        meanOf(own.map((one, k) => Number(cosineSimilarity(one, originals[r][k]) >= plain[r].threshold))),
      ),
    });
    console.log(JSON.stringify(rows.at(-1)));
  }
  for (const recognizer of recognizers) recognizer.dispose();

  const metadata = [
    `${faces.length} faces of ${new Set(persons).size} persons, split val, sources ${options.sources}; ${plain[0].genuine} genuine and ${plain[0].impostor} impostor pairs, each of a compressed and an uncompressed face`,
    'Recognisers embed the picture alone. TAR at FAR 0.001 has a threshold of its own in each row. “Itself” is the share of restored faces that are accepted as their own original at the threshold of uncompressed faces.',
    ...metadataTexts({
      ...runMetadata(gpu.description, commit),
      command: `npx tsx bench/low-rates.ts ${process.argv.slice(2).join(' ')}`.trim(),
    }),
  ];
  const table = markdownTable({
    title: 'Few bytes',
    columns: ['Bytes', 'Mean size', 'PSNR', ...names.flatMap((name) => [`TAR, ${name}`, `Itself, ${name}`])],
    rows: [
      ...rows.map(({ budget, bytes, psnr: quality, tars, same }) => [
        budget,
        bytes.toFixed(1),
        quality.toFixed(2),
        ...names.flatMap((_, r) => [percent(tars[r], 1), percent(same[r], 1)]),
      ]),
      ['uncompressed', '', '', ...plain.flatMap(({ tar }) => [percent(tar, 1), ''])],
    ],
  });
  await ensureFolder(options.out);
  await writeFileAtomic(
    join(options.out, 'low-rates.md'),
    `# Cameo at few bytes\n\n${listLines(metadata)}\n\n![TAR by bytes](low-rates.svg)\n\n${table}\n`,
  );
  const plot = linePlot({
    title: 'One of two faces compressed, split val',
    xLabel: 'bytes a face',
    yLabel: 'TAR at FAR 0.001, %',
    series: names.flatMap((name, r) => [
      { name, points: rows.map(({ bytes, tars }) => [bytes, 100 * tars[r]] as const), markers: true },
      {
        name: `${name}, uncompressed`,
        points: [budgets[0], budgets.at(-1)!].map((x) => [x, 100 * plain[r].tar] as const),
      },
    ]),
  });
  await writeFileAtomic(join(options.out, 'low-rates.svg'), plot);
} finally {
  codec.dispose();
  gpu.destroy();
}
