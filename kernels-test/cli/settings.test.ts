// adapters: once
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { number, share } from '../../src/cli/numbers.js';
import { checkResumed, merged, readSettings, settingsGiven } from '../../src/cli/training-settings.js';
import { ArgumentError, FormatError } from '../../src/common/errors.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { checkAutoencoderTraining, DEFAULT_AUTOENCODER_TRAINING } from '../../src/training/autoencoder-config.js';
import { DEFAULT_JOINT_TRAINING, DEFAULT_STAGE } from '../../src/training/joint-config.js';
import { DEFAULT_RECOGNITION_TRAINING } from '../../src/training/recognition-config.js';
import { rejection } from '../helpers/rejection.js';
import { cameoHere } from './cli-here.js';

const folder = mkdtempSync(join(tmpdir(), 'cameo-settings-'));
const written = (content: string | Uint8Array): string => {
  const path = join(folder, 'settings.json');
  writeFileSync(path, content);
  return path;
};

test('settings files of any operating system are read', async () => {
  const text = '{"batchSize": 7,\r\n"model": {"rates": 2}, "sourceWeights": {"fiw": 2}}\r\n';
  for (const content of [text, `\ufeff${text}`, Buffer.from(`\ufeff${text}`, 'utf16le')]) {
    const settings = await readSettings(written(content), DEFAULT_AUTOENCODER_TRAINING);
    assert.equal(settings, { batchSize: 7, model: { rates: 2 }, sourceWeights: { fiw: 2 } });
  }
});

test('an unknown setting or one of the wrong type is refused by name', async () => {
  const codec: [string, RegExp][] = [
    ['{"batch": 1}', /unknown setting "batch"; known are .*batchSize/],
    ['{"model": {"ratess": 2}}', /unknown setting "model\.ratess"; known are .*rates/],
    ['{"toString": 2}', /unknown setting "toString"/],
    ['{"seed": "7"}', /seed is the string "7"; expected a number/],
    ['{"errorWeight": null}', /errorWeight is null; expected a number/],
    ['{"model": 3}', /model is the number 3; expected an object/],
    ['{"model": {"rates": "3"}}', /model\.rates is the string "3"; expected a number/],
    ['{"targetBytes": 230}', /targetBytes is the number 230; expected a list/],
    ['{"sourceWeights": {"fiw": "2"}}', /sourceWeights\.fiw is the string "2"; expected a number/],
  ];
  for (const [text, reason] of codec) {
    const { message } = await rejection(() => readSettings(written(text), DEFAULT_AUTOENCODER_TRAINING), ArgumentError);
    assert.match(message, reason);
  }
  for (const [text, known, reason] of [
    ['{"balanced": "false"}', DEFAULT_RECOGNITION_TRAINING, /balanced is the string "false"; expected true or false/],
    ['{"loss": {"margins": 1}}', DEFAULT_RECOGNITION_TRAINING, /unknown setting "loss\.margins"/],
    ['{"stages": {}}', DEFAULT_JOINT_TRAINING, /stages is an object; expected a list/],
  ] as const) {
    assert.match((await rejection(() => readSettings(written(text), known), ArgumentError)).message, reason);
  }
  for (const [text, reason] of [
    ['{"steps": 1,\n"steps": 2}', /settings\.json, line 2: the key "steps" occurs twice/],
    ['{"steps": 1,\n}', /settings\.json, line 2: not JSON/],
    ['[1]', /settings\.json: is a list of 1; expected an object/],
  ] as const) {
    assert.match((await rejection(() => readSettings(written(text), {}), FormatError)).message, reason);
  }
});

test('the settings of joint training and of its comparator differ only in what looks at a recogniser', async () => {
  const [joint, alone] = await Promise.all(
    ['paper-training', 'paper-mse-training'].map(async (name) => {
      const path = fileURLToPath(new URL(`../../models/${name}.json`, import.meta.url));
      const file = await readSettings(path, DEFAULT_AUTOENCODER_TRAINING);
      const { stages, ...config } = merged(DEFAULT_AUTOENCODER_TRAINING, file);
      return checkAutoencoderTraining({ ...config, stages: stages.map((stage) => ({ ...DEFAULT_STAGE, ...stage })) });
    }),
  );
  const plain = joint.stages.map((stage) => ({ ...stage, distance: 0, cosface: 0, recognizer: 'frozen' }));
  const named = alone.stages.map((stage, k) => ({ ...stage, name: plain[k].name }));
  const { global } = joint.model;
  const model = { ...joint.model, global: { ...global, importance: false } };
  assert.ok(global?.importance && !alone.model.global?.importance);
  assert.equal({ ...alone, stages: named }, { ...joint, model, stages: plain });
  assert.ok(joint.stages.some(({ recognizer }) => recognizer === 'trained'));
});

