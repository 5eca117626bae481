// suite: long
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { AutoencoderCodec } from '../../src/codec/autoencoder-codec.js';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { FaceBatches } from '../../src/data/faces/batches.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { psnr } from '../../src/evaluation/metrics/picture-quality.js';
import { readAutoencoder } from '../../src/models/model-file.js';
import { readSafetensors, writeSafetensors } from '../../src/nn/safetensors.js';
import { type AutoencoderTrainingConfig, DEFAULT_AUTOENCODER_TRAINING } from '../../src/training/autoencoder-config.js';
import { DEFAULT_STAGE } from '../../src/training/joint-config.js';
import { JointTrainer } from '../../src/training/joint-trainer.js';
import { trainAutoencoder } from '../../src/training/train-autoencoder.js';
import { EARLIER_AUTOENCODER_KEY, TrainedAutoencoder } from '../../src/training/trained-autoencoder.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { openTinyRecognizer } from '../helpers/people-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('training story');
const folder = mkdtempSync(join(tmpdir(), 'cameo-story-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const data = writeIdentities(join(folder, 'faces'));

const SMALL: AutoencoderTrainingConfig = {
  ...DEFAULT_AUTOENCODER_TRAINING,
  model: { height: 112, width: 96, stages: [4, 8, 8, 8], latentChannels: 8, residualBlocks: 1, rates: 2 },
  stages: [
    { ...DEFAULT_STAGE, name: 'codec', steps: 12, learningRate: 4e-3, quantization: 'noise' },
    { ...DEFAULT_STAGE, name: 'joint', steps: 4, distance: 4, cosface: 0.1 },
    { ...DEFAULT_STAGE, name: 'tuned', steps: 2, distance: 4, cosface: 0.1, recognizer: 'trained' },
    { ...DEFAULT_STAGE, name: 'decoder', steps: 2, train: 'decoder', distance: 4 },
  ],
  batchSize: 2,
  targetBytes: [150, 250],
};

const fileOf = (out: string, name: string): Buffer => readFileSync(join(out, `${name}.safetensors`));
const tensorsOf = (out: string, name: string) => readSafetensors(fileOf(out, name)).tensors;
/** Names of the tensors whose values differ; the order of channels may be another one. */
function changed(before: ReturnType<typeof tensorsOf>, after: ReturnType<typeof tensorsOf>): string[] {
  return [...before].flatMap(([name, { data }]) => {
    const [first, second] = [data.slice().sort(), after.get(name)!.data.slice().sort()];
    return first.some((value, i) => value !== second[i]) ? [name] : [];
  });
}

test('training by stages stops and resumes to the same bits, and its model makes files that come back', async () => {
  const gpu = await testGpu();
  const whole = join(folder, 'whole');
  const watcher = await openTinyRecognizer(gpu, folder);
  const base = { gpu, config: SMALL, data: await data, checkpointEvery: 5, validationFaces: 4 };
  const losses: number[] = [];
  const distances: boolean[] = [];
  const onStep = ({ loss, distance }: { loss: number; distance: number }): void => {
    losses.push(loss);
    distances.push(distance > 0);
  };
  const run = await trainAutoencoder({ ...base, recognizers: [watcher], out: whole, onStep });
  watcher.dispose();
  assert.ok(run.finished && run.steps === 20);
  assert.ok(losses[11] < 0.9 * losses[0], `the loss fell from ${losses[0]} to ${losses[11]} only`);
  assert.equal(distances, [...new Array(12).fill(false), ...new Array(8).fill(true)]);
  assert.equal(
    run.validation?.map(({ rate }) => rate),
    [0, 1],
  );
  for (const { bytes, psnr: quality, distance } of run.validation!) {
    assert.ok(bytes > 63 && bytes < 500 && quality > 5 && distance > 0, JSON.stringify(run.validation));
  }

  const stopped = join(folder, 'stopped');
  const resumed: number[] = [];
  for (const stopAt of [7, 14, 17, 18, Number.POSITIVE_INFINITY]) {
    const stop = new AbortController();
    const again = await openTinyRecognizer(gpu, folder);
    const result = await trainAutoencoder({
      ...base,
      recognizers: [again],
      out: stopped,
      resume: stopAt > 7,
      signal: stop.signal,
      onStep: ({ step, loss }) => {
        resumed.push(loss);
        if (step === stopAt) stop.abort();
      },
    });
    assert.is(result.finished, stopAt > 20);
    again.dispose();
  }
  assert.equal(resumed, losses, 'every loss is the same to the bit');
  for (const name of ['model', 'model-joint', 'recognizer-watcher']) {
    assert.ok(fileOf(whole, name).equals(fileOf(stopped, name)), `${name}: the weights are the same to the bit`);
  }

  const [tuned, last] = ['model-tuned', 'model'].map((name) => tensorsOf(whole, name));
  const names = changed(tuned, last);
  assert.ok(names.includes('decoder.0.weight') && names.some((name) => name.startsWith('logInverseGain')));
  assert.equal(
    names.filter((name) => /^(encoder|latentMean|logGain)/.test(name)),
    [],
    'the encoder rests in the end',
  );

  const codec = AutoencoderCodec.fromWeights(gpu, fileOf(whole, 'model'));
  const set = await openFaceFolder(await data, { split: 'val', limit: 3 });
  const faces = await set.batch(await set.readable());
  const files = await codec.encode(faces, 1);
  const restored = await codec.decode(files);
  codec.dispose();
  const quality = restored.reduce((sum, face, k) => sum + psnr(faces[k], face), 0) / faces.length;
  assert.ok(quality > 8, `${quality} dB`);
  assert.is(readAutoencoder(fileOf(whole, 'model')).config.latentChannels, 8);
});

/** Names of the tensors, but statistics and scales, whose values differ. */
const farFrom = (before: ReturnType<typeof tensorsOf>, after: ReturnType<typeof tensorsOf>): string[] =>
  [...before].flatMap(([name, { data }]) =>
    !/running|logScale/.test(name) && data.some((v, i) => Math.abs(v - after.get(name)!.data[i]) > 1e-6) ? [name] : [],
  );

test('a run begins with the model of another one', async () => {
  const gpu = await testGpu();
  const from = fileOf(join(folder, 'whole'), 'model-codec');
  const options = { gpu, data: await data, validationFaces: 0 };
  const config = { ...SMALL, stages: [{ ...SMALL.stages[0], steps: 1, learningRate: 1e-9 }] };
  const out = join(folder, 'from');
  await trainAutoencoder({ ...options, config, from, out });
  const [before, after] = [readSafetensors(from).tensors, tensorsOf(out, 'model')];
  assert.equal(farFrom(before, after), []);
  const checkpoint = fileOf(join(folder, 'whole'), 'checkpoint');
  const onwards = join(folder, 'onwards');
  await trainAutoencoder({ ...options, config, from: checkpoint, out: onwards });
  const [ended, begun] = [tensorsOf(join(folder, 'whole'), 'model'), tensorsOf(onwards, 'model')];
  assert.equal(farFrom(ended, begun), [], 'a checkpoint has the weights of its run');
  const other = { ...config, model: { ...SMALL.model, latentChannels: 4 } };
  await rejection(
    () => trainAutoencoder({ ...options, config: other, from, out: join(folder, 'other') }),
    CheckpointError,
  );
});

test('the weight of the bits is steered towards the size of real files', async () => {
  const gpu = await testGpu();
  const set = await openFaceFolder(await data, { split: 'train' });
  const batches = new FaceBatches({ count: set.count, batchSize: SMALL.batchSize, seed: 1 });
  const codec = new TrainedAutoencoder(gpu, { ...SMALL, targetBytes: [86, 5000] });
  const trainer = new JointTrainer(gpu, codec, []);
  const before = [codec.rateWeight(0), codec.rateWeight(1)];
  const live: number[] = [];
  for (let step = 0; step < 10; step++) {
    const { images } = await batches.load(set, step);
    await trainer.train({ images, labels: [0, 0], embeddings: [] });
    live.push(gpu.pool.liveBytes);
  }
  assert.is(live[9], live[2], 'live bytes');
  assert.ok(codec.rateWeight(0) > before[0], 'files are larger than the target');
  assert.ok(codec.rateWeight(1) < before[1], 'files are smaller than the target');
  trainer.dispose();
});

test('a checkpoint that does not fit is refused by name, and nothing changes', async () => {
  const gpu = await testGpu();
  const trainerOf = (config: AutoencoderTrainingConfig): JointTrainer =>
    new JointTrainer(gpu, new TrainedAutoencoder(gpu, config), []);
  const alone = { ...SMALL, stages: SMALL.stages.slice(0, 1) };
  const trainer = trainerOf(alone);
  const other = trainerOf({ ...alone, model: { ...SMALL.model, latentChannels: 4 } });
  const bytes = await other.checkpoint();
  assert.throws(() => trainer.restore(bytes), /made with model/);
  assert.throws(() => trainer.restore(bytes.subarray(0, bytes.length / 2)), /safetensors/);
  assert.throws(() => trainer.restore(new TextEncoder().encode('not a checkpoint at all')), /safetensors/);
  const earlier = writeSafetensors(new Map(), new Map([[EARLIER_AUTOENCODER_KEY, '{"step":5}']]));
  assert.throws(() => trainer.restore(earlier), /earlier training of the autoencoder, which had no stages/);
  assert.is(trainer.step, 0);
  trainer.dispose();
  other.dispose();
});

test('a run resumes only with the faces that it started with', async () => {
  const gpu = await testGpu();
  const here = await data;
  const out = join(folder, 'faces-out');
  const config = { ...SMALL, stages: [{ ...SMALL.stages[0], steps: 4 }] };
  const options = { gpu, config, data: here, out, validationFaces: 0 };
  const stop = new AbortController();
  await trainAutoencoder({ ...options, signal: stop.signal, onStep: () => stop.abort() });
  const other = join(folder, 'other-faces');
  cpSync(here, other, { recursive: true });
  renameSync(join(other, 'train', 'p0', '0.png'), join(other, 'train', 'p0', 'moved.png'));
  const { message } = await rejection(
    () => trainAutoencoder({ ...options, data: other, resume: true }),
    CheckpointError,
  );
  assert.match(message, /made with a list of \d+ faces; this run's list of \d+ is another/);
  const { finished } = await trainAutoencoder({ ...options, resume: true });
  assert.ok(finished);
});

test('the quantization of another codec is refused', async () => {
  const gpu = await testGpu();
  const stage = { ...DEFAULT_STAGE, name: 'x', quantization: 'encoder' as const, train: 'decoder' as const };
  const options = { gpu, data: await data, out: join(folder, 'refused') };
  const { message } = await rejection(
    () => trainAutoencoder({ ...options, config: { ...SMALL, stages: [stage] } }),
    ArgumentError,
  );
  assert.match(message, /quantization of stage "x" is "encoder"/);
});

test.run();
