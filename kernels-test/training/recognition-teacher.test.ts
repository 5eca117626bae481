// suite: long
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import type { OpenRecognizer } from '../../src/data/checkpoints/recognizer-source.js';
import { type FaceSet, openFaceFolder } from '../../src/data/faces/face-set.js';
import { writePng } from '../../src/data/pictures/image.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { Embedder, mirrored } from '../../src/models/embedder.js';
import { KltAutoencoder } from '../../src/models/klt-autoencoder.js';
import { readRecognizer } from '../../src/models/recognizer-file.js';
import { Conv2d } from '../../src/nn/layers/conv.js';
import { averageDecay, averageWeights } from '../../src/nn/weight-average.js';
import { FaceGenerator } from '../../src/training/face-generator.js';
import { GeneratedFaces } from '../../src/training/generated-faces.js';
import { DEFAULT_RECOGNITION_TRAINING, type RecognitionTrainingConfig } from '../../src/training/recognition-config.js';
import { TeacherTargets } from '../../src/training/teacher-targets.js';
import { trainRecognition } from '../../src/training/train-recognition.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('recognition teacher');
const folder = mkdtempSync(join(tmpdir(), 'cameo-teacher-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const MODEL = { width: 96, height: 112, dimension: 8, channels: [4, 4, 4, 4], units: [0, 0, 0, 0] } as const;
const COUNTS = { restored: 8, blended: 8, invented: 8 };
/** Settings that use all of these parts of training. */
const CONFIG: RecognitionTrainingConfig = {
  ...DEFAULT_RECOGNITION_TRAINING,
  model: { ...MODEL },
  steps: 5,
  batchSize: 4,
  generatedBatch: 3,
  generated: COUNTS,
  labelStart: 2,
  marginWarmUpSteps: 2,
  warmUpSteps: 1,
  augment: { ...DEFAULT_RECOGNITION_TRAINING.augment, scale: 0.1 },
  degrade: { share: 0.5, covered: 0.3, grey: 0.2 },
  distillation: 5,
  teacherViews: 2,
  teacherClasses: true,
  averageDecay: 0.9,
};

const data = writeIdentities(join(folder, 'faces'));

/** An untrained network as a teacher. */
function teacherOf(gpu: Gpu): OpenRecognizer {
  const recognizer = new CameoFace({ ...MODEL }).initialize(gpu, 1);
  recognizer.eval();
  return { name: 'teacher', modelId: 'id', recognizer, dispose: () => recognizer.dispose() };
}

function codecOf(gpu: Gpu): { model: KltAutoencoder; id: string } {
  const net = { channels: 4, blocks: 1 };
  const model = new KltAutoencoder({
    band: { luma: [8, 8], chroma: [4, 4] },
    components: [12, 12],
    analysis: net,
    synthesis: net,
  });
  model.initialize(gpu, 5);
  return { model, id: 'codec' };
}

test('the average of weights follows its formula, in odd sizes', async () => {
  const gpu = await testGpu();
  // There are 3·3·3·5 + 5 values, and 4·4·2·2 + 4, for kernels that load one value and four.
  for (const [inputs, outputs, kernel] of [
    [3, 5, 3],
    [4, 4, 2],
  ]) {
    const [average, source] = [1, 2].map((seed) => new Conv2d(inputs, outputs, kernel, {}).initialize(gpu, seed));
    const entries = [...source.entries()];
    const expected = new Map<string, Float64Array>();
    for (const [name, parameter] of average.entries()) {
      expected.set(name, Float64Array.from(await parameter.tensor.read()));
    }
    for (let step = 0; step < 4; step++) {
      const decay = averageDecay(0.25, step);
      assert.is(decay, Math.min(0.25, (1 + step) / (10 + step)));
      for (const [k, [name, parameter]] of entries.entries()) {
        const values = randomValues(parameter.tensor.size, 10 * step + k);
        parameter.set(gpu, values);
        const averaged = expected.get(name)!;
        averaged.forEach((value, i) => {
          averaged[i] = (1 - decay) * values[i] + decay * value;
        });
      }
      averageWeights(average, source, () => decay);
      await gpu.endStep();
    }
    for (const [name, parameter] of average.entries()) {
      assertClose(name, await parameter.tensor.read(), expected.get(name)!);
    }
    const other = new Conv2d(inputs, outputs + 1, kernel, {}).initialize(gpu, 1);
    assert.throws(() => averageWeights(average, other, () => 0.5), /the modules differ at/);
    assert.throws(() => averageWeights(average, source, () => 1.5), /decay is 1.5/);
    for (const module of [average, source, other]) module.dispose();
  }
});

/** Embeddings of length 1. */
async function unitOf(gpu: Gpu, teacher: OpenRecognizer, pixels: Uint8Array): Promise<Float64Array> {
  const embedder = new Embedder(gpu, teacher.recognizer, 16);
  const values = Float64Array.from(await embedder.embed(pixels));
  embedder.dispose();
  const norm = Math.hypot(...values);
  return values.map((value) => value / norm);
}

test('a teacher embeds each picture once, and with two views the mirror image has the same weight', async () => {
  const gpu = await testGpu();
  const teacher = teacherOf(gpu);
  const faces = join(folder, 'taught');
  await cp(await data, faces, { recursive: true });
  const ask = async (views: 1 | 2): Promise<{ values: Float32Array; dispatches: number; set: FaceSet }> => {
    const set = await openFaceFolder(faces, { split: 'train' });
    const settings = { dimension: MODEL.dimension, views, cache: join(folder, 'cache') };
    const targets = await TeacherTargets.open(gpu, teacher, set, settings);
    const before = gpu.dispatches;
    const values = await targets.of([3, 0, 3, 7]);
    const dispatches = gpu.dispatches - before;
    await targets.save();
    targets.dispose();
    return { values, dispatches, set };
  };
  const one = await ask(1);
  assert.is.not(one.dispatches, 0);
  assert.is((await ask(1)).dispatches, 0);
  const both = await ask(2);
  assert.is.not(both.dispatches, 0);
  assert.is((await ask(2)).dispatches, 0);
  for (const [k, index] of [3, 0, 3, 7].entries()) {
    const pixels = await one.set.face(index);
    const [plain, turned] = [await unitOf(gpu, teacher, pixels), await unitOf(gpu, teacher, mirrored(pixels, 96))];
    assertClose('one view', one.values.slice(8 * k, 8 * k + 8), plain, { sumLength: 8 });
    const sum = plain.map((value, i) => value + turned[i]);
    const norm = Math.hypot(...sum);
    const expected = sum.map((value) => value / norm);
    assertClose('two views', both.values.slice(8 * k, 8 * k + 8), expected, { sumLength: 8 });
  }
  const pixels = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => (i * i) % 199);
  await writePng(join(faces, 'train', 'p0', '0.png'), { width: 96, height: 112, data: pixels });
  const changed = await ask(1);
  assert.is.not(changed.dispatches, 0);
  assert.equal(changed.values.slice(0, 8), one.values.slice(0, 8));
  assert.not.equal(changed.values.slice(8, 16), one.values.slice(8, 16));
  const error = await rejection(
    async () => TeacherTargets.open(gpu, teacher, one.set, { dimension: 9, views: 1, cache: join(folder, 'none') }),
    ArgumentError,
  );
  assert.is(error.message, 'teacher teacher has embeddings of 8 values; the network to train has 9');
  teacher.dispose();
});

test('generated faces do not depend on the order of requests, and are kept', async () => {
  const gpu = await testGpu();
  const { model, id } = codecOf(gpu);
  const generator = new FaceGenerator(gpu, model);
  const set = await openFaceFolder(await data, { split: 'train' });
  const indices = [1, 2, 5, 9, 13];
  const make = (out: string, seed = 3): GeneratedFaces =>
    new GeneratedFaces(generator, set, indices, COUNTS, seed, join(folder, out), id);
  const first = make('made');
  const numbers = [20, 3, 11, 7];
  const faces = await first.batch(numbers);
  const other = make('made elsewhere');
  assert.equal(await other.batch([...numbers].reverse()), [...faces].reverse());
  const before = gpu.dispatches;
  assert.equal(await make('made').batch(numbers), faces);
  assert.is(gpu.dispatches, before);
  assert.not.equal(await make('made', 4).face(3), faces[1]);
  const original = first.originalOf(3);
  assert.ok(original !== null && indices.includes(original));
  assert.is(first.originalOf(8), null);
  await rejection(() => first.face(24), ArgumentError);
  // A restored face is nearer to its original than to others, although the codec is coarse.
  const far = async (number: number, index: number): Promise<number> => {
    const [a, b] = [await first.face(number), await set.face(index)];
    return a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0);
  };
  const toOriginal = await far(3, original!);
  for (const index of indices) if (index !== original) assert.ok(toOriginal < (await far(3, index)));
  generator.dispose();
  model.dispose();
});

