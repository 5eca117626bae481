import { dataFolder, recognizerPlaces } from '../src/cli/places.js';
import { expectKind, readWeights, weightsPath } from '../src/cli/weights.js';
import { quantizeForRate } from '../src/codec/rate-distortion.js';
import { bitsOf, symbolCosts } from '../src/codec/trellis.js';
import { CounterRandom } from '../src/common/random.js';
import { openRecognizer } from '../src/data/checkpoints/recognizer-source.js';
import { FACE_BYTES, type FaceSet, openFaceFolder } from '../src/data/faces/face-set.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { quantizationInputs } from '../src/models/klt-autoencoder.js';
import { loadKlt } from '../src/models/klt-file.js';
import { writeUnitPixels } from '../src/models/unit-pixels.js';
import { mul, sub } from '../src/ops/binary.js';
import { l2Normalize } from '../src/ops/normalize.js';
import { mean, sum } from '../src/ops/reduce.js';
import { affine, square } from '../src/ops/unary.js';
import { Tape } from '../src/tensor/tape.js';
import { scope, Tensor } from '../src/tensor/tensor.js';

/*
 * tsx bench/step-sizes.ts [TRAINING-FACES VALIDATION-FACES]: would other step sizes of the components keep more of a face for a
 * recogniser at the same bytes? How much each component counts for the recognisers of joint training, and for squared
 * error, is measured by gradients of random projections (their mean square is a row of the diagonal of JᵀJ) on training
 * faces; steps are then set in proportion to its inverse root, and tried on validation faces. Writes
 * results/codecs/step-sizes.md.
 */

const RECOGNIZERS = ['mobilefacenet-casia', 'cameo'];
const BATCH = 8;
/** Where importance is measured: some 300 bytes. */
const MEASURED_AT = 25;
const TRIED_AT = [23, 26];
const LAMBDA = 0.16;
/** Components that carry most bits at a few hundred bytes: what importance is normalised by. */
const LEADING = 500;

const [training = 160, validation = 64] = process.argv.slice(2).map(Number);
const weights = expectKind(await readWeights(weightsPath(undefined, 'codec')), 'codec').file;
const gpu = await openGpu();
const model = loadKlt(gpu, weights);
const recognizers = await Promise.all(RECOGNIZERS.map((name) => openRecognizer(gpu, name, recognizerPlaces())));
const count = model.latentCount;
const parameter = (name: string): Float32Array => weights.tensors.get(name)!.data;
const [logGain0, logScale, logRestore] = ['logGain', 'logScale', 'logRestore'].map(parameter);
const random = new CounterRandom(1);

async function* batches(set: FaceSet): AsyncGenerator<Tensor> {
  const indices = await set.readable();
  for (let first = 0; first + BATCH <= indices.length; first += BATCH) {
    const faces = await set.batch(indices.slice(first, first + BATCH));
    const pixels = new Float32Array(BATCH * FACE_BYTES);
    writeUnitPixels(faces, pixels);
    const x = Tensor.from(gpu, pixels, [BATCH, model.config.height, model.config.width, 3]);
    yield x;
    x.dispose();
  }
}

const scalar = (value: number): Tensor => Tensor.from(gpu, [value], [1]);

/** Mean squared change of the picture, and of each recogniser's unit embedding, a squared symbol of each component. */
async function importance(
  faces: FaceSet,
): Promise<{ pixels: Float64Array; embeddings: Float64Array[]; size: Float64Array }> {
  const total = [null, ...recognizers].map(() => new Float64Array(count));
  const size = new Float64Array(count);
  const { logGain, fineness } = quantizationInputs(MEASURED_AT, model.config.steps);
  for await (const x of batches(faces)) {
    const { values, ...gradients } = scope(gpu, () => {
      const step = { logGain: scalar(logGain), fineness: scalar(fineness) };
      const values = model.analyse(x, step);
      const symbols = model.quantize(values, { mode: 'hard' });
      const found: Record<string, Tensor> = { values };
      for (const [k, watcher] of [null, ...recognizers].entries()) {
        const tape = new Tape();
        const loss = tape.record(() => {
          const restored = model.reconstruct(symbols, step);
          const seen = watcher ? l2Normalize(watcher.recognizer.embed(restored)) : restored;
          const direction = Float32Array.from({ length: seen.size }, () => random.normal());
          return sum(mul(seen, Tensor.from(gpu, direction, seen.shape)));
        });
        found[`of${k}`] = tape.gradients(loss, [symbols]).get(symbols)!;
      }
      return found;
    });
    const read = await Promise.all([values, ...Object.values(gradients)].map((tensor) => tensor.read()));
    read.forEach((list, which) => {
      const into = which === 0 ? size : total[which - 1];
      list.forEach((value, i) => {
        into[i % count] += value ** 2;
      });
    });
    for (const tensor of [values, ...Object.values(gradients)]) tensor.dispose();
  }
  return { pixels: total[0], embeddings: total.slice(1), size };
}

interface Tried {
  psnr: number;
  bytes: number;
  distances: number[];
}

