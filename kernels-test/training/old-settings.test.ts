// adapters: once
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readSettings } from '../../src/cli/training-settings.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { DEFAULT_JOINT_TRAINING, withNewJointNames } from '../../src/training/joint-config.js';
import { DEFAULT_RECOGNITION_TRAINING, withNewLossNames } from '../../src/training/recognition-config.js';
import { RecognitionTrainer } from '../../src/training/recognition-trainer.js';
import { kltConfigOf } from '../../src/training/trained-klt.js';

const test = suite('old names of settings');
const path = join(mkdtempSync(join(tmpdir(), 'cameo-old-')), 'settings.json');

const checkpoint = (kind: string, state: object): Uint8Array =>
  writeSafetensors(new Map(), new Map([[`cameo.${kind}-checkpoint`, JSON.stringify(state)]]));

test('checkpoints of earlier versions have the settings that they were made with', () => {
  const { loss: _, ...recognition } = DEFAULT_RECOGNITION_TRAINING;
  const config = { ...recognition, loss: { loss: 'arcface', s: 16, m: 0.3, lambda: 0 } };
  const read = RecognitionTrainer.configOf(checkpoint('recognition', { step: 3, identities: [], config }));
  assert.equal(read.loss, { loss: 'arcface', scale: 16, margin: 0.3, lambda: 0 });
  assert.equal(Object.keys(read.loss), ['loss', 'scale', 'margin', 'lambda'], 'in the order of the comparison');

  const { scale: _s, margin: _m, ...joint } = DEFAULT_JOINT_TRAINING;
  const readJoint = kltConfigOf(checkpoint('joint', { step: 3, config: { ...joint, s: 16, m: 0.2 } }));
  assert.equal(readJoint, { ...DEFAULT_JOINT_TRAINING, scale: 16, margin: 0.2 });
});

test('settings files are read with old names and with new ones', async () => {
  const recognition = (text: string) => {
    writeFileSync(path, text);
    return readSettings(path, DEFAULT_RECOGNITION_TRAINING, withNewLossNames);
  };
  assert.equal(await recognition('{"loss": {"s": 16, "m": 0.3}}'), { loss: { scale: 16, margin: 0.3 } });
  assert.equal(await recognition('{"loss": {"scale": 16, "margin": 0.3}}'), { loss: { scale: 16, margin: 0.3 } });
  assert.equal(await recognition('{"steps": 5}'), { steps: 5 });
  const both = recognition('{"loss": {"m": 1, "margin": 1}}').then(String, String);
  assert.match(await both, /m is called margin now; expected one of them/);
  const wrong = recognition('{"loss": {"m": "1"}}').then(String, String);
  assert.match(await wrong, /loss\.margin is the string "1"; expected a number/);

  writeFileSync(path, '{"s": 16, "m": 0.2}');
  assert.equal(await readSettings(path, DEFAULT_JOINT_TRAINING, withNewJointNames), { scale: 16, margin: 0.2 });
});

test.run();
