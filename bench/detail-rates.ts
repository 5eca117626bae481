import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openLfwFaces } from '../src/cli/lfw-faces.js';
import { dataFolder } from '../src/cli/places.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { ArgumentError } from '../src/common/errors.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { AVIF_PAYLOAD } from '../src/evaluation/codecs/avif.js';
import { JPEG2000 } from '../src/evaluation/codecs/jpeg2000.js';
import { WEBP } from '../src/evaluation/codecs/webp.js';
import { meanOf } from '../src/evaluation/metrics/mean-of.js';
import { psnr } from '../src/evaluation/metrics/picture-quality.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * tsx bench/detail-rates.ts [FACES]: PSNR of the codec with and without its detail layer from 300 to 2,000 bytes, beside JPEG2000,
 * WebP and AVIF. It takes the faces of the quick part of LFW View 2, evenly spread, and writes results/codecs/detail.md.
 * Default: 24 faces, which takes some ten minutes, nearly all for AVIF.
 */

const BUDGETS = [300, 500, 700, 1000, 1500, 2000];
const OTHERS = [JPEG2000, WEBP, AVIF_PAYLOAD];

const words = process.argv.slice(2);
const count = Number(words[0] ?? 24);
if (words.length > 1 || !Number.isInteger(count) || count < 1) {
  throw new ArgumentError(`"${words.join(' ')}"; expected the number of faces or nothing`);
}

const lfw = await openLfwFaces(join(dataFolder(), 'lfw'), { quick: true });
const crops = [...(await lfw.crops(() => {})).values()];
const step = Math.max(1, Math.floor(crops.length / count));
const faces = crops.filter((_, k) => k % step === 0).slice(0, count);
const gpu = await openGpu();
const codec = FaceCodec.fromWeights(gpu, new Uint8Array(await readFile('models/face.safetensors')));
try {
  const { width, height } = codec.faceSize;
  const rows: string[][] = [];
  for (const maxBytes of BUDGETS) {
    const own = async (detail: boolean): Promise<{ quality: number; layers: number }> => {
      const files = await codec.encode(faces, { maxBytes, detail }, 'bare');
      const restored = await codec.decode(files);
      const layers = files.filter((file) => codec.unpack(file).detail).length;
      return { quality: meanOf(faces.map((face, k) => psnr(face, restored[k]))), layers };
    };
    const [before, after] = [await own(false), await own(true)];
    const others: string[] = [];
    for (const other of OTHERS) {
      const qualities: number[] = [];
      for (const face of faces) {
        const encoded = await other.encode(face, width, height, maxBytes);
        if (encoded) qualities.push(psnr(face, encoded.rgb));
      }
      others.push(qualities.length === faces.length ? meanOf(qualities).toFixed(2) : '—');
    }
    rows.push([
      String(maxBytes),
      before.quality.toFixed(2),
      after.quality.toFixed(2),
      `${after.layers} of ${faces.length}`,
      ...others,
    ]);
    console.log(rows.at(-1)!.join('  '));
  }
  const metadata = {
    ...runMetadata(gpu.description),
    command: ['tsx bench/detail-rates.ts', ...words].join(' '),
  };
  const table = markdownTable({
    title: `PSNR in dB, ${faces.length} faces of LFW`,
    columns: [
      'Budget, bytes',
      'Cameo without the layer',
      'Cameo',
      'Faces with a layer',
      ...OTHERS.map(({ title }) => title),
    ],
    rows,
    note: 'Means. Cameo in bare faces, whose header counts; a dash where a codec has no file this small for each face.',
  });
  await writeFileAtomic(
    'results/codecs/detail.md',
    `# The detail layer, by bytes\n\n${listLines(metadataTexts(metadata))}\n\n${table}\n`,
  );
} finally {
  codec.dispose();
  gpu.destroy();
}
