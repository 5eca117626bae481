// suite: long
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { readKlt } from '../../src/codec/codec-weights.js';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { readSafetensors } from '../../src/nn/safetensors.js';
import { saveState } from '../../src/nn/state.js';
import { DEFAULT_JOINT_TRAINING, DEFAULT_STAGE, type JointTrainingConfig } from '../../src/training/joint-config.js';
import { trainJoint } from '../../src/training/train-joint.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { openTinyRecognizer } from '../helpers/people-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('joint training');
const folder = mkdtempSync(join(tmpdir(), 'cameo-joint-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const data = writeIdentities(folder);

const net = { channels: 4, blocks: 1 };
const CONFIG: JointTrainingConfig = {
  ...DEFAULT_JOINT_TRAINING,
  // The band is small, because the principal components take most of the time of these few steps.
  model: {
    ...DEFAULT_JOINT_TRAINING.model,
    band: { luma: [24, 20], chroma: [20, 16] },
    components: [12, 8],
    analysis: net,
    synthesis: net,
  },
  batchSize: 2,
  stages: [
    { ...DEFAULT_STAGE, name: 'codec', steps: 3, quantization: 'noise', ssim: 0.1 },
    { ...DEFAULT_STAGE, name: 'joint', steps: 4, distance: 4, cosface: 0.1 },
    { ...DEFAULT_STAGE, name: 'tuned', steps: 2, distance: 4, cosface: 0.1, recognizer: 'trained' },
    { ...DEFAULT_STAGE, name: 'decoder', steps: 2, train: 'decoder', quantization: 'encoder' },
  ],
};

const tensorsOf = (out: string, name: string) =>
  readSafetensors(readFileSync(join(out, `${name}.safetensors`))).tensors;
const same = (a: Float32Array, b: Float32Array): boolean => a.every((value, i) => value === b[i]);

test('each stage trains its part, and a run that is stopped in any stage computes the same bits', async () => {
  const gpu = await testGpu();
  const watcher = await openTinyRecognizer(gpu, folder);
  const before = await saveState(watcher.recognizer);
  const options = {
    gpu,
    config: CONFIG,
    data: await data,
    recognizers: [watcher],
    checkpointEvery: 2,
    validationFaces: 2,
  };
  const whole = join(folder, 'whole');
  const distances: number[] = [];
  const run = await trainJoint({ ...options, out: whole, onStep: ({ distance }) => distances.push(distance) });
  assert.ok(run.finished && run.steps === 11);
  assert.equal(
    distances.map((value) => value > 0),
    [false, false, false, true, true, true, true, true, true, false, false],
  );
  const [codec, joint, tuned, last] = ['codec', 'joint', 'tuned', 'decoder'].map((name) =>
    tensorsOf(whole, `model-${name}`),
  );
  for (const name of ['symmetric', 'mean']) assert.ok(same(codec.get(name)!.data, last.get(name)!.data), name);
  for (const name of ['logGain', 'analysis.position', 'synthesis.position', 'logScale']) {
    assert.not.ok(same(codec.get(name)!.data, joint.get(name)!.data), `${name} learns in the joint stage`);
  }
  assert.ok(
    same(tuned.get('analysis.position')!.data, last.get('analysis.position')!.data),
    'the analysis does not change in the last stage',
  );
  assert.not.ok(same(tuned.get('synthesis.position')!.data, last.get('synthesis.position')!.data));
  const after = tensorsOf(whole, 'recognizer-watcher');
  const learnt = [...before].filter(([name, { data }]) => !same(data, after.get(name)!.data)).map(([name]) => name);
  assert.ok(
    learnt.some((name) => name.endsWith('weight')),
    'the recogniser learns in its stage',
  );
  watcher.dispose();

  const halves = join(folder, 'halves');
  for (const stopAt of [1, 4, 8, Number.POSITIVE_INFINITY]) {
    const stop = new AbortController();
    const again = await openTinyRecognizer(gpu, folder);
    const onStep = ({ step }: { step: number }): void => {
      if (step === stopAt) stop.abort();
    };
    const result = await trainJoint({
      ...options,
      recognizers: [again],
      out: halves,
      resume: stopAt > 1,
      signal: stop.signal,
      onStep,
    });
    assert.is(result.finished, stopAt > 100);
    again.dispose();
  }
  for (const file of ['model', 'recognizer-watcher']) {
    const [first, second] = [tensorsOf(whole, file), tensorsOf(halves, file)];
    for (const [name, { data }] of first) assert.ok(same(data, second.get(name)!.data), `${file}: ${name}`);
  }
  const rows = (out: string): string => readFileSync(join(out, 'log.csv'), 'utf8');
  assert.is(rows(halves).split('\n').length, rows(whole).split('\n').length);
});

test('principal components are computed from the faces, so that an untrained model already restores them', async () => {
  const gpu = await testGpu();
  const out = join(folder, 'klt');
  const config = { ...CONFIG, stages: [{ ...CONFIG.stages[0], steps: 1 }], steps: [40, 40] as [number, number] };
  const psnrs: number[] = [];
  await trainJoint({ gpu, config, data: await data, out, recognizers: [], onStep: ({ psnr }) => psnrs.push(psnr) });
  // The mean alone gives 14 dB. The rest is noise and changes of brightness, which 20 components cannot hold.
  assert.ok(psnrs[0] > 24, `${psnrs[0]} dB`);
  const file = readKlt(readFileSync(join(out, 'model.safetensors')));
  assert.is(file.tables, null);
  assert.equal(file.config.components, [12, 8]);
});

test('impossible settings are refused by name', async () => {
  const gpu = await testGpu();
  const out = join(folder, 'refused');
  const options = { gpu, data: await data, out, recognizers: [] };
  const missing = await rejection(() => trainJoint({ ...options, config: CONFIG }), ArgumentError);
  assert.match(missing.message, /at least one recogniser/);
  const stage = { ...CONFIG.stages[0], train: 'encoder' as 'all' };
  const wrong = await rejection(
    () => trainJoint({ ...options, config: { ...CONFIG, stages: [stage] } }),
    ArgumentError,
  );
  assert.match(wrong.message, /train of stage "codec" is "encoder"; expected all or decoder/);
  const chosen = { ...CONFIG.stages[0], quantization: 'encoder' as const };
  const all = await rejection(() => trainJoint({ ...options, config: { ...CONFIG, stages: [chosen] } }), ArgumentError);
  assert.match(all.message, /train of stage "codec" is "all" with quantization "encoder"; expected "decoder"/);
  const alone = { ...CONFIG.stages[0], recognizer: 'trained' as const };
  const idle = await rejection(() => trainJoint({ ...options, config: { ...CONFIG, stages: [alone] } }), ArgumentError);
  assert.match(idle.message, /cosface is 0/);
  const other = { ...CONFIG, rateWeight: 0.5 };
  const watcher = await openTinyRecognizer(gpu, folder);
  const resumed = await rejection(
    () => trainJoint({ ...options, out: join(folder, 'whole'), config: other, recognizers: [watcher], resume: true }),
    CheckpointError,
  );
  const [codec, joint] = CONFIG.stages;
  const shorter = { ...CONFIG, stages: [codec, joint, { ...CONFIG.stages[2], steps: 1 }] };
  const ended = await rejection(
    () => trainJoint({ ...options, out: join(folder, 'whole'), config: shorter, recognizers: [watcher], resume: true }),
    CheckpointError,
  );
  assert.match(ended.message, /this run has fewer/);
  watcher.dispose();
  assert.match(resumed.message, /rateWeight 0.14; this run has 0.5/);
});

test.run();
