import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { openRecognizer } from '../../src/data/checkpoints/recognizer-source.js';
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

test('a run learns to tell identities apart, validates, and writes models that load', async () => {
  const gpu = await testGpu();
  const out = join(folder, 'learn');
  const losses: number[] = [];
  const config = { ...CONFIG, steps: 40, loss: { loss: 'cosface', s: 16, m: 0.2, lambda: 0 } as const };
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

test('a run that was stopped and resumed computes the same bits as one that was not', async () => {
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

test('margin and scale rise to those of the loss, and the step uses them', async () => {
  const gpu = await testGpu();
  const config = { ...CONFIG, marginWarmUpSteps: 3, firstScale: 4, loss: { ...CONFIG.loss, s: 16, m: 0.4 } };
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
  // With a vanishing scale all classes are as likely: the loss of the first step is ln 2.
  const flat = new RecognitionTrainer(gpu, { ...config, firstScale: 1e-6, marginWarmUpSteps: 1e9 }, ['a', 'b']);
  const images = new Float32Array(8 * 112 * 96 * 3).map((_, i) => (i % 7) / 7);
  const { classification } = await flat.train({ images, labels: [0, 1, 0, 1, 0, 1, 0, 1], teacher: null });
  flat.dispose();
  assert.ok(Math.abs(classification - Math.LN2) < 1e-4, `${classification}`);
});

test('a teacher draws the embeddings near its own, also of faces without label', async () => {
  const gpu = await testGpu();
  const teacher = new CameoFace({ ...MODEL, channels: [4, 4, 4, 4] }).initialize(gpu, 9);
  const path = join(folder, 'teacher.safetensors');
  const tensors = await saveState(teacher);
  writeFileSync(path, writeRecognizer({ architecture: 'cameo-face', ...teacher.config }, tensors));
  teacher.dispose();
  // One more person with a single face: without label.
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

test.run();
