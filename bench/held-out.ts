import { dataFolder, recognizerPlaces } from '../src/cli/places.js';
import { expectKind, readWeights } from '../src/cli/weights.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { ArgumentError } from '../src/common/errors.js';
import { openRecognizer } from '../src/data/checkpoints/recognizer-source.js';
import { openFaceFolder } from '../src/data/faces/face-set.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { greyAsRgb } from '../src/evaluation/codecs/jpeg.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import { cosineSimilarity } from '../src/evaluation/metrics/verification.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { embedFaces } from '../src/evaluation/verification/embed-pictures.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * tsx bench/held-out.ts [--grey] NAME=FILE…: encodes held-out faces with several weights of the codec. Reports PSNR, and the
 * distance between the embeddings of the restored face and the original, by recognisers that were in the codec's training and by
 * others. It serves to choose among models without using LFW, and writes results/codecs/held-out.md. With --grey each face is
 * also encoded in grey, to see whether the bytes for its colours are better spent on the rest; this writes held-out-grey.md.
 */

const RECOGNIZERS = ['mobilefacenet-casia', 'cameo', 'mobilefacenet-ms1m', 'dlib'];
const FACES = 120;

const grey = process.argv[2] === '--grey';
const words = process.argv.slice(grey ? 3 : 2);
const BUDGETS = grey ? [200, 300] : [300, 500];
const models = words.map((word) => {
  const at = word.indexOf('=');
  if (at < 1) throw new ArgumentError(`"${word}"; expected NAME=FILE, where FILE has weights of the codec`);
  return { name: word.slice(0, at), path: word.slice(at + 1) };
});
if (models.length === 0) throw new ArgumentError('expected at least one NAME=FILE');
const files = await Promise.all(
  models.map(async ({ name, path }) => ({ name, weights: expectKind(await readWeights(path), 'codec').file })),
);

const gpu = await openGpu();
const recognizers = await Promise.all(RECOGNIZERS.map((name) => openRecognizer(gpu, name, recognizerPlaces())));
try {
  const set = await openFaceFolder(dataFolder(), { split: 'val', limit: FACES });
  const faces = await set.batch(await set.readable());
  /** The embeddings of the faces by each recogniser. */
  const embeddings = async (pictures: readonly Uint8Array[]): Promise<Float32Array[][]> => {
    const byRecognizer: Float32Array[][] = [];
    for (const recognizer of recognizers) {
      byRecognizer.push(await embedFaces(gpu, recognizer, pictures, { flip: false }));
    }
    return byRecognizer;
  };
  const originals = await embeddings(faces);
  const average = (of: (k: number) => number): number => faces.reduce((total, _, k) => total + of(k), 0) / faces.length;
  const rows: string[][] = [];
  for (const { name, weights } of files) {
    const codec = FaceCodec.fromKlt(gpu, weights);
    const kinds = grey
      ? [
          { kind: ', in colour', given: faces },
          { kind: ', in grey', given: faces.map(greyAsRgb) },
        ]
      : [{ kind: '', given: faces }];
    for (const [maxBytes, { kind, given }] of BUDGETS.flatMap((bytes) => kinds.map((kind) => [bytes, kind] as const))) {
      const encoded = await codec.encode(given, { maxBytes }, 'bare');
      const restored = await codec.decode(encoded);
      const restoredEmbeddings = await embeddings(restored);
      rows.push([
        String(maxBytes),
        `${name} (${codec.modelId})${kind}`,
        average((k) => encoded[k].length).toFixed(1),
        average((k) => psnr(faces[k], restored[k])).toFixed(2),
        ...restoredEmbeddings.map((embedded, r) =>
          average((k) => 1 - cosineSimilarity(originals[r][k], embedded[k])).toFixed(4),
        ),
      ]);
      console.log(rows.at(-1)!.join('  '));
    }
    codec.dispose();
  }
  const metadata = {
    ...runMetadata(gpu.description),
    command: `tsx bench/held-out.ts ${process.argv.slice(2).join(' ')}`,
  };
  const table = markdownTable({
    title: 'Models of the codec on held-out faces',
    columns: ['Budget, bytes', 'Model', 'Bytes', 'PSNR, dB', ...RECOGNIZERS.map((name) => `1 − cos, ${name}`)],
    rows: rows.sort((a, b) => Number(a[0]) - Number(b[0])),
    note: `Means over ${faces.length} faces of split val. The first two recognisers are part of joint training, the others are not.`,
  });
  await writeFileAtomic(
    `results/codecs/held-out${grey ? '-grey' : ''}.md`,
    `# Models of the codec on held-out faces\n\n${listLines(metadataTexts(metadata))}\n\n${table}\n`,
  );
} finally {
  for (const recognizer of recognizers) recognizer.dispose();
  gpu.destroy();
}
