import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { dataFolder } from '../src/cli/places.js';
import { expectKind, readWeights } from '../src/cli/weights.js';
import { deflateSmallest } from '../src/codec/png/deflate.js';
import { roundToSymbols } from '../src/codec/rounding.js';
import { ArgumentError } from '../src/common/errors.js';
import { openFaceFolder } from '../src/data/faces/face-set.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { meanOf } from '../src/evaluation/metrics/mean-of.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import type { Autoencoder } from '../src/models/autoencoder.js';
import { loadAutoencoder } from '../src/models/model-file.js';
import { writeUnitPixels } from '../src/models/unit-pixels.js';
import { scope, Tensor } from '../src/tensor/tensor.js';
import { solve } from '../src/training/entropy/fit-predictors.js';
import { PNG_FIT, PngRate } from '../src/training/png-rate.js';
import { largestFirst } from '../src/training/sort-channels.js';

/*
 * tsx bench/png-rate.ts [--model FILE] [--faces 60]: fits the estimate of src/training/png-rate.ts to the sizes of real files: the
 * deflated symbols of faces of split `train` at every rate, with steps of other sizes too, channels sorted by scale. Writes
 * results/paper/png-rate.md with the fit's errors on faces of split `val`, and of the fit in PNG_FIT.
 */

/** What multiplies a face's values before rounding, so that files of many sizes come. */
const FACTORS = [0.35, 0.6, 1, 1.3];
const BATCH = 10;

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/codec.safetensors' },
    faces: { type: 'string', default: '60' },
  },
});
const limit = Number(values.faces);
if (!(Number.isInteger(limit) && limit > 1)) throw new ArgumentError(`--faces is ${values.faces}; expected a number`);

/** One map of symbols. */
interface Sample {
  rate: number;
  factor: number;
  /** Of the deflated data, without zlib's frame. */
  bits: number;
  literals: number;
  runs: number;
  /** Estimate by a logistic distribution a channel, which the model was trained with. */
  logistic: number;
}
type Fit = (sample: Sample) => number;

const gpu = await openGpu();
const png = new PngRate(gpu);
try {
  const weights = expectKind(await readWeights(values.model), 'autoencoder');
  const model = loadAutoencoder(gpu, weights.file);
  const [train, val] = [await samplesOf(model, 'train'), await samplesOf(model, 'val')];
  const own = leastSquares(train, ({ literals, runs }) => [literals, runs, 1]);
  const plain = train.filter(({ factor }) => factor === 1);
  const channels = leastSquares(plain, ({ logistic }) => [logistic, 1]);
  const fits: [string, readonly number[], Fit, readonly Sample[]][] = [
    ['literals, runs, 1: fitted here', own, (s) => own[0] * s.literals + own[1] * s.runs + own[2], val],
    [
      'literals, runs, 1: as training uses it',
      Object.values(PNG_FIT),
      (s) => PNG_FIT.literals * s.literals + PNG_FIT.runs * s.runs + PNG_FIT.rest,
      val,
    ],
    [
      'logistic distribution a channel, 1: steps of the rates alone',
      channels,
      (s) => channels[0] * s.logistic + channels[1],
      val.filter(({ factor }) => factor === 1),
    ],
  ];
  const fitted = markdownTable({
    title: 'Fits',
    columns: ['Features', 'Coefficients', 'Maps', 'R.m.s. error', 'Maximum', 'Mean'],
    rows: fits.map(([name, coefficients, fit, samples]) => [
      name,
      coefficients.map((value) => value.toFixed(3)).join(', '),
      String(samples.length),
      ...errorsOf(samples, fit),
    ]),
    note: 'Relative errors of the deflated bits on split val. A file has some 70 bytes more, which hardly change, so its relative error is smaller.',
  });
  const sizes = markdownTable({
    title: 'Errors by size',
    columns: ['Rate', 'Factor', 'Deflated, bytes', 'Estimated', 'R.m.s. error', 'Maximum', 'Mean'],
    rows: Array.from({ length: model.config.rates }, (_, rate) => rate).flatMap((rate) =>
      FACTORS.map((factor) => {
        const some = val.filter((one) => one.rate === rate && one.factor === factor);
        const bytes = (of: Fit): string => (meanOf(some.map(of)) / 8).toFixed(1);
        return [
          String(rate),
          String(factor),
          bytes(({ bits }) => bits),
          bytes(fits[1][2]),
          ...errorsOf(some, fits[1][2]),
        ];
      }),
    ),
    note: 'Of the fit that training uses, on split val.',
  });
  const metadata = {
    ...runMetadata(gpu.description),
    command: ['tsx bench/png-rate.ts', ...process.argv.slice(2)].join(' '),
  };
  const about = `${listLines(metadataTexts(metadata))}\n- ${limit} faces of split train to fit, as many of split val to try; model ${weights.modelId}`;
  console.log(`${fitted}\n\n${sizes}`);
  await mkdir('results/paper', { recursive: true });
  await writeFileAtomic(
    'results/paper/png-rate.md',
    `# Estimating what PNG takes\n\n${about}\n\n${fitted}\n\n${sizes}\n`,
  );
  model.dispose();
} finally {
  png.dispose();
  gpu.destroy();
}

