// suite: long
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { openRecognizer, type ReadRecognizer, readRecognizerOf } from '../../src/data/checkpoints/recognizer-source.js';
import { writePng } from '../../src/data/pictures/image.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { loadRecognizer, readRecognizer, writeRecognizer } from '../../src/models/recognizer-file.js';
import { readSafetensors } from '../../src/nn/safetensors.js';
import { saveState } from '../../src/nn/state.js';
import { DEFAULT_RECOGNITION_TRAINING, type RecognitionTrainingConfig } from '../../src/training/recognition-config.js';
import { RecognitionTrainer } from '../../src/training/recognition-trainer.js';
import { trainRecognition } from '../../src/training/train-recognition.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('recognition training');
const folder = mkdtempSync(join(tmpdir(), 'cameo-recognition-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const MODEL = { width: 96, height: 112, dimension: 16, channels: [4, 8, 8, 8], units: [0, 0, 1, 0] } as const;
const CONFIG: RecognitionTrainingConfig = {
  ...DEFAULT_RECOGNITION_TRAINING,
  model: { ...MODEL },
  steps: 12,
  batchSize: 8,
  warmUpSteps: 2,
  marginWarmUpSteps: 6,
};

const data = writeIdentities(folder);

const tensorsOf = (path: string) => readSafetensors(readFileSync(path)).tensors;

test('a run learns to distinguish identities, validates, and writes models that can be loaded', async () => {
  const gpu = await testGpu();
  const out = join(folder, 'learn');
  const losses: number[] = [];
  const config = { ...CONFIG, steps: 40, loss: { loss: 'cosface', scale: 16, margin: 0.2, lambda: 0 } as const };
  const result = await trainRecognition({
    gpu,
    config,
    data: await data,
    out,
    checkpointEvery: 20,
    onStep: ({ classification }) => losses.push(classification),
  });
  assert.ok(result.finished && result.steps === 40);
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b) / values.length;
  assert.ok(
    mean(losses.slice(-5)) < 0.6 * mean(losses.slice(0, 5)),
    `losses from ${losses.slice(0, 5)} to ${losses.slice(-5)}`,
  );
  assert.is(result.validation!.genuine, 4 * 6);
  assert.ok(result.validation!.accuracy > 0.5);
  const log = readFileSync(join(out, 'log.csv'), 'utf8').trim().split('\n');
  assert.is(log.length, 41);
  for (const name of ['model', 'best']) {
    const file = readRecognizer(readFileSync(join(out, `${name}.safetensors`)));
    assert.is(file.description.architecture, 'cameo-face');
    loadRecognizer(gpu, file).dispose();
  }
});

test('a run that is stopped and resumed computes the same bits as an uninterrupted one', async () => {
  const gpu = await testGpu();
  const options = { gpu, config: CONFIG, data: await data, checkpointEvery: 5 };
  await trainRecognition({ ...options, out: join(folder, 'whole') });
  const stop = new AbortController();
  const stopped = await trainRecognition({
    ...options,
    out: join(folder, 'halves'),
    signal: stop.signal,
    onStep: ({ step }) => {
      if (step === 6) stop.abort();
    },
  });
  assert.is(stopped.finished, false);
  assert.is(stopped.steps, 7);
  const resumed = await trainRecognition({ ...options, out: join(folder, 'halves'), resume: true });
  assert.ok(resumed.finished);
  for (const file of ['model.safetensors', 'checkpoint.safetensors']) {
    const [whole, halves] = ['whole', 'halves'].map((run) => tensorsOf(join(folder, run, file)));
    assert.equal([...halves.keys()], [...whole.keys()]);
    for (const [name, { data: values }] of whole) assert.equal(halves.get(name)!.data, values, `${file}: ${name}`);
  }
});

test('a checkpoint of other settings or other identities is refused', async () => {
  const gpu = await testGpu();
  const trainer = new RecognitionTrainer(gpu, CONFIG, ['a', 'b']);
  const bytes = await trainer.checkpoint();
  trainer.dispose();
  for (const [config, names, message] of [
    [{ ...CONFIG, batchSize: 4 }, ['a', 'b'], /batchSize 8; this run has 4/],
    [CONFIG, ['a', 'c'], /identities/],
  ] as const) {
    const other = new RecognitionTrainer(gpu, config, names);
    const error = await rejection(() => other.restore(bytes), CheckpointError);
    assert.match(error.message, message);
    other.dispose();
  }
  const own = new RecognitionTrainer(gpu, { ...CONFIG, steps: 99 }, ['a', 'b']);
  own.restore(bytes); // more steps are allowed
  own.dispose();
});

test('margin and scale rise to those of the loss, and training steps use them', async () => {
  const gpu = await testGpu();
  const config = { ...CONFIG, marginWarmUpSteps: 3, firstScale: 4, loss: { ...CONFIG.loss, scale: 16, margin: 0.4 } };
  const trainer = new RecognitionTrainer(gpu, config, ['a', 'b']);
  const seen: [number, number][] = [];
  for (let step = 0; step < 6; step++) {
    seen.push([trainer.margin, trainer.scale]);
    trainer.step++;
  }
  trainer.dispose();
  const expected = [0.25, 0.5, 0.75, 1, 1, 1].map((rise) => [0.4 * rise, 4 + 12 * rise]);
  for (const [k, [m, s]] of seen.entries()) {
    assert.ok(
      Math.abs(m - expected[k][0]) < 1e-12 && Math.abs(s - expected[k][1]) < 1e-12,
      `step ${k}: m ${m}, s ${s}`,
    );
  }
  // With a vanishing scale all classes are equally likely, so the loss of the first step is ln 2.
  const flat = new RecognitionTrainer(gpu, { ...config, firstScale: 1e-6, marginWarmUpSteps: 1e9 }, ['a', 'b']);
  const images = new Float32Array(8 * 112 * 96 * 3).map((_, i) => (i % 7) / 7);
  const { classification } = await flat.train({ images, labels: [0, 1, 0, 1, 0, 1, 0, 1], teacher: null });
  flat.dispose();
  assert.ok(Math.abs(classification - Math.LN2) < 1e-4, `${classification}`);
});

test('a teacher pulls embeddings towards its own, also those of faces without a label', async () => {
  const gpu = await testGpu();
  const teacher = new CameoFace({ ...MODEL, channels: [4, 4, 4, 4] }).initialize(gpu, 9);
  const path = join(folder, 'teacher.safetensors');
  const tensors = await saveState(teacher);
  writeFileSync(path, writeRecognizer({ architecture: 'cameo-face', ...teacher.config }, tensors));
  teacher.dispose();
  // There is one more person with a single face, which has no label.
  mkdirSync(join(await data, 'train', 'lone'), { recursive: true });
  await writePng(join(await data, 'train', 'lone', '0.png'), {
    width: 96,
    height: 112,
    data: Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => (i * i) % 199),
  });
  const opened = await openRecognizer(gpu, path, { data: folder, own: path });
  const distances: number[] = [];
  const config = { ...CONFIG, steps: 30, distillation: 20, unlabelledBatch: 2 };
  await trainRecognition({
    gpu,
    config,
    data: await data,
    out: join(folder, 'taught'),
    teacher: opened,
    onStep: ({ distance }) => distances.push(distance),
  });
  opened.dispose();
  rmSync(join(await data, 'train', 'lone'), { recursive: true });
  assert.ok(distances[29] < 0.85 * distances[0], `distance to the teacher from ${distances[0]} to ${distances[29]}`);
  const error = await rejection(
    async () => trainRecognition({ gpu, config, data: await data, out: join(folder, 'none') }),
    ArgumentError,
  );
  assert.match(error.message, /needs a teacher/);
});