test('a run with teacher, generated faces, degraded faces and averaged weights resumes to the same bits', async () => {
  const gpu = await testGpu();
  const teacher = teacherOf(gpu);
  const codec = codecOf(gpu);
  const run = (out: string, more: object = {}) =>
    trainRecognition({ gpu, config: CONFIG, data: data_, out: join(folder, out), teacher, codec, ...more });
  const data_ = await data;
  await run('whole', { checkpointEvery: 5 });
  const stop = new AbortController();
  let steps = 0;
  const onStep = (): void => {
    if (++steps === 3) stop.abort();
  };
  const stopped = await run('parts', { signal: stop.signal, onStep, checkpointEvery: 1 });
  assert.equal([stopped.finished, stopped.steps], [false, 3]);
  await run('parts', { resume: true, checkpointEvery: 1 });
  for (const name of ['model.safetensors', 'checkpoint.safetensors']) {
    const [whole, parts] = ['whole', 'parts'].map((out) => readFileSync(join(folder, out, name)));
    assert.ok(whole.equals(parts), `${name} differs`);
  }
  const log = readFileSync(join(folder, 'parts', 'log.csv'), 'utf8')
    .trim()
    .split('\n');
  assert.is(log.length, 6);
  const [head, ...rows] = log.map((line) => line.split(','));
  const column = (name: string): number[] => rows.map((row) => Number(row[head.indexOf(name)]));
  assert.ok(column('val_distance').every((value) => value > 0 && value < 2));
  assert.equal(column('margin').slice(0, 2), [0, 0]);
  assert.ok(readdirSync(join(folder, 'parts')).some((name) => name.startsWith('generated-')));

  const resume = { resume: true, config: { ...CONFIG, steps: 6 } };
  const other = await rejection(() => run('parts', { ...resume, codec: { ...codec, id: 'x' } }), CheckpointError);
  assert.is(other.message, 'the checkpoint was made with codec codec; this run has codec x');
  for (const [change, message] of [
    [{ generatedBatch: 0 }, /generatedBatch is 0, and there are 24 generated faces/],
    [{ generated: { ...COUNTS, blended: 7 } }, /generated.blended is 7; expected a multiple of 8/],
    [{ averageDecay: 2 }, /averageDecay is 2/],
    [{ teacherViews: 3 }, /teacherViews is 3/],
    [{ distillation: 0, generatedBatch: 0, generated: { restored: 0, blended: 0, invented: 0 } }, /needs a teacher/],
    [{ degrade: { ...CONFIG.degrade, grey: 3 } }, /degrade.grey is 3/],
    [{ architecture: 'nothing' }, /architecture is "nothing"/],
  ] as const) {
    const config = { ...CONFIG, ...change } as RecognitionTrainingConfig;
    assert.match((await rejection(() => run('bad', { config }), ArgumentError)).message, message);
  }
  codec.model.dispose();
  teacher.dispose();
});

test('a MobileFaceNet can be trained and saved', async () => {
  const gpu = await testGpu();
  const out = join(folder, 'mobile');
  const model = { ...MODEL, dimension: 128 };
  const config = {
    ...DEFAULT_RECOGNITION_TRAINING,
    architecture: 'mobilefacenet' as const,
    model,
    steps: 1,
    batchSize: 2,
  };
  await trainRecognition({ gpu, config, data: await data, out });
  const { description } = readRecognizer(readFileSync(join(out, 'model.safetensors')));
  assert.equal(description, { architecture: 'mobilefacenet', width: 96, height: 112 });
  const small = { ...config, model: { ...MODEL } };
  const error = await rejection(
    async () => trainRecognition({ gpu, config: small, data: await data, out: join(folder, 'small') }),
    ArgumentError,
  );
  assert.match(error.message, /model.dimension is 8; a MobileFaceNet has 128/);
});

test.run();