function errorsOf(samples: readonly Sample[], fit: Fit): string[] {
  const errors = samples.map((sample) => fit(sample) / sample.bits - 1);
  const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;
  const rms = Math.sqrt(meanOf(errors.map((error) => error * error)));
  return [percent(rms), percent(Math.max(...errors.map(Math.abs))), percent(meanOf(errors))];
}

async function samplesOf(model: Autoencoder, split: 'train' | 'val'): Promise<Sample[]> {
  const { height, width, latentChannels: channels, rates } = model.config;
  const [h, w] = model.latentSize;
  const size = h * w * channels;
  const set = await openFaceFolder(dataFolder(), { split, limit });
  const faces = await set.batch(await set.readable());
  const samples: Sample[] = [];
  for (let rate = 0; rate < rates; rate++) {
    const scales = await model.logScale[rate].tensor.read();
    const sorted = largestFirst(scales);
    for (let first = 0; first < faces.length; first += BATCH) {
      const batch = faces.slice(first, first + BATCH);
      const pixels = new Float32Array(batch.length * height * width * 3);
      writeUnitPixels(batch, pixels);
      const latents = await read(() => model.analyse(Tensor.from(gpu, pixels, [batch.length, height, width, 3]), rate));
      for (const factor of FACTORS) {
        const symbols = roundToSymbols(latents.map((value) => factor * value));
        // As a file has them, in NHWC order.
        const ordered = symbols.map((_, i) => symbols[i - (i % channels) + sorted[i % channels]]);
        const tensor = (data: Float32Array): Tensor => Tensor.from(gpu, data, [batch.length, h, w, channels]);
        const features = scope(gpu, () => png.features(tensor(ordered)));
        const [literals, runs] = [await features.literals.read(), await features.runs.read()];
        features.literals.dispose();
        features.runs.dispose();
        for (let n = 0; n < batch.length; n++) {
          const face = symbols.slice(n * size, (n + 1) * size);
          const own = ordered.subarray(n * size, (n + 1) * size);
          const planes = Array.from(own, (_, i) => own[(i % (h * w)) * channels + Math.floor(i / (h * w))] + 128);
          const [logistic] = await read(() => model.bits(Tensor.from(gpu, face, [1, h, w, channels]), rate));
          const bits = 8 * deflateSmallest(Uint8Array.of(0, ...planes), h * w).length;
          samples.push({ rate, factor, bits, literals: literals[n], runs: runs[n], logistic });
        }
      }
    }
  }
  return samples;
}

async function read(body: () => Tensor): Promise<Float32Array> {
  const tensor = scope(gpu, body);
  const data = await tensor.read();
  tensor.dispose();
  return data;
}

/** Coefficients of least squared relative error, by the normal equations. */
function leastSquares(samples: readonly Sample[], featuresOf: (sample: Sample) => number[]): number[] {
  const rows = samples.map((sample) => featuresOf(sample).map((value) => value / sample.bits));
  const total = (of: (row: readonly number[]) => number): number => rows.reduce((sum, row) => sum + of(row), 0);
  return solve(
    rows[0].map((_, a) =>
      Float64Array.of(
        ...rows[0].map((_, b) => total((row) => row[a] * row[b])),
        total((row) => row[a]),
      ),
    ),
  );
}
