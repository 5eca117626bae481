// suite: long
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { latentsFromSymbols } from '../../src/codec/latents.js';
import { packLatentsPng } from '../../src/codec/png/container.js';
import { ArgumentError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { readAutoencoder } from '../../src/models/model-file.js';
import { type AutoencoderTrainingConfig, DEFAULT_AUTOENCODER_TRAINING } from '../../src/training/autoencoder-config.js';
import { validateAutoencoder } from '../../src/training/autoencoder-validation.js';
import { firstGains } from '../../src/training/components/first-gains.js';
import { fitAutoencoder } from '../../src/training/components/fit-autoencoder.js';
import { DEFAULT_STAGE } from '../../src/training/joint-config.js';
import { trainAutoencoder } from '../../src/training/train-autoencoder.js';
import { TrainedAutoencoder } from '../../src/training/trained-autoencoder.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { openTinyRecognizer } from '../helpers/people-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('linear layers of the autoencoder');
const folder = mkdtempSync(join(tmpdir(), 'cameo-global-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const data = writeIdentities(join(folder, 'faces'));

const SMALL: AutoencoderTrainingConfig = {
  ...DEFAULT_AUTOENCODER_TRAINING,
  model: {
    ...{ height: 112, width: 96, stages: [4, 8, 8, 8], latentChannels: 3, residualBlocks: 0, rates: 2 },
    global: { features: 24, blocks: 1 },
  },
  stages: [{ ...DEFAULT_STAGE, name: 'codec', steps: 4 }],
  batchSize: 2,
  targetBytes: [79, 86],
};

test('before any training, faces come back from files of the size that was asked for', async () => {
  const gpu = await testGpu();
  const set = await openFaceFolder(await data, { split: 'train' });
  const codec = new TrainedAutoencoder(gpu, SMALL);
  await fitAutoencoder(gpu, codec, set, undefined, []);
  const [low, high] = await validateAutoencoder(gpu, codec.network, [], set);
  for (const [{ bytes }, target] of [
    [low, 79],
    [high, 86],
  ] as const) {
    assert.ok(Math.abs(bytes / target - 1) < 0.05, `${bytes} bytes, expected ${target}`);
  }
  assert.ok(low.psnr > 20 && high.psnr > low.psnr, `${low.psnr} and ${high.psnr} dB`);
  assert.ok(codec.rateWeight(0) > codec.rateWeight(1), 'a bit is worth less where the steps are finer');

  const basis = await codec.network.global!.basis.tensor.read();
  const [rows, columns] = codec.network.global!.basis.shape;
  for (const [a, b] of [
    [0, 0],
    [0, 1],
    [3, 9],
    [20, 20],
  ]) {
    let product = 0;
    for (let i = 0; i < rows; i++) product += basis[i * columns + a] * basis[i * columns + b];
    assert.ok(Math.abs(product - (a === b ? 1 : 0)) < 1e-4, `columns ${a} and ${b}: ${product}`);
  }
  codec.dispose();
});

test('a run that begins with linear layers stops and resumes to the same bits, and keeps them', async () => {
  const gpu = await testGpu();
  const options = { gpu, config: SMALL, data: await data, validationFaces: 2 };
  const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')];
  const fileOf = (out: string): Buffer => readFileSync(join(out, 'model.safetensors'));
  const steps: string[] = [];
  await trainAutoencoder({ ...options, out: whole, onProgress: (what) => steps.push(what) });
  assert.equal(
    ['components of patches', 'features of faces', 'components of faces', 'first gains'].filter(
      (what) => !steps.includes(what),
    ),
    [],
  );
  const stop = new AbortController();
  await trainAutoencoder({
    ...options,
    out: stopped,
    signal: stop.signal,
    onStep: ({ step }) => step === 1 && stop.abort(),
  });
  await trainAutoencoder({ ...options, out: stopped, resume: true });
  assert.ok(fileOf(whole).equals(fileOf(stopped)), 'the weights are the same to the bit');
  const { tensors } = readAutoencoder(fileOf(whole));
  const last = tensors.get('decoder.12.weight')!;
  assert.ok(
    last.data.some((value) => value !== 0),
    'the last layer has learned',
  );
});

test('features that a recogniser looks at have larger weights, in every file of the run', async () => {
  const gpu = await testGpu();
  const watcher = await openTinyRecognizer(gpu, folder);
  const model = { ...SMALL.model, global: { features: 24, blocks: 1, importance: true } };
  const stage = { ...DEFAULT_STAGE, name: 'joint', steps: 3, distance: 4 };
  const config = { ...SMALL, model, stages: [stage] };
  const recognizers = [watcher];
  const given = { gpu, data: await data, validationFaces: 2 };
  const out = join(folder, 'weighed');
  const stop = new AbortController();
  const onStep = ({ step }: { step: number }): void => {
    if (step === 1) stop.abort();
  };
  await trainAutoencoder({ ...given, config, recognizers, out, signal: stop.signal, onStep });
  await trainAutoencoder({ ...given, config, recognizers, out, resume: true });
  const { tensors } = readAutoencoder(readFileSync(join(out, 'model.safetensors')));
  const { shape, data: weights } = tensors.get('global.weight')!;
  assert.equal(shape, [7, 6, 24]);
  assert.ok(weights.every((weight) => weight >= 1) && new Set(weights).size > 900);

  const alone = { ...config, stages: [{ ...stage, distance: 0 }] };
  const { message } = await rejection(
    () => trainAutoencoder({ ...given, config: alone, out: join(folder, 'alone') }),
    ArgumentError,
  );
  assert.match(message, /global\.importance needs a stage with a distance term/);
  watcher.dispose();
});

test('first gains give the sizes asked for, keep more channels for more bytes, and clip nothing', () => {
  const [channels, size] = [6, 20];
  const random = new CounterRandom(9);
  const deviations = Float64Array.from({ length: channels * size }, (_, k) => 300 / (1 + k) ** 1.5);
  const values = Array.from({ length: 10 }, () => Float32Array.from(deviations, (own) => own * random.normal()));
  const gains = firstGains({ values, deviations }, { latentChannels: channels }, [4, 5], [105, 135, 185]);
  gains.forEach(({ channels: kept, logGains }, rate) => {
    const bytes = values.map((own) => {
      const symbols = new Array(channels * size).fill(0);
      own.forEach((value, k) => {
        const channel = Math.floor(k / size);
        const symbol = Math.round(value * Math.exp(logGains[channel]));
        assert.ok(Math.abs(symbol) <= 127, `symbol ${symbol}`);
        if (channel < kept) symbols[(k % size) * channels + channel] = symbol;
      });
      return packLatentsPng(latentsFromSymbols(symbols, 4, 5, channels), { modelId: '00000000', rate }).length;
    });
    const mean = bytes.reduce((sum, own) => sum + own, 0) / bytes.length;
    assert.ok(Math.abs(mean / [105, 135, 185][rate] - 1) < 0.04, `rate ${rate}: ${mean} bytes`);
  });
  assert.ok(gains[0].channels <= gains[1].channels && gains[1].channels <= gains[2].channels);
  assert.ok(gains[0].logGain < gains[1].logGain && gains[1].logGain < gains[2].logGain);
});

test.run();