/** Weights for the network of `CONFIG`, read from a file. */
async function startingAt(name: string, seed: number, model = MODEL): Promise<ReadRecognizer> {
  const network = new CameoFace({ ...model }).initialize(await testGpu(), seed);
  const path = join(folder, `${name}.safetensors`);
  const tensors = await saveState(network);
  writeFileSync(path, writeRecognizer({ architecture: 'cameo-face', ...network.config }, tensors));
  network.dispose();
  return readRecognizerOf(path, { data: folder, own: path });
}

test('a run can start from the weights of a recogniser, records this, and resumes without them', async () => {
  const gpu = await testGpu();
  const from = await startingAt('start', 77);
  const options = { gpu, data: await data, checkpointEvery: 5 };
  // The learning rate is so small that no weight changes.
  const still = { ...CONFIG, steps: 1, learningRate: 1e-9, averageDecay: 0.5 };
  const tensors: Record<string, ReturnType<typeof tensorsOf>> = {};
  for (const [name, own] of [
    ['random', {}],
    ['from', { from }],
  ] as const) {
    await trainRecognition({ ...options, ...own, config: still, out: join(folder, `still ${name}`) });
    tensors[name] = tensorsOf(join(folder, `still ${name}`, 'checkpoint.safetensors'));
  }
  const near = (a: Float32Array, b: Float32Array) => a.every((value, k) => Math.abs(value - b[k]) < 1e-6);
  const network = new CameoFace({ ...MODEL });
  const weights = [...network.entries()].filter(([, { trainable }]) => trainable).map(([name]) => name);
  for (const prefix of ['model.network.', 'average.']) {
    for (const name of weights) {
      assert.ok(near(tensors.from.get(`${prefix}${name}`)!.data, from.tensors.get(name)!.data), `${prefix}${name}`);
    }
    assert.ok(
      weights.some((name) => !near(tensors.random.get(`${prefix}${name}`)!.data, from.tensors.get(name)!.data)),
    );
  }
  assert.ok(near(tensors.from.get('model.classes')!.data, tensors.random.get('model.classes')!.data), 'classes');

  const run = { ...options, config: CONFIG, from };
  await trainRecognition({ ...run, out: join(folder, 'from whole') });
  const out = join(folder, 'from halves');
  const stop = new AbortController();
  await trainRecognition({ ...run, out, signal: stop.signal, onStep: ({ step }) => step === 6 && stop.abort() });
  const other = await startingAt('other', 78);
  const refused = await rejection(() => trainRecognition({ ...run, out, from: other, resume: true }), CheckpointError);
  assert.is(
    refused.message,
    `the checkpoint's run started at the weights of start (${from.modelId}); this one is to start at the weights of other (${other.modelId})`,
  );
  const untold = await rejection(
    () => trainRecognition({ ...run, config: still, out: join(folder, 'still random'), resume: true }),
    CheckpointError,
  );
  assert.match(untold.message, /started at random weights; this one is to start at the weights of start/);
  await trainRecognition({ ...run, config: { ...CONFIG, steps: 9 }, out, resume: true }); // the same start may be given again
  await trainRecognition({ ...run, from: undefined, out, resume: true });
  const file = readRecognizer(readFileSync(join(out, 'model.safetensors')));
  assert.is(file.metadata.get('cameo.from'), `start ${from.modelId}`);
});

