// adapters: once
// suite: long
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writePng } from '../../src/data/pictures/image.js';
import { writeSingleShot } from '../../src/models/single-shot.js';
import { fixedDetectorWeights, SMALL_DETECTOR } from '../models/single-shot-fixture.js';
import { sharedGpu } from '../runner/shared-gpu.js';
import { cameoHere } from './cli-here.js';

const test = suite('detector-cli');
const folder = mkdtempSync(join(tmpdir(), 'cameo-detector-cli-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const data = join(folder, 'data');
const weights = join(folder, 'detector.safetensors');

test.before(async () => {
  await sharedGpu();
  mkdirSync(data);
  const face = [0.9, 40, 30, 30, 40, 48, 45, 62, 45, 55, 52, 49, 60, 61, 60];
  const faces = JSON.stringify([face]);
  const rows = ['train', 'train', 'val'].map((split, k) => `${k}.png\tp${k}\t${split}\t${faces}`);
  writeFileSync(join(data, 'manifest.tsv'), `${['path\tidentity\tsplit\tfaces', ...rows].join('\n')}\n`);
  const pixels = new Uint8Array(110 * 100 * 3).fill(120);
  for (const k of [0, 1, 2]) await writePng(join(data, `${k}.png`), { width: 110, height: 100, data: pixels });
  // Every cell reports a face of one stride around it with full confidence.
  writeFileSync(weights, writeSingleShot(SMALL_DETECTOR, fixedDetectorWeights([2, ...new Array(14).fill(0)])));
});

test('evaluate detection writes a report of each set, and the same figures as JSON', async () => {
  const out = join(folder, 'results');
  const worst = join(folder, 'worst.png');
  const sets = 'photos,variants,faceless';
  const options = ['--data', data, '--sets', sets, '--detector', weights, '--worst', worst, '-o', out, '--json'];
  const { code, stdout, stderr } = await cameoHere(['evaluate', 'detection', ...options]);
  assert.is(code, 0, stderr);
  const { report } = JSON.parse(stdout);
  assert.equal(report, JSON.parse(readFileSync(join(out, 'detection.json'), 'utf8')));
  assert.is(report.figures.length, 1 + 6 + 1);
  const [photographs, turned] = report.figures;
  assert.equal([photographs.name, photographs.pictures, photographs.faces], ['photographs', 1, 1]);
  assert.ok(photographs.wrong > 10, 'the cells report faces everywhere');
  assert.is(turned.name, 'turned by 30° to the left');
  assert.match(report.detector.id, /^[0-9a-f]{16}$/);
  const text = readFileSync(join(out, 'detection.md'), 'utf8');
  assert.match(text, /^# Detection of faces/);
  assert.match(text, /\| photographs \| 1 \| 1 \|/);
  assert.ok(existsSync(worst));
});

test('evaluate detection refuses unknown sets, and data without photographs', async () => {
  const wrong = await cameoHere(['evaluate', 'detection', '--sets', 'photos,cats', '--data', data]);
  assert.is(wrong.code, 1);
  assert.match(wrong.stderr, /--sets: "cats" is none; expected some of photos, variants, faceless, lfw/);
  const none = await cameoHere(['evaluate', 'detection', '--data', data, '--split', 'test', '--detector', weights]);
  assert.is(none.code, 1);
  assert.match(none.stderr, /no photographs of split test/);
});

test('train detector and train landmarks write a detector that the other commands accept', async () => {
  const out = join(folder, 'run');
  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify({ model: SMALL_DETECTOR, batchSize: 2, side: 64, warmUpSteps: 1 }));
  const run = ['train', 'detector', '--data', data, '-o', out, '--config', config, '--steps', '2'];
  const { code, stderr } = await cameoHere(run);
  assert.is(code, 0, stderr);
  for (const name of ['model.safetensors', 'checkpoint.safetensors', 'log.csv', 'training.svg']) {
    assert.ok(existsSync(join(out, name)), name);
  }
  const again = await cameoHere(run);
  assert.is(again.code, 1);
  assert.match(again.stderr, /exists: add --resume/);
  const detector = join(out, 'model.safetensors');
  const small = join(folder, 'small.json');
  writeFileSync(small, JSON.stringify({ model: { widths: [3, 4, 5, 6] }, batchSize: 2, warmUpSteps: 1 }));
  const refined = join(folder, 'refined');
  const more = ['--detector', detector, '--data', data, '-o', refined, '--config', small, '--steps', '2'];
  const landmarks = await cameoHere(['train', 'landmarks', ...more]);
  assert.is(landmarks.code, 0, landmarks.stderr);
  assert.ok(existsSync(join(refined, 'training.svg')));
  const both = join(refined, 'model.safetensors');
  const found = await cameoHere(['detect', join(data, '2.png'), '--detector', both, '--json']);
  assert.is(found.code, 0, found.stderr);
  assert.is(JSON.parse(found.stdout).photos[0].width, 110);
});

test.run();
