import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { dataFolder, recognizerPlaces } from '../src/cli/places.js';
import { expectKind, readWeights } from '../src/cli/weights.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { ArgumentError } from '../src/common/errors.js';
import { openRecognizer } from '../src/data/checkpoints/recognizer-source.js';
import { openFaceFolder } from '../src/data/faces/face-set.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { meanOf } from '../src/evaluation/metrics/mean-of.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import { cosineSimilarity } from '../src/evaluation/metrics/verification.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { embedFaces } from '../src/evaluation/verification/embed-pictures.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * tsx bench/quantized-weights.ts TRAINED QUANTISED [--bytes 300] [--faces 120]: measures on faces of split `val` what quantising the
 * codec's weights costs in PSNR, and in the distance of embeddings by a recogniser that had no part in training. Differences are
 * paired by face. It adds a row to results/quantized-weights.json and writes results/quantized-weights.md.
 */

const RECOGNIZER = 'mobilefacenet-ms1m';
const RESULTS = 'results/quantized-weights';

interface Row {
  bytes: number;
  faces: number;
  models: readonly [string, string];
  psnr: Figure;
  distance: Figure;
  device: string;
  command: string;
}
interface Figure {
  /** With the weights as trained, and with the quantised ones. */
  means: readonly [number, number];
  /** Standard error of the first mean. */
  error: number;
  /** Mean over faces of the quantised value less the trained one. */
  difference: number;
  /** Standard error of `difference`. */
  differenceError: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { bytes: { type: 'string', default: '300' }, faces: { type: 'string', default: '120' } },
});
const [maxBytes, limit] = [Number(values.bytes), Number(values.faces)];
if (positionals.length !== 2) throw new ArgumentError('expected two weights files: before and after');
if (!(maxBytes > 0 && limit > 1))
  throw new ArgumentError(
    `--bytes is ${values.bytes} and --faces is ${values.faces}; expected a number above 0 and one above 1`,
  );

const gpu = await openGpu();
const recognizer = await openRecognizer(gpu, RECOGNIZER, recognizerPlaces());
try {
  const set = await openFaceFolder(dataFolder(), { split: 'val', limit });
  const faces = await set.batch(await set.readable());
  const embed = (pictures: readonly Uint8Array[]) => embedFaces(gpu, recognizer, pictures, { flip: false });
  const originals = await embed(faces);
  const measure = async (path: string) => {
    const codec = FaceCodec.fromKlt(gpu, expectKind(await readWeights(path), 'codec').file);
    const restored = await codec.decode(await codec.encode(faces, { maxBytes }, 'bare'));
    codec.dispose();
    const embedded = await embed(restored);
    return {
      id: codec.modelId,
      psnr: faces.map((face, k) => psnr(face, restored[k])),
      distance: embedded.map((embedding, k) => 1 - cosineSimilarity(originals[k], embedding)),
    };
  };
  const [before, after] = [await measure(positionals[0]), await measure(positionals[1])];
  const row: Row = {
    bytes: maxBytes,
    faces: faces.length,
    models: [before.id, after.id],
    psnr: compare(before.psnr, after.psnr),
    distance: compare(before.distance, after.distance),
    device: gpu.description.device,
    command: `tsx bench/quantized-weights.ts ${process.argv.slice(2).join(' ')}`,
  };
  console.log(JSON.stringify(row));
  await report(row);
} finally {
  recognizer.dispose();
  gpu.destroy();
}

function compare(before: readonly number[], after: readonly number[]): Figure {
  const differences = after.map((value, k) => value - before[k]);
  const error = (all: readonly number[]): number =>
    Math.sqrt(all.reduce((sum, value) => sum + (value - meanOf(all)) ** 2, 0) / (all.length - 1) / all.length);
  return {
    means: [meanOf(before), meanOf(after)],
    error: error(before),
    difference: meanOf(differences),
    differenceError: error(differences),
  };
}

async function report(row: Row): Promise<void> {
  const earlier = readRows().filter(({ bytes, models }) => bytes !== row.bytes && models.join() === row.models.join());
  const rows = [...earlier, row].sort((a, b) => a.bytes - b.bytes);
  await writeFileAtomic(`${RESULTS}.json`, `${JSON.stringify(rows, null, 2)}\n`);
  const signed = (value: number, digits: number): string =>
    `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
  const cells = ({ means, error, difference, differenceError }: Figure, digits: number): string[] => [
    `${means[0].toFixed(digits)} ± ${error.toFixed(digits)}`,
    means[1].toFixed(digits),
    `${signed(difference, digits)} ± ${differenceError.toFixed(digits)}`,
  ];
  const table = markdownTable({
    title: 'Quantised weights of the codec on held-out faces',
    columns: ['Bytes', 'Faces', 'PSNR, dB', 'quantised', 'difference', '1 − cos, ms1m', 'quantised', 'difference'],
    rows: rows.map(({ bytes, faces, psnr, distance }) => [
      String(bytes),
      String(faces),
      ...cells(psnr, 3),
      ...cells(distance, 5),
    ]),
    note: `Means over faces of split val, with standard errors. Differences are paired by face. Models: ${row.models.join(' as trained, ')} quantised.`,
  });
  const metadata = { ...runMetadata(gpu.description), command: rows.map(({ command }) => command).join('; ') };
  await writeFileAtomic(
    `${RESULTS}.md`,
    `# Quantised weights of the codec\n\n${listLines(metadataTexts(metadata))}\n\n${table}\n`,
  );
}

function readRows(): Row[] {
  try {
    return JSON.parse(readFileSync(`${RESULTS}.json`, 'utf8')) as Row[];
  } catch {
    return [];
  }
}
