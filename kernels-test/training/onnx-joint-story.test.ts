// suite: long
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { readRecognizerOf } from '../../src/data/checkpoints/recognizer-source.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { MobileFaceNet } from '../../src/models/mobilefacenet.js';
import { recognizerToOnnx } from '../../src/models/onnx-networks.js';
import type { Recognizer } from '../../src/models/recognizer.js';
import { writeRecognizer } from '../../src/models/recognizer-file.js';
import { saveState } from '../../src/nn/state.js';
import { sum } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { square } from '../../src/ops/unary.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { DEFAULT_JOINT_TRAINING, DEFAULT_STAGE, type JointTrainingConfig } from '../../src/training/joint-config.js';
import { cameoHere } from '../cli/cli-here.js';
import { writeDrawnFaces } from '../helpers/drawn-faces.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('onnx joint story');
const folder = mkdtempSync(join(tmpdir(), 'cameo-onnx-story-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

const net = { channels: 4, blocks: 1 };
const CONFIG: JointTrainingConfig = {
  ...DEFAULT_JOINT_TRAINING,
  model: {
    ...DEFAULT_JOINT_TRAINING.model,
    band: { luma: [24, 20], chroma: [20, 16] },
    components: [4, 2],
    analysis: net,
    synthesis: net,
  },
  batchSize: 4,
  rateWeight: 0.01,
  stages: [
    { ...DEFAULT_STAGE, name: 'codec', steps: 2, quantization: 'noise' },
    { ...DEFAULT_STAGE, name: 'joint', steps: 30, distance: 20, cosface: 0.05, learningRate: 5e-3 },
    { ...DEFAULT_STAGE, name: 'tuned', steps: 1, distance: 20, cosface: 0.05, recognizer: 'trained' },
  ],
};

const run = async (...args: string[]) => {
  const { code, stderr } = await cameoHere(args);
  assert.is(code, 0, stderr);
};

/** The ONNX file of a small recogniser of random weights. */
async function watcher(name: string, width: number): Promise<string> {
  const size = { width, height: 112, dimension: 16, channels: [4, 8, 8, 8], units: [0, 0, 1, 0] } as const;
  const network = new CameoFace(size).initialize(await testGpu(), 5);
  const file = writeRecognizer({ architecture: 'cameo-face', ...network.config }, await saveState(network));
  writeFileSync(at(`${name}.safetensors`), file);
  network.dispose();
  await run('export', at(`${name}.safetensors`), '-o', at(`${name}.onnx`), '--layout', 'nchw');
  return at(`${name}.onnx`);
}

/** Trains with a recogniser. @returns the folder of the run */
async function trainedWith(recognizer: string, config: JointTrainingConfig, out: string): Promise<string> {
  const data = await writeDrawnFaces(at('faces'), { train: 20, val: 8 });
  writeFileSync(at('config.json'), JSON.stringify(config));
  const options = ['--config', at('config.json'), '--data', data, '--checkpoint-every', '16', '-o', at(out)];
  await run('train', 'codec', '--recognizers', recognizer, ...options);
  return at(out);
}

test('joint training against a recogniser of an ONNX file lowers the distance on held-out faces', async () => {
  const out = await trainedWith(await watcher('watcher', 96), CONFIG, 'out');
  const [head, ...rows] = readFileSync(join(out, 'log.csv'), 'utf8').trim().split('\n');
  const columns = head.split(',');
  const held = rows.flatMap((row) => {
    const values = row.split(',');
    const own = columns.flatMap((name, k) =>
      /^val_distance/.test(name) && values[k] !== '' ? [Number(values[k])] : [],
    );
    return own.length > 0 ? [own.reduce((a, b) => a + b) / own.length] : [];
  });
  // The stages end: without the recogniser, with it, and when it has changed.
  const [alone, joint] = [held[0], held[held.length - 2]];
  assert.ok(joint < 0.8 * alone, `1 − cos on held-out faces: ${held}`);
  const tuned = await readRecognizerOf(join(out, 'recognizer-watcher.onnx'), { data: folder, own: folder });
  assert.equal([tuned.recognizer.width, tuned.recognizer.height, tuned.recognizer.dimension], [96, 112, 16]);
});

test('a recogniser of faces of 112×112 takes part, too', async () => {
  const stages = [{ ...CONFIG.stages[1], steps: 1, cosface: 0 }];
  const out = await trainedWith(await watcher('wide', 112), { ...CONFIG, stages }, 'wide');
  const [head, row] = readFileSync(join(out, 'log.csv'), 'utf8').split('\n');
  const distance = Number(row.split(',')[head.split(',').indexOf('distance')]);
  assert.ok(distance > 0.05 && distance < 1, `${distance}`);
});

/** Embeddings of two pictures, and the gradient of the sum of their squares by the pictures. */
async function measured(network: Recognizer): Promise<Float32Array[]> {
  const gpu = await testGpu();
  const { width, height } = network;
  const x = Tensor.from(gpu, randomValues(2 * height * width * 3, 1, [0, 1]), [2, height, width, 3]);
  const results = scope(gpu, () => {
    const tape = new Tape();
    const [embeddings, loss] = tape.record(() => {
      const found = network.embed(x);
      return [found, sum(square(found))];
    });
    return [embeddings, tape.gradients(loss, [x]).get(x)!];
  });
  const values = await Promise.all(results.map((one) => one.read()));
  for (const one of [x, ...results]) one.dispose();
  return values;
}

test('the gradient through a MobileFaceNet of an ONNX file is that of the same weights here', async () => {
  const gpu = await testGpu();
  const network = new MobileFaceNet(32, 32).initialize(gpu, 2).eval();
  writeFileSync(at('mobilefacenet.onnx'), await recognizerToOnnx(network));
  const read = await readRecognizerOf(at('mobilefacenet.onnx'), { data: folder, own: folder });
  read.load(gpu);
  const [own, imported] = [await measured(network), await measured(read.recognizer)];
  assertClose('embeddings', imported[0], own[0]);
  assertClose('gradient', imported[1], own[1]);
  for (const one of [network, read]) one.dispose();
});

test.run();