test('the number of an option is finite and decimal', async () => {
  for (const [text, value] of [
    ['1e-3', 0.001],
    ['-2', -2],
    ['.5', 0.5],
    [' 7 ', 7],
  ] as const) {
    assert.is(number(text), value);
  }
  for (const text of ['', 'abc', 'NaN', 'Infinity', '1e999', '0x10', '1.2.3', '3 4']) {
    assert.throws(() => number(text), /Expected a finite number/, text);
    const run = await cameoHere(['train', 'losses', '--steps', text]);
    assert.match(run.complaints.join(), /option '--steps <n>' argument '.*' is invalid\. Expected a finite number/);
  }
});

test('a score from 0 to 1 is no other number', () => {
  assert.equal(['0', '0.25', '1'].map(share), [0, 0.25, 1]);
  for (const text of ['-0.1', '1.01']) assert.throws(() => share(text), /Expected a number from 0 to 1/);
  assert.throws(() => share('half'), /Expected a finite number/);
});

test('a number in quotes is refused in settings of the programming interface, too', () => {
  for (const wrong of [{ errorWeight: '0.1' }, { clipNorm: [1] }, { targetBytes: ['1', '2', '3'] }]) {
    const config = { ...DEFAULT_AUTOENCODER_TRAINING, ...wrong } as unknown as typeof DEFAULT_AUTOENCODER_TRAINING;
    assert.throws(() => checkAutoencoderTraining(config), /expected/);
  }
});

test('with --resume, a setting that contradicts the checkpoint is refused by name, with both values', async () => {
  const weights = new Map([['w', { shape: [1], data: Float32Array.of(1) }]]);
  const checkpoint = (format: string, state: object): string => {
    const out = mkdtempSync(join(folder, 'run-'));
    const file = writeSafetensors(weights, new Map([[format, JSON.stringify(state)]]));
    writeFileSync(join(out, 'checkpoint.safetensors'), file);
    return out;
  };
  const earlier = checkpoint('cameo.codec-checkpoint', { step: 2, rateWeights: [1, 1, 1], config: {} });
  const autoencoder = checkpoint('cameo.autoencoder-checkpoint', {
    step: 2,
    config: DEFAULT_AUTOENCODER_TRAINING,
    codec: { rateWeights: [1, 1, 1] },
  });
  const recognition = checkpoint('cameo.recognition-checkpoint', {
    step: 2,
    identities: [],
    config: DEFAULT_RECOGNITION_TRAINING,
  });
  const config = written('{"learningRate": 0.5, "steps": 9}');
  const cases: [string[], RegExp[]][] = [
    [['autoencoder', '--lr', '0.5', '--batch', '3', '--seed', '9', '--steps', '7'], [/--lr is 0\.5, there learningRate is 0\.002/, /--batch is 3, there batchSize is 16/, /--seed is 9, there seed is 1/, /--steps is 7, there steps of all stages is 9000/]],
    [['autoencoder', '--config', config], [/steps is a setting of the earlier training of the autoencoder/]],
    [['codec'], [/a checkpoint of the earlier training of the autoencoder, which had no stages/]],
    [['recognition', '--loss', 'arcface', '--margin', '0.4', '--balanced', '--distillation', '3'], [/--loss is "arcface", there loss\.loss is "cosface"/, /--margin is 0\.4, there loss\.margin is 0\.35/, /--balanced is true, there balanced is false/, /--distillation is 3/]],
    [['recognition', '--s', '5', '--m', '0.4'], [/--s is 5, there loss\.scale is 30/, /--m is 0\.4, there loss\.margin is 0\.35/]],
    [['autoencoder', '--from', 'model.safetensors'], [/--from model\.safetensors: the run in .* has begun/]],
  ]; // biome-ignore format: one per line
  for (const [args, reasons] of cases) {
    const out = { recognition, codec: earlier, autoencoder }[args[0]]!;
    const complete = args.includes('--from') ? ['--config', written('{}')] : [];
    const run = await cameoHere(['train', ...args, ...complete, '--resume', '-o', out, '--data', folder]);
    assert.is(run.code, 1, run.stderr);
    for (const reason of reasons) assert.match(run.complaints.join(), reason);
    if (args[0] === 'recognition') assert.not.match(run.complaints.join(), /steps/);
  }
});

test('with --resume, settings that agree with the checkpoint or are overruled by an option are accepted', () => {
  const saved = { learningRate: 0.5, model: { rates: 3 }, steps: 4, sourceWeights: {} };
  checkResumed('C', saved, [
    ...settingsGiven('F', { learningRate: 0.1, model: { rates: 3 }, steps: 10 }),
    { said: '--lr', setting: 'learningRate', value: 0.5 },
    { said: '--seed', setting: 'seed', value: undefined },
  ]);
  assert.throws(
    () => checkResumed('C', saved, settingsGiven('F', { sourceWeights: { fiw: 2 } })),
    /sourceWeights\.fiw in F is 2, there sourceWeights\.fiw is not set/,
  );
});

test.run();
