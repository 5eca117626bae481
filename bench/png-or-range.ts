import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { dataFolder } from '../src/cli/places.js';
import { expectKind, readWeights } from '../src/cli/weights.js';
import { AutoencoderCodec } from '../src/codec/autoencoder-codec.js';
import { BARE_HEADER_BYTES } from '../src/codec/container/face-bare.js';
import { decodeLatents, encodeLatents } from '../src/codec/entropy/latent-stream.js';
import { ArgumentError } from '../src/common/errors.js';
import { openFaceFolder } from '../src/data/faces/face-set.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { meanOf } from '../src/evaluation/metrics/mean-of.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { fitLatentModel } from '../src/training/entropy/fit-latent-model.js';

/*
 * tsx bench/png-or-range.ts [--model FILE] [--fit 600] [--faces 200]: bytes of the same map of symbols in a PNG and by our range coder,
 * whose tables are fitted to maps of split `train`. Faces are those of split `val`. Every code is decoded again and compared. Writes
 * results/paper/png-or-range.md.
 */

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/codec.safetensors' },
    fit: { type: 'string', default: '600' },
    faces: { type: 'string', default: '200' },
  },
});
const countOf = (name: 'fit' | 'faces'): number => {
  const count = Number(values[name]);
  if (!(Number.isInteger(count) && count > 1))
    throw new ArgumentError(`--${name} is ${values[name]}; expected a number`);
  return count;
};

const gpu = await openGpu();
try {
  const codec = AutoencoderCodec.fromWeights(gpu, expectKind(await readWeights(values.model), 'autoencoder').bytes);
  const [height, width] = codec.model.latentSize;
  const channels = codec.model.config.latentChannels;
  const size = height * width * channels;
  const [known, faces] = [await facesOf('train', countOf('fit')), await facesOf('val', countOf('faces'))];
  const rows: string[][] = [];
  for (let rate = 0; rate < codec.rates; rate++) {
    const maps = async (some: readonly Uint8Array[]) => {
      const files = await codec.encode(some, rate);
      return { files, symbols: files.map((file) => codec.unpack(file).symbols) };
    };
    const { symbols: learned } = await maps(known);
    const data = new Float32Array(learned.length * size);
    learned.forEach((one, n) => {
      data.set(one, n * size);
    });
    const tables = fitLatentModel(
      { data, count: learned.length, height, width, channels },
      { gain: [new Int32Array(channels)], steps: [0] },
    );
    const { files, symbols } = await maps(faces);
    const coded = symbols.map((one) => {
      const exact = Int16Array.from(one);
      const code = encodeLatents(exact, 0, tables);
      if (decodeLatents(code, 0, tables).some((symbol, k) => symbol !== exact[k])) {
        throw new Error(`rate ${rate}: a code does not give its symbols back`);
      }
      return code.length + BARE_HEADER_BYTES;
    });
    const png = meanOf(files.map(({ length }) => length));
    const range = meanOf(coded);
    rows.push([
      String(rate),
      png.toFixed(1),
      range.toFixed(1),
      `−${(png - range).toFixed(1)}`,
      `−${((100 * (png - range)) / png).toFixed(1)} %`,
    ]);
    console.log(rows[rows.length - 1].join('  '));
  }
  const metadata = {
    ...runMetadata(gpu.description),
    command: ['tsx bench/png-or-range.ts', ...process.argv.slice(2)].join(' '),
  };
  const about = `${listLines(metadataTexts(metadata))}\n- Means over ${faces.length} faces of split val, model ${codec.modelId}; the range coder's tables are fitted to ${known.length} faces of split train`;
  const table = markdownTable({
    title: 'The same map in two ways',
    columns: ['Rate', 'PNG, bytes', 'Range coder, bytes', 'Less', 'Share'],
    rows,
    note: `Bytes are of whole files. With the range coder that is the code and a header of ${BARE_HEADER_BYTES} bytes with model, rate and checksum, as in Cameo's smallest container. The coder knows the scale and the shape of each value's distribution, predicts values from earlier ones, and adapts to the face by the magnitudes decoded so far. It has tables for each rate. Symbols are the nearest ones, for both.`,
  });
  await mkdir('results/paper', { recursive: true });
  await writeFileAtomic('results/paper/png-or-range.md', `# PNG and range coder\n\n${about}\n\n${table}\n`);
  codec.dispose();
} finally {
  gpu.destroy();
}

async function facesOf(split: 'train' | 'val', limit: number): Promise<Uint8Array[]> {
  const set = await openFaceFolder(dataFolder(), { split, limit });
  return set.batch(await set.readable());
}
