// suite: long
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import type { OpenRecognizer } from '../../src/data/checkpoints/recognizer-source.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { labelFaces } from '../../src/data/faces/identity-set.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { MobileFaceNet } from '../../src/models/mobilefacenet.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { hintDistance, hintTargets } from '../../src/training/hints.js';
import { RecognitionBatches } from '../../src/training/recognition-batches.js';
import { DEFAULT_RECOGNITION_TRAINING, type RecognitionTrainingConfig } from '../../src/training/recognition-config.js';
import { RecognitionTrainer } from '../../src/training/recognition-trainer.js';
import { trainRecognition } from '../../src/training/train-recognition.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('recognition hints');
const folder = mkdtempSync(join(tmpdir(), 'cameo-hints-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const CONFIG: RecognitionTrainingConfig = {
  ...DEFAULT_RECOGNITION_TRAINING,
  architecture: 'mobilefacenet',
  steps: 5,
  batchSize: 2,
  labelStart: 4,
  marginWarmUpSteps: 1,
  learningRate: 3e-4,
  warmUpSteps: 0,
  degrade: { share: 1, covered: 0, grey: 0 },
  distillation: 5,
  optimizer: 'muon',
  hints: 2,
  teacherForcingSteps: 3,
  averageDecay: 0.9,
};

const data = writeIdentities(join(folder, 'faces'));

/** An untrained network as a teacher. */
function teacherOf(gpu: Gpu, recognizer: CameoFace | MobileFaceNet): OpenRecognizer {
  recognizer.initialize(gpu, 1).eval();
  return { name: 'teacher', modelId: 'id', recognizer, dispose: () => recognizer.dispose() };
}

test('the distance of maps and its gradient follow the formula', async () => {
  const gpu = await testGpu();
  const shapes = [
    [2, 3, 5, 3],
    [3, 1, 1, 4],
  ];
  const sizes = shapes.map((shape) => shape.reduce((size, extent) => size * extent));
  const [own, theirs] = [0, 10].map((seed) => sizes.map((size, k) => randomValues(size, seed + k)));
  const tensors = (all: Float32Array[]): Tensor[] => all.map((values, k) => Tensor.from(gpu, values, shapes[k]));
  const maps = tensors(theirs);
  const targets = scope(gpu, () => hintTargets({ maps: () => maps }, Tensor.zeros(gpu, [1])));
  const student = tensors(own);
  const tape = new Tape();
  const { distance, gradients } = scope(gpu, () => {
    const distance = tape.record(() => hintDistance(student, targets));
    return { distance, gradients: tape.gradients(distance, student) };
  });
  let expected = 0;
  for (const [k, shape] of shapes.entries()) {
    const [size, channels] = [sizes[k], shape[3]];
    const means = Array.from({ length: channels }, (_, c) => {
      const values = theirs[k].filter((_value, i) => i % channels === c);
      return values.reduce((sum, value) => sum + value, 0) / values.length;
    });
    const variance = theirs[k].reduce((sum, value, i) => sum + (value - means[i % channels]) ** 2, 0) / size;
    assertClose('variance', await targets.variances[k].read(), [variance], { sumLength: size });
    const errors = Float64Array.from(own[k], (value, i) => value - theirs[k][i]);
    expected += errors.reduce((sum, error) => sum + error ** 2, 0) / size / variance / shapes.length;
    const wanted = errors.map((error) => (2 * error) / size / variance / shapes.length);
    assertClose('gradient', await gradients.get(student[k])!.read(), wanted, { sumLength: size });
  }
  assertClose('distance', await distance.read(), [expected], { sumLength: sizes[0] });
  for (const tensor of [...maps, ...targets.variances, ...student, ...gradients.values(), distance]) tensor.dispose();
});

test('each part can take the map that is given instead of its own', async () => {
  const gpu = await testGpu();
  const [teacher, student] = [1, 1].map((seed) => new MobileFaceNet().initialize(gpu, seed));
  for (const network of [teacher, student]) network.eval();
  const x = Tensor.from(gpu, randomValues(2 * 112 * 96 * 3, 3).map(Math.abs), [2, 112, 96, 3]);
  const theirs = scope(gpu, () => teacher.maps(x));
  assert.is(theirs.length, teacher.parts.length);
  const wanted = await Promise.all(theirs.map((map) => map.read()));
  const embeddings = scope(gpu, () => teacher.embed(x));
  assert.equal(await embeddings.read(), wanted[wanted.length - 1]);
  // One part of the student changes: alone if it is given the teacher's maps, and with all that follow otherwise.
  const changed = [...student.entries()].find(([name]) => name === 'blocks.3.conv.6.weight')![1];
  changed.set(gpu, randomValues(changed.tensor.size, 4));
  const differing = async (given?: readonly Tensor[]): Promise<number[]> => {
    const maps = scope(gpu, () => student.maps(x, given));
    const values = await Promise.all(maps.map((map) => map.read()));
    for (const map of maps) map.dispose();
    return values.flatMap((map, k) => (map.every((value, i) => value === wanted[k][i]) ? [] : [k]));
  };
  assert.equal(await differing(theirs), [5]);
  const following = Array.from({ length: theirs.length - 5 }, (_, k) => 5 + k);
  assert.equal(await differing(), following);
  for (const one of [teacher, student, x, embeddings, ...theirs]) one.dispose();
});

test('the teacher looks at faces that are not degraded, moved like those of the network', async () => {
  const set = await openFaceFolder(await data, { split: 'train' });
  const labelling = await labelFaces(set);
  const load = (change: Partial<RecognitionTrainingConfig>) =>
    new RecognitionBatches('faces', { ...CONFIG, ...change }, set, labelling).load(3);
  const { images, clean } = await load({});
  const plain = await load({ degrade: DEFAULT_RECOGNITION_TRAINING.degrade });
  assert.equal(clean, plain.images);
  assert.equal(plain.clean, plain.images);
  assert.not.equal(images, clean);
  assert.is((await load({ hints: 0, teacherForcingSteps: 0 })).clean, undefined);
});

test('a run with hints resumes to the same bits, with teacher forcing and after it', async () => {
  const gpu = await testGpu();
  const teacher = teacherOf(gpu, new MobileFaceNet());
  const faces = await data;
  const run = (out: string, more: object = {}) =>
    trainRecognition({ gpu, config: CONFIG, data: faces, out: join(folder, out), teacher, ...more });
  await run('whole', { checkpointEvery: 5 });
  for (const end of [1, 4]) {
    const stop = new AbortController();
    const onStep = ({ step }: { step: number }): void => {
      if (step === end - 1) stop.abort();
    };
    const stopped = await run('parts', { signal: stop.signal, onStep, checkpointEvery: 1, resume: end > 1 });
    assert.equal([stopped.finished, stopped.steps], [false, end]);
  }
  await run('parts', { resume: true, checkpointEvery: 1 });
  for (const name of ['model.safetensors', 'checkpoint.safetensors']) {
    const [whole, parts] = ['whole', 'parts'].map((out) => readFileSync(join(folder, out, name)));
    assert.ok(whole.equals(parts), `${name} differs`);
  }
  const [head, ...rows] = readFileSync(join(folder, 'parts', 'log.csv'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(','));
  const hints = rows.map((row) => Number(row[head.indexOf('hints')]));
  assert.is(hints.length, CONFIG.steps);
  assert.ok(hints.every((value) => value > 0));
  teacher.dispose();
});

test('steps on the same faces bring the maps nearer to those of the teacher', async () => {
  const gpu = await testGpu();
  const teacher = new MobileFaceNet().initialize(gpu, 1);
  teacher.eval();
  const trainer = new RecognitionTrainer(gpu, CONFIG, ['a', 'b'], undefined, teacher);
  const images = randomValues(2 * 112 * 96 * 3, 6).map(Math.abs);
  const hints: number[] = [];
  for (let step = 0; step < CONFIG.teacherForcingSteps; step++) {
    hints.push((await trainer.train({ images, clean: images, labels: [0, 1], teacher: null })).hints);
  }
  assert.ok(hints[1] < hints[0] && hints[2] < hints[1], `${hints}`);
  for (const one of [trainer, teacher]) one.dispose();
});

test('settings and teachers that do not fit are refused by name', async () => {
  const gpu = await testGpu();
  const mobile = teacherOf(gpu, new MobileFaceNet());
  const other = teacherOf(gpu, new CameoFace({ dimension: 128, channels: [4, 4, 4, 4], units: [0, 0, 0, 0] }));
  for (const [change, teacher, message] of [
    [{ hints: -1 }, mobile, /training: hints is -1; expected a number from 0/],
    [{ architecture: 'cameo-face' }, mobile, /hints is 2, which needs the architecture "mobilefacenet"/],
    [{ distillation: 0, labelStart: 0 }, undefined, /hints is 2, which needs a teacher/],
    [{ teacherViews: 2 }, mobile, /teacherViews is 2 and hints is 2/],
    [{ hints: 0 }, mobile, /teacherForcingSteps is 3, which needs hints above 0/],
    [{ teacherForcingSteps: 5 }, mobile, /teacherForcingSteps is 5; expected at most labelStart, 4/],
    [{ teacherForcingSteps: 0.5 }, mobile, /teacherForcingSteps is 0.5; expected an integer/],
    [{}, other, /needs a MobileFaceNet for 96×112 as the teacher; teacher is a CameoFace for 96×112/],
  ] as const) {
    const config = { ...CONFIG, ...change } as RecognitionTrainingConfig;
    const run = async () => trainRecognition({ gpu, config, data: await data, out: join(folder, 'bad'), teacher });
    assert.match((await rejection(run, ArgumentError)).message, message);
  }
  for (const teacher of [mobile, other]) teacher.dispose();
});

test.run();
