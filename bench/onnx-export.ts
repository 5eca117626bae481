import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readKlt } from '../src/codec/codec-weights.js';
import { CounterRandom } from '../src/common/random.js';
import { sizeOf } from '../src/common/shapes.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { loadKlt } from '../src/models/klt-file.js';
import { loadRefiner } from '../src/models/landmark-refiner.js';
import { loadAutoencoder, readAutoencoder } from '../src/models/model-file.js';
import {
  autoencoderToOnnx,
  detectorToOnnx,
  landmarksToOnnx,
  recognizerToOnnx,
  synthesisToOnnx,
} from '../src/models/onnx-networks.js';
import { loadRecognizer, readRecognizer } from '../src/models/recognizer-file.js';
import { loadSingleShot } from '../src/models/single-shot.js';
import {
  AvgPool2d,
  BatchNorm,
  Conv2d,
  ConvTranspose2d,
  Flatten,
  type Layer,
  Linear,
  MaxPool2d,
  PReLU,
  ReLU,
  Residual,
  Sequential,
  Sigmoid,
  Upsample,
} from '../src/nn/index.js';
import { exportOnnx } from '../src/onnx/export/export.js';
import { affine } from '../src/ops/unary.js';
import { scope, Tensor } from '../src/tensor/tensor.js';

/*
 * tsx bench/onnx-export.ts [--random N] [--batch N] [--out results/onnx-export.md]: exports the shipped networks and N random ones to
 * ONNX, runs them in onnxruntime by bench/onnx_run.py, and compares the results with those of this engine. CAMEO_PYTHON names a Python with numpy and
 * onnxruntime, and with onnx for its checker (default: python3).
 */

const { values: given } = parseArgs({
  options: {
    random: { type: 'string', default: '20' },
    batch: { type: 'string', default: '2' },
    out: { type: 'string' },
  },
});
const batch = Number(given.batch);
const random = Number(given.random);

/** A network, its file, and what the engine computes of its inputs. */
interface Job {
  name: string;
  model(): Promise<Uint8Array>;
  inputs: Record<string, readonly number[]>;
  run(inputs: Record<string, Tensor>): Tensor;
  /** Values of an input; default: uniform in [0, 1). */
  values?: (name: string, random: CounterRandom) => number;
}

const gpu = await openGpu();
const metadata = runMetadata(gpu.description); // now, because files may change while the program runs
const weights = (name: string): Uint8Array => readFileSync(join(PACKAGE_ROOT, 'models', `${name}.safetensors`));

function shippedJobs(): Job[] {
  const centred = (x: Tensor): Tensor => affine(x, 255 / 128, -127.5 / 128);
  const recognizer = loadRecognizer(gpu, readRecognizer(weights('recognizer')));
  const detector = loadSingleShot(gpu, weights('face-detector'));
  const refiner = loadRefiner(gpu, weights('face-detector'))!;
  const synthesis = loadKlt(gpu, readKlt(weights('face')));
  const autoencoder = loadAutoencoder(gpu, readAutoencoder(weights('codec')));
  const first = Tensor.zeros(gpu, [1]);
  const { steps } = synthesis.config;
  const size = [256, 320] as const;
  return [
    {
      name: 'recognizer',
      model: () => recognizerToOnnx(recognizer),
      inputs: { faces: [batch, recognizer.height, recognizer.width, 3] },
      run: ({ faces }) => recognizer.embed(faces),
    },
    {
      name: `detector, ${size[1]}×${size[0]}`,
      model: () => detectorToOnnx(detector, size),
      inputs: { pictures: [batch, ...size, 3] },
      run: ({ pictures }) => detector.forward(centred(pictures)),
    },
    {
      name: 'landmarks',
      model: () => landmarksToOnnx(refiner),
      inputs: { crops: [batch, 64, 64, 3] },
      run: ({ crops }) => refiner.forward(centred(crops)),
    },
    {
      name: 'synthesis',
      model: () => synthesisToOnnx(synthesis),
      inputs: { values: [batch, synthesis.latentCount], q_index: [batch, 1] },
      run: ({ values, q_index }) =>
        synthesis.restore(values, {
          logGain: first,
          fineness: affine(q_index, 2 / (steps - 1), -1).view([batch, 1, 1, 1]),
        }),
      values: (name, numbers) =>
        name === 'q_index' ? Math.floor(numbers.uniform() * steps) : Math.round(numbers.normal()) / 8,
    },
    {
      name: "the autoencoder's decoder",
      model: () => autoencoderToOnnx(autoencoder, 0),
      inputs: { symbols: [batch, ...autoencoder.latentSize, autoencoder.config.latentChannels] },
      run: ({ symbols }) => autoencoder.restore(symbols, 0),
      values: (_, numbers) => Math.round(2 * numbers.normal()),
    },
  ];
}

