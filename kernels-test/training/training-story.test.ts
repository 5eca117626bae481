import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { CheckpointError } from '../../src/common/errors.js';
import { FaceBatches } from '../../src/data/faces/batches.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { readAutoencoder } from '../../src/models/model-file.js';
import { type AutoencoderTrainingConfig, DEFAULT_AUTOENCODER_TRAINING } from '../../src/training/autoencoder-config.js';
import { AutoencoderTrainer } from '../../src/training/autoencoder-trainer.js';
import { trainAutoencoder } from '../../src/training/train-autoencoder.js';
import { findData } from '../helpers/data-available.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('training story');

const data = findData('faces');
if ('missing' in data) console.log(`SKIP training on real faces: ${data.missing}`);
const faces = 'path' in data ? data.path : '';
/** Registers a test, which is skipped and counted as skipped if the data are missing. */
const testOnFaces = faces ? test : test.skip;

const SMALL: AutoencoderTrainingConfig = {
  ...DEFAULT_AUTOENCODER_TRAINING,
  model: { height: 112, width: 96, stages: [4, 8, 8, 8], latentChannels: 8, residualBlocks: 1, rates: 2 },
  steps: 60,
  batchSize: 2,
  warmUpSteps: 5,
  targetBytes: [60, 120],
  roundingShare: 0.3,
};

testOnFaces('training that stops and resumes reaches the same bits', async () => {
  const gpu = await testGpu();
  const folder = mkdtempSync(join(tmpdir(), 'cameo-story-'));
  const config = { ...SMALL, steps: 14 };
  const base = { gpu, config, data: faces, checkpointEvery: 5, validationFaces: 4 };
  try {
    const losses: number[] = [];
    const whole = await trainAutoencoder({
      ...base,
      out: join(folder, 'whole'),
      onStep: ({ loss }) => {
        losses.push(loss);
      },
    });
    assert.ok(whole.finished);
    assert.ok(losses[13] < 0.9 * losses[0], `the loss fell from ${losses[0]} to ${losses[13]} only`);

    const stop = new AbortController();
    const resumed: number[] = [];
    const onStep = ({ step, loss }: { step: number; loss: number }): void => {
      resumed.push(loss);
      if (step === 7) stop.abort();
    };
    const out = join(folder, 'stopped');
    const first = await trainAutoencoder({ ...base, out, onStep, signal: stop.signal });
    assert.is(first.finished, false);
    assert.is(first.steps, 8);
    const second = await trainAutoencoder({ ...base, out, onStep, resume: true });
    assert.ok(second.finished);
    assert.equal(resumed, losses, 'every loss is the same to the bit');
    const read = (name: string) => readFileSync(join(folder, name, 'model.safetensors'));
    assert.ok(read('whole').equals(read('stopped')), 'the weights are the same to the bit');
    console.log(`losses from ${losses[0]} to ${losses[13]}, and the same to the bit after a stop at step 8`);
    const log = (name: string) => readFileSync(join(folder, name, 'log.csv'), 'utf8');
    // The stopped run has one more checkpoint, so it has one more row with validation figures.
    const withoutValidation = (text: string) => text.split('\n').map((line) => line.split(',').slice(0, 7).join(','));
    assert.equal(withoutValidation(log('stopped')), withoutValidation(log('whole')));
    assert.is(readAutoencoder(read('whole')).config.latentChannels, 8);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

testOnFaces('live bytes are equal at steps 5 and 50', async () => {
  const gpu = await testGpu();
  const set = await openFaceFolder(faces, { split: 'train', limit: 40 });
  const batches = new FaceBatches({ count: set.count, batchSize: SMALL.batchSize, seed: 1 });
  const trainer = new AutoencoderTrainer(gpu, SMALL);
  const live: number[] = [];
  for (let step = 0; step <= 50; step++) {
    const { images } = await batches.load(set, step);
    await trainer.train(images);
    live.push(gpu.pool.liveBytes);
  }
  assert.is(live[50], live[5]);
  console.log(`live bytes at steps 5 and 50: ${live[5]}, ${live[50]}`);
  trainer.dispose();
});

test('a checkpoint with other shapes is refused, and nothing changes', async () => {
  const gpu = await testGpu();
  const trainer = new AutoencoderTrainer(gpu, SMALL);
  const other = new AutoencoderTrainer(gpu, { ...SMALL, model: { ...SMALL.model, latentChannels: 4 } });
  const bytes = await other.checkpoint();
  assert.throws(() => trainer.restore(bytes), /made with model/);
  assert.throws(() => trainer.restore(bytes.subarray(0, bytes.length / 2)), /safetensors/);
  assert.throws(() => trainer.restore(new TextEncoder().encode('not a checkpoint at all')), /safetensors/);
  assert.is(trainer.step, 0);
  trainer.dispose();
  other.dispose();
});

test('a run resumes only with the faces that it started with', async () => {
  const gpu = await testGpu();
  const folder = mkdtempSync(join(tmpdir(), 'cameo-story-'));
  try {
    const here = await writeIdentities(join(folder, 'faces'));
    const out = join(folder, 'out');
    const options = { gpu, config: { ...SMALL, steps: 4 }, data: here, out, validationFaces: 0 };
    const stop = new AbortController();
    await trainAutoencoder({ ...options, signal: stop.signal, onStep: () => stop.abort() });
    const other = join(folder, 'other');
    cpSync(here, other, { recursive: true });
    renameSync(join(other, 'train', 'p0', '0.png'), join(other, 'train', 'p0', 'moved.png'));
    const { message } = await rejection(
      () => trainAutoencoder({ ...options, data: other, resume: true }),
      CheckpointError,
    );
    assert.match(message, /made with a list of \d+ faces; this run's list of \d+ is another/);
    const { finished } = await trainAutoencoder({ ...options, resume: true });
    assert.ok(finished);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
