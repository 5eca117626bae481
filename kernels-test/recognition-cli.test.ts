// adapters: once
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readRecognizer } from '../src/models/recognizer-file.js';
import { cameo, temporaryFolder } from './cli-fixture.js';
import { writeIdentities } from './identity-fixture.js';

const test = suite('recognition commands');
const folder = temporaryFolder();
const data = writeIdentities(join(folder, 'faces'));
const config = join(folder, 'config.json');
writeFileSync(
  config,
  JSON.stringify({
    model: { dimension: 16, channels: [4, 8, 8, 8], units: [0, 0, 0, 0] },
    loss: { loss: 'arcface', s: 16, m: 0.3, lambda: 0 },
    steps: 4,
    batchSize: 6,
    warmUpSteps: 1,
  }),
);

test('cameo train recognition trains by a file of settings, validates, and goes on where it was', async () => {
  const out = join(folder, 'out');
  const run = await cameo(['train', 'recognition', '--data', await data, '--config', config, '--balanced', '-o', out]);
  assert.is(run.code, 0, run.stderr);
  assert.match(run.stdout, /"loss":"arcface","s":16,"m":0.3/);
  assert.match(run.stdout, /20 faces of 5 identities/);
  assert.match(run.stdout, /held-out identities: TAR/);
  const { description, metadata } = readRecognizer(readFileSync(join(out, 'model.safetensors')));
  assert.is(description.architecture, 'cameo-face');
  assert.is(metadata.get('cameo.steps'), '4');
  assert.ok(existsSync(join(out, 'training.svg')));

  const again = await cameo(['train', 'recognition', '--data', await data, '-o', out]);
  assert.is(again.code, 1);
  assert.match(again.complaints.join(), /add --resume/);
  const longer = await cameo(['train', 'recognition', '--data', await data, '-o', out, '--resume', '--steps', '6']);
  assert.is(longer.code, 0, longer.stderr);
  assert.is(readFileSync(join(out, 'log.csv'), 'utf8').trim().split('\n').length, 7);
  const finished = await cameo(['train', 'recognition', '--data', await data, '-o', out, '--resume']);
  assert.is(finished.code, 0, finished.stderr);
  assert.match(finished.stdout, /finished already, after 6 steps, and left as it is: .*model\.safetensors/);
  const help = await cameo(['train', 'recognition', '--help']);
  assert.match(help.stdout.replace(/\s+/g, ' '), /another number with --resume also moves the learning-rate schedule/);
});

test('bad settings and data are refused by name', async () => {
  for (const [args, message] of [
    [['--loss', 'arcface', '--m', '9'], /m is 9; expected an angle/],
    [['--batch', '0'], /batchSize is 0/],
    [['--unlabelled', '3'], /without a teacher/],
    [['--teacher', 'nobody'], /recogniser nobody: neither a file nor one of/],
    [['--sources', 'nowhere'], /source nowhere/],
  ] as const) {
    const run = await cameo(['train', 'recognition', '--data', await data, '-o', join(folder, 'bad'), ...args]);
    assert.is(run.code, 1, `${args}`);
    assert.match(run.complaints.join(), message);
    assert.not(existsSync(join(folder, 'bad', 'checkpoint.safetensors')));
  }
});

test('cameo train losses compares every loss in a table', async () => {
  const out = join(folder, 'losses');
  const args = ['--steps', '4', '--batch', '6', '--channels', '4,4,4,8', '-o', out];
  const run = await cameo(['train', 'losses', '--data', await data, ...args]);
  assert.is(run.code, 0, run.stderr);
  const report = JSON.parse(readFileSync(join(out, 'losses.json'), 'utf8'));
  assert.equal(
    report.results.map(({ loss }: { loss: string }) => loss),
    ['cosface', 'arcface', 'sphereface', 'normface', 'softmax'],
  );
  for (const { validation, lastLoss } of report.results) {
    assert.ok(Number.isFinite(lastLoss) && validation.genuine === 24 && validation.impostor === 96);
  }
  assert.match(readFileSync(join(out, 'losses.md'), 'utf8'), /\| sphereface \| – \| 4 \| 5 \|/);
});

test.run();