test('a run that started from the weights of a file computes the same bits when it is stopped and resumed', async () => {
  const gpu = await testGpu();
  const run = { gpu, data: await data, checkpointEvery: 5, config: CONFIG };
  const out = join(folder, 'from stopped');
  const stop = new AbortController();
  const from = await startingAt('start', 77);
  await trainRecognition({ ...run, from, out, signal: stop.signal, onStep: ({ step }) => step === 6 && stop.abort() });
  await trainRecognition({ ...run, out, resume: true });
  const whole = tensorsOf(join(folder, 'from whole', 'checkpoint.safetensors'));
  const halves = tensorsOf(join(out, 'checkpoint.safetensors'));
  for (const [name, { data: values }] of whole) assert.equal(halves.get(name)!.data, values, name);
});

test('weights of another network are refused, and the error names both networks', async () => {
  const gpu = await testGpu();
  const larger = await startingAt('larger', 1, { ...MODEL, channels: [4, 8, 8, 12] } as unknown as typeof MODEL);
  const out = join(folder, 'does not fit');
  const { message } = await rejection(
    async () => trainRecognition({ gpu, config: CONFIG, data: await data, out, from: larger }),
    ArgumentError,
  );
  assert.match(
    message,
    /larger, are of cameo-face \(channels \[4,8,8,12\], dimension 16, .*; the settings are of cameo-face \(channels \[4,8,8,8\], dimension 16/,
  );
  assert.not(existsSync(out));
});

test('a fixed head keeps its values, and the layers below it are trained', async () => {
  const gpu = await testGpu();
  const out = join(folder, 'fixed');
  const config = { ...CONFIG, model: { ...MODEL, head: 'full' as const }, steps: 2, fixedHead: true };
  const first = new CameoFace(config.model).initialize(gpu, 9);
  const path = join(folder, 'first.safetensors');
  writeFileSync(path, writeRecognizer({ architecture: 'cameo-face', ...config.model }, await saveState(first)));
  first.dispose();
  const from = await readRecognizerOf(path, { data: folder, own: path });
  await trainRecognition({ gpu, config, data: await data, out, from });
  const [before, after] = [tensorsOf(path), tensorsOf(join(out, 'model.safetensors'))];
  const same = (name: string): boolean =>
    after.get(name)!.data.every((value, i) => value === before.get(name)!.data[i]);
  for (const name of ['head.weight', 'headNorm.weight', 'headNorm.bias']) assert.ok(same(name), name);
  assert.not(same('layers.0.weight'));
  from.dispose();
  const refused = { gpu, config: { ...CONFIG, fixedHead: true }, data: await data, out: join(folder, 'no') };
  const error = await rejection(() => trainRecognition(refused), ArgumentError);
  assert.match(error.message, /fixedHead is true, which needs .* head "full"/);
});

test.run();