/** A random network of pictures that ends in rows; each seed gives another. */
function randomNetwork(seed: number): { network: Sequential; shape: number[] } {
  const numbers = new CounterRandom(seed, 5);
  const pick = <T>(...list: readonly T[]): T => list[Math.floor(numbers.uniform() * list.length)];
  let [height, width, channels] = [pick(8, 11, 14), pick(9, 12, 16), pick(1, 3, 4)];
  const shape = [batch, height, width, channels];
  const layers: Layer[] = [];
  const activation = (): Layer =>
    pick<() => Layer>(
      () => new ReLU(),
      () => new PReLU(channels),
      () => new PReLU(),
      () => new Sigmoid(),
    )();
  for (let k = 0; k < 6; k++) {
    const kind = pick('conv', 'conv', 'depthwise', 'transposed', 'pool', 'average', 'upsample', 'residual');
    if (kind === 'conv') {
      const outputs = pick(4, 6, 8);
      const stride = height > 5 && width > 5 ? pick(1, 2) : 1;
      layers.push(new Conv2d(channels, outputs, 3, { stride, padding: 1, bias: pick(true, false) }));
      [height, width, channels] = [Math.ceil(height / stride), Math.ceil(width / stride), outputs];
    } else if (kind === 'depthwise') {
      layers.push(new Conv2d(channels, channels, 3, { groups: channels, padding: 2, dilation: 2 }));
    } else if (kind === 'transposed' && height < 20 && width < 20) {
      const outputs = pick(3, 4);
      layers.push(new ConvTranspose2d(channels, outputs, 4, { stride: 2, padding: 1 }));
      [height, width, channels] = [2 * height, 2 * width, outputs];
    } else if ((kind === 'pool' || kind === 'average') && height > 3 && width > 3) {
      layers.push(new (kind === 'pool' ? MaxPool2d : AvgPool2d)({ kernel: 3, stride: 2, padding: 1 }));
      [height, width] = [Math.ceil(height / 2), Math.ceil(width / 2)];
    } else if (kind === 'upsample' && height < 20 && width < 20) {
      layers.push(new Upsample(2, pick('nearest', 'bilinear')));
      [height, width] = [2 * height, 2 * width];
    } else if (kind === 'residual') {
      layers.push(new Residual(new Sequential([new Conv2d(channels, channels, 1), activation()])));
    }
    if (pick(true, false)) layers.push(new BatchNorm(channels));
    layers.push(activation());
  }
  layers.push(new Flatten(), new Linear(height * width * channels, 5));
  const network = new Sequential(layers).initialize(gpu, seed);
  for (const [name, { tensor }] of [...network.entries()].filter(([, { trainable }]) => !trainable)) {
    tensor.write(
      Float32Array.from({ length: tensor.size }, () => numbers.uniform() + (name.endsWith('var') ? 0.5 : -0.5)),
    );
  }
  network.eval();
  return { network, shape };
}

function randomJobs(): Job[] {
  return Array.from({ length: random }, (_, k) => {
    const { network, shape } = randomNetwork(k + 1);
    return {
      name: `random ${k + 1}`,
      model: async () => {
        const example = Tensor.zeros(gpu, [1, ...shape.slice(1)]);
        const bytes = await exportOnnx(network, example, { dynamicBatch: true });
        example.dispose();
        return bytes;
      },
      inputs: { input: shape },
      run: ({ input }) => network.forward(input),
      values: (_, numbers) => numbers.normal(),
    };
  });
}

interface Row {
  name: string;
  bytes: number;
  /** Milliseconds that the export took. */
  exported: number;
  expected: Float32Array;
  shape: readonly number[];
}

