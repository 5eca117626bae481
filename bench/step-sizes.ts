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
import { Tape } from '../src/ops/tape.js';
import { affine, square } from '../src/ops/unary.js';
import { scope, Tensor } from '../src/tensor/tensor.js';

/*
 * tsx bench/step-sizes.ts [TRAINING-FACES VALIDATION-FACES]: tests whether other quantization steps of the components would keep
 * more of a face for a recogniser at the same bytes. First it measures on training faces how much each component matters to the
 * recognisers of joint training, and to squared error. It takes gradients of random projections for this: their mean square
 * estimates the diagonal of JᵀJ. Then it sets each step in proportion to 1/√importance, and tries the steps on validation
 * faces. It writes results/codecs/step-sizes.md.
 */

const RECOGNIZERS = ['mobilefacenet-casia', 'cameo'];
const BATCH = 8;
/** qIndex at which importance is measured; it makes some 300 bytes. */
const MEASURED_AT = 25;
/** qIndex values at which the steps are tried. */
const TRIED_AT = [23, 26];
const LAMBDA = 0.16;
/** Number of components that carry most bits at a few hundred bytes. Importance is divided by its mean over them. */
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

/**
 * For each component, the sum over faces of the squared gradients of the picture (`pixels`) and of each recogniser's unit embedding
 * (`embeddings`) with respect to its symbol, and of the squared value (`size`).
 */
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
      const results: Record<string, Tensor> = { values };
      for (const [k, judge] of [null, ...recognizers].entries()) {
        const tape = new Tape();
        const loss = tape.record(() => {
          const restored = model.reconstruct(symbols, step);
          const judged = judge ? l2Normalize(judge.recognizer.embed(restored)) : restored;
          const direction = Float32Array.from({ length: judged.size }, () => random.normal());
          return sum(mul(judged, Tensor.from(gpu, direction, judged.shape)));
        });
        results[`gradient${k}`] = tape.gradients(loss, [symbols]).get(symbols)!;
      }
      return results;
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

/** Compresses faces with the gain of each component multiplied by e^shift. The bytes are the entropy model's estimate. */
async function tryGains(faces: FaceSet, qIndex: number, shift: Float64Array): Promise<Tried> {
  const { logGain, fineness } = quantizationInputs(qIndex, model.config.steps);
  const scales = Float64Array.from(shift, (more, k) => Math.exp(logScale[k] + logGain0[k] + more + logGain));
  const costs = symbolCosts(scales);
  const result: Tried = { psnr: 0, bytes: 0, distances: recognizers.map(() => 0) };
  let n = 0;
  for await (const x of batches(faces)) {
    const finenessTensor = scalar(fineness);
    // analyseAtFirst does not use the gain.
    const values = scope(gpu, () => model.analyseAtFirst(x, { logGain: finenessTensor, fineness: finenessTensor }));
    const analysed = await values.read();
    const components = new Float32Array(BATCH * count);
    for (let b = 0; b < BATCH; b++) {
      const scaled = Float64Array.from(shift, (more, k) => analysed[b * count + k] * Math.exp(more + logGain));
      quantizeForRate(scaled, costs, LAMBDA).forEach((symbol, k) => {
        components[b * count + k] = symbol * Math.exp(logRestore[k] - logGain0[k] - shift[k] - logGain);
        result.bytes += bitsOf(costs, k, 0, Math.abs(symbol)) / 8;
      });
    }
    const { errors, ...cosines } = scope(gpu, () => {
      const y = model.fromComponents(Tensor.from(gpu, components, [BATCH, count]));
      const restored = affine(model.synthesisNet.forward(y, finenessTensor), 1, 0.5);
      const unit = (face: Tensor, k: number) => l2Normalize(recognizers[k].recognizer.embed(face));
      const results: Record<string, Tensor> = { errors: mean(square(sub(restored, x)), [1, 2, 3]) };
      for (const k of recognizers.keys()) results[`cosine${k}`] = sum(mul(unit(restored, k), unit(x, k)));
      return results;
    });
    for (const error of await errors.read()) result.psnr -= 10 * Math.log10(error);
    for (const [k, cosine] of Object.values(cosines).entries()) result.distances[k] += BATCH - (await cosine.item());
    for (const tensor of [finenessTensor, values, errors, ...Object.values(cosines)]) tensor.dispose();
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
    const average = leading.reduce((total, k) => total + list[k], 0) / leading.length;
    return list.map((value) => value / average);
  };
  const forPixels = relative(pixels);
  const byRecognizer = embeddings.map(relative);
  const forFaces = forPixels.map(
    (_, k) => byRecognizer.reduce((total, list) => total + list[k], 0) / byRecognizer.length,
  );
  const shiftOf = (share: number, power: number): Float64Array => {
    const logs = forPixels.map((value, k) => (power / 2) * Math.log((1 - share) * value + share * forFaces[k]));
    const average = leading.reduce((total, k) => total + logs[k], 0) / leading.length;
    return logs.map((value) => value - average);
  };
  const variants: [string, Float64Array][] = [
    ['as trained', new Float64Array(count)],
    ['for squared error', shiftOf(0, 1)],
    ['for both equally', shiftOf(0.5, 1)],
    ['for recognisers', shiftOf(1, 1)],
    ['for recognisers, half way', shiftOf(1, 0.5)],
  ];
  const rows: string[][] = [];
  for (const qIndex of TRIED_AT) {
    for (const [name, shift] of variants) {
      const { bytes, psnr, distances } = await tryGains(faces.validation, qIndex, shift);
      rows.push([
        String(qIndex),
        name,
        bytes.toFixed(1),
        psnr.toFixed(2),
        ...distances.map((distance) => distance.toFixed(4)),
      ]);
      console.log(rows.at(-1)!.join('  '));
    }
  }
  const metadata = { ...runMetadata(gpu.description), command: `tsx bench/step-sizes.ts ${training} ${validation}` };
  const table = markdownTable({
    title: 'Other step sizes of the components',
    columns: ['qIndex', 'Steps', 'Bytes (estimated)', 'PSNR, dB', ...RECOGNIZERS.map((name) => `1 − cos, ${name}`)],
    rows,
    note: `Importance measured on ${training} training faces at qIndex ${MEASURED_AT}, steps tried on ${validation} faces of other persons. Both recognisers were in joint training. Compare rows at equal bytes, by interpolating the row “as trained” between the two indices.`,
  });
  await writeFileAtomic(
    'results/codecs/step-sizes.md',
    `# Would other step sizes serve recognisers better?\n\n${listLines(metadataTexts(metadata))}\n\n${table}\n`,
  );
} finally {
  for (const recognizer of recognizers) recognizer.dispose();
  model.dispose();
  gpu.destroy();
}
