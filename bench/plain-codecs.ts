import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { lfwPerson, openLfwFaces } from '../src/cli/lfw-faces.js';
import { cacheFile, dataFolder, encodingsFolder, recognizerPlaces } from '../src/cli/places.js';
import { ArgumentError } from '../src/common/errors.js';
import { openRecognizer } from '../src/data/checkpoints/recognizer-source.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { readImage } from '../src/data/pictures/image.js';
import { EncodingCache } from '../src/evaluation/codecs/encoding-cache.js';
import type { ForeignCodec } from '../src/evaluation/codecs/foreign-codec.js';
import { COMMENT_BYTES, decodeJpeg2000, encodeJpeg2000AtMost, JPEG2000 } from '../src/evaluation/codecs/jpeg2000.js';
import { compareCodecs } from '../src/evaluation/comparison/compare-codecs.js';
import { baselineEncoder } from '../src/evaluation/comparison/face-encoders.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { accuracyText, percent } from '../src/evaluation/reports/percent.js';
import { deviceText, listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * tsx bench/plain-codecs.ts [--quick]: evaluates JPEG, JPEG2000 and WebP in colour and full size, with the same settings for every
 * face. (`cameo evaluate codecs` tunes the settings for each face.) Other publications report these figures, so they show whether
 * this program measures the same. It uses LFW View 2, with the embeddings of each picture and its mirror image, and writes
 * results/codecs/plain.md.
 */

const RECOGNIZER = 'mobilefacenet-casia';
const BUDGETS = [300, 500];

/** A codec that makes the file of the highest quality that fits the budget. */
function bySweep(title: string, encode: (picture: Sharp, quality: number) => Sharp): ForeignCodec {
  return {
    name: `plain-${title.toLowerCase()}`,
    title,
    version: `sharp ${sharp.versions.sharp}, 2`,
    async encode(rgb, width, height, maxBytes) {
      for (let quality = 100; quality >= 1; quality--) {
        const picture = sharp(rgb, { raw: { width, height, channels: 3 } });
        const bytes = new Uint8Array(await encode(picture, quality).toBuffer());
        if (bytes.length > maxBytes) continue;
        const decoded = await this.decode(bytes, width, height);
        return { bytes, size: bytes.length, rgb: decoded, settings: `quality ${quality}` };
      }
      return null;
    },
    decode: async (bytes) => (await readImage(bytes, { name: title })).data,
  };
}

const CODECS: readonly ForeignCodec[] = [
  bySweep('JPEG', (picture, quality) => picture.jpeg({ quality })),
  {
    name: 'plain-jpeg2000',
    title: 'JPEG2000',
    version: JPEG2000.version,
    async encode(rgb, width, height, maxBytes) {
      // Other programs keep OpenJPEG's comment in the file, so its bytes count here.
      const plain = [{ grey: false, decompositions: 3 }];
      const encoded = await encodeJpeg2000AtMost(rgb, width, height, maxBytes - COMMENT_BYTES, plain);
      return (
        encoded && { bytes: encoded.bytes, size: encoded.bytes.length + COMMENT_BYTES, rgb: encoded.rgb, settings: '' }
      );
    },
    decode: async (bytes) => (await decodeJpeg2000(bytes)).data,
  },
  bySweep('WebP', (picture, quality) => picture.webp({ quality })),
];

const args = process.argv.slice(2);
if (args.some((arg) => arg !== '--quick')) throw new ArgumentError(`"${args.join(' ')}"; expected --quick or nothing`);
const quick = args.length > 0;
const lfw = await openLfwFaces(join(dataFolder(), 'lfw'), { quick });
const gpu = await openGpu();
const recognizer = await openRecognizer(gpu, RECOGNIZER, recognizerPlaces());
try {
  const faces = await lfw.crops(() => {});
  const cache = new EncodingCache(encodingsFolder());
  const metadata = { ...runMetadata(gpu.description), command: ['tsx bench/plain-codecs.ts', ...args].join(' ') };
  const { conditions } = await compareCodecs({
    gpu,
    pairs: lfw.pairs,
    faces,
    personOf: lfwPerson,
    encoders: CODECS.map((codec) => baselineEncoder(codec, cache)),
    budgets: BUDGETS,
    recognizers: [recognizer],
    mixes: ['both', 'reference'],
    cacheOf: ({ modelId }, row) => cacheFile('embeddings', modelId, `${row}.safetensors`),
    sampleBudget: BUDGETS[0],
    run: { commit: metadata.commit, date: metadata.date, device: deviceText(metadata), command: metadata.command },
    onRow: ({ title, budget, verdicts: [both] }) =>
      console.log(title, budget, both ? accuracyText(both.figures) : 'no file this small for too many faces'),
  });
  const table = markdownTable({
    title: `${lfw.pairs.length} pairs of LFW View 2, ${RECOGNIZER}, picture and mirror image`,
    columns: ['Budget, bytes', 'Codec', 'PSNR, dB', 'Both compressed', 'TAR at FAR 1e-3', 'Only the first', 'No file'],
    rows: conditions.map(({ title, budget, psnr, verdicts: [both, reference], missing, faces }) => [
      budget ?? '—',
      title,
      Number.isFinite(psnr) ? psnr.toFixed(2) : '—',
      both ? accuracyText(both.figures) : '—',
      both ? percent(both.figures.tar.tar, 1) : '—',
      reference ? accuracyText(reference.figures) : '—',
      `${missing} of ${faces}`,
    ]),
    note: 'In colour and full size; of each face, the file of the highest quality that fits. JPEG and WebP are those of sharp; JPEG2000 has three decompositions and the comment that OpenJPEG writes.',
  });
  await writeFileAtomic(
    'results/codecs/plain.md',
    `# Codecs that are not tuned for each face\n\n${listLines(metadataTexts(metadata))}\n\n${table}\n`,
  );
} finally {
  recognizer.dispose();
  gpu.destroy();
}