/** Compresses faces with the gain of each component multiplied by e^shift; the bits are the model's own estimate. */
async function tryGains(faces: FaceSet, qIndex: number, shift: Float64Array): Promise<Tried> {
  const { logGain, fineness } = quantizationInputs(qIndex, model.config.steps);
  const scales = Float64Array.from(shift, (own, k) => Math.exp(logScale[k] + logGain0[k] + own + logGain));
  const costs = symbolCosts(scales);
  const result: Tried = { psnr: 0, bytes: 0, distances: recognizers.map(() => 0) };
  let n = 0;
  for await (const x of batches(faces)) {
    const told = scalar(fineness);
    const values = scope(gpu, () => model.analyseAtFirst(x, { logGain: told, fineness: told }));
    const found = await values.read();
    const components = new Float32Array(BATCH * count);
    for (let b = 0; b < BATCH; b++) {
      const scaled = Float64Array.from(shift, (own, k) => found[b * count + k] * Math.exp(own + logGain));
      quantizeForRate(scaled, costs, LAMBDA).forEach((symbol, k) => {
        components[b * count + k] = symbol * Math.exp(logRestore[k] - logGain0[k] - shift[k] - logGain);
        result.bytes += bitsOf(costs, k, 0, Math.abs(symbol)) / 8;
      });
    }
    const { errors, ...cosines } = scope(gpu, () => {
      const y = model.fromComponents(Tensor.from(gpu, components, [BATCH, count]));
      const restored = affine(model.synthesisNet.forward(y, told), 1, 0.5);
      const unit = (face: Tensor, k: number) => l2Normalize(recognizers[k].recognizer.embed(face));
      const all: Record<string, Tensor> = { errors: mean(square(sub(restored, x)), [1, 2, 3]) };
      for (const k of recognizers.keys()) all[`of${k}`] = sum(mul(unit(restored, k), unit(x, k)));
      return all;
    });
    for (const error of await errors.read()) result.psnr -= 10 * Math.log10(error);
    for (const [k, cosine] of Object.values(cosines).entries()) result.distances[k] += BATCH - (await cosine.item());
    for (const tensor of [told, values, errors, ...Object.values(cosines)]) tensor.dispose();
    n += BATCH;
  }
  return { psnr: result.psnr / n, bytes: result.bytes / n, distances: result.distances.map((sum) => sum / n) };
}

try {
  const faces = {
    training: await openFaceFolder(dataFolder(), { split: 'train', limit: training }),
    validation: await openFaceFolder(dataFolder(), { split: 'val', limit: validation }),
  };
  const { pixels, embeddings, size } = await importance(faces.training);
  const leading = [...size.keys()].sort((a, b) => size[b] - size[a]).slice(0, LEADING);
  const relative = (list: Float64Array): Float64Array => {
    const usual = leading.reduce((total, k) => total + list[k], 0) / leading.length;
    return list.map((value) => value / usual);
  };
  const forPixels = relative(pixels);
  const each = embeddings.map(relative);
  const forFaces = forPixels.map((_, k) => each.reduce((total, list) => total + list[k], 0) / each.length);
  const shiftOf = (share: number, power: number): Float64Array => {
    const logs = forPixels.map((value, k) => (power / 2) * Math.log((1 - share) * value + share * forFaces[k]));
    const usual = leading.reduce((total, k) => total + logs[k], 0) / leading.length;
    return logs.map((value) => value - usual);
  };
  const ways: [string, Float64Array][] = [
    ['as trained', new Float64Array(count)],
    ['for squared error', shiftOf(0, 1)],
    ['for both alike', shiftOf(0.5, 1)],
    ['for recognisers', shiftOf(1, 1)],
    ['for recognisers, half way', shiftOf(1, 0.5)],
  ];
  const rows: string[][] = [];
  for (const qIndex of TRIED_AT) {
    for (const [name, shift] of ways) {
      const { bytes, psnr, distances } = await tryGains(faces.validation, qIndex, shift);
      rows.push([String(qIndex), name, bytes.toFixed(1), psnr.toFixed(2), ...distances.map((one) => one.toFixed(4))]);
      console.log(rows.at(-1)!.join('  '));
    }
  }
  const metadata = { ...runMetadata(gpu.description), command: `tsx bench/step-sizes.ts ${training} ${validation}` };
  const table = markdownTable({
    title: 'Other step sizes of the components',
    columns: ['Index', 'Steps', 'Bytes (estimated)', 'PSNR, dB', ...RECOGNIZERS.map((name) => `1 − cos, ${name}`)],
    rows,
    note: `Importance on ${training} training faces at index ${MEASURED_AT}, tried on ${validation} faces of other persons. Both recognisers were in joint training. Rows are to be compared at equal bytes: between the two indices, along the row “as trained”.`,
  });
  await writeFileAtomic(
    'results/codecs/step-sizes.md',
    `# Would other step sizes serve recognisers better?\n\n${listLines(metadataTexts(metadata))}\n\n${table}\n`,
  );
} finally {
  for (const one of recognizers) one.dispose();
  model.dispose();
  gpu.destroy();
}