/** What onnx_run.py prints. */
interface Printed {
  onnxruntime: string;
  onnx: string | null;
  python: string;
  jobs: { outputs: Record<string, number[]>; ms: number }[];
}

const folder = mkdtempSync(join(tmpdir(), 'cameo-onnx-'));
const floats = (name: string): Float32Array =>
  new Float32Array(Uint8Array.from(readFileSync(join(folder, name))).buffer);

/** Writes the file and the inputs of a job, and computes what it should give. */
async function prepare(job: Job, k: number): Promise<{ row: Row; listed: object }> {
  const started = performance.now();
  const bytes = await job.model();
  const exported = performance.now() - started;
  writeFileSync(join(folder, `${k}.onnx`), bytes);
  const numbers = new CounterRandom(k, 9);
  const data = Object.entries(job.inputs).map(([name, shape]) => {
    const value = (): number => job.values?.(name, numbers) ?? numbers.uniform();
    return { name, shape, file: `${k}.${name}.in`, values: Float32Array.from({ length: sizeOf(shape) }, value) };
  });
  for (const { file, values } of data) writeFileSync(join(folder, file), values);
  const output = scope(gpu, () =>
    job.run(Object.fromEntries(data.map(({ name, shape, values }) => [name, Tensor.from(gpu, values, shape)]))),
  );
  const row = { name: job.name, bytes: bytes.length, exported, expected: await output.read(), shape: output.shape };
  output.dispose();
  return { row, listed: { model: `${k}.onnx`, inputs: data.map(({ values: _, ...rest }) => rest) } };
}

try {
  const rows: Row[] = [];
  const listed: object[] = [];
  for (const [k, job] of [...shippedJobs(), ...randomJobs()].entries()) {
    const done = await prepare(job, k);
    rows.push(done.row);
    listed.push(done.listed);
  }
  writeFileSync(join(folder, 'jobs.json'), JSON.stringify(listed));
  const script = fileURLToPath(new URL('onnx_run.py', import.meta.url));
  const printed: Printed = JSON.parse(
    execFileSync(process.env.CAMEO_PYTHON ?? 'python3', [script, folder], { encoding: 'utf8' }),
  );
  const results = rows.map((row, k) => {
    const [[name, shape]] = Object.entries(printed.jobs[k].outputs);
    if (`${shape}` !== `${row.shape}`)
      throw new Error(`${row.name}: onnxruntime gives [${shape}], the engine [${row.shape}]`);
    const found = floats(`${k}.onnx.${name}`);
    const largest = row.expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    const difference = row.expected.reduce((a, b, i) => Math.max(a, Math.abs(b - found[i])), 0);
    return { ...row, largest, difference, relative: difference / largest, ms: printed.jobs[k].ms };
  });
  const table = markdownTable({
    columns: ['Network', 'bytes', 'export, ms', 'onnxruntime, ms', 'largest value', 'largest difference', 'relative'],
    rows: results.map(({ name, bytes, exported, ms, largest, difference, relative }) => [
      name,
      `${bytes}`,
      exported.toFixed(0),
      ms.toFixed(2),
      largest.toPrecision(4),
      difference.toExponential(1),
      relative.toExponential(1),
    ]),
  });
  const worst = results.reduce((a, b) => (b.relative > a.relative ? b : a));
  const checker = printed.onnx ? `, each file checked by onnx ${printed.onnx}` : '';
  const report = [
    '# Networks exported to ONNX',
    '',
    listLines([
      `${results.length} networks at batch ${batch}, exported with the batch as a symbol; the random ones are Sequentials of random layers`,
      `onnxruntime ${printed.onnxruntime} on the CPU, Python ${printed.python}${checker}; the median of seven runs`,
      `Largest difference relative to the largest value of an output: ${worst.relative.toExponential(1)} (${worst.name})`,
      ...metadataTexts({
        ...metadata,
        command: `tsx bench/onnx-export.ts --random ${random} --batch ${batch} --out ${given.out ?? 'FILE'}`,
      }),
    ]),
    '',
    table,
    '',
  ].join('\n');
  console.log(report);
  if (given.out) await writeFileAtomic(given.out, report);
  if (worst.relative > 1e-5) throw new Error(`${worst.name} differs by ${worst.relative}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
  gpu.destroy();
}
