// adapters: once
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FACE_TEMPLATE } from '../../src/detection/align.js';
import { writePeople, writeTinyRecognizer } from '../helpers/people-fixture.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('evaluate pairs');
const folder = temporaryFolder();
const model = join(folder, 'tiny.safetensors');
const images = join(folder, 'images');
const env = { CAMEO_CACHE: join(folder, 'cache') };

const pictures = (async () => {
  writeTinyRecognizer(model, 4);
  await writePeople(images);
  const pairs = ['2 1', 'Ann 1 2', 'Ann 1 Bob 1', 'Cid 1 2', 'Cid 1 Dan 2', ''].join('\n');
  writeFileSync(join(folder, 'pairs.txt'), pairs);
})();

const evaluate = (...args: string[]) =>
  cameoHere(
    ['evaluate', 'pairs', '--images', images, '--pairs', join(folder, 'pairs.txt'), '--model', model, ...args],
    env,
  );

test('evaluate pairs writes figures, all scores and the curve, and a second run uses the kept embeddings', async () => {
  await pictures;
  const out = join(folder, 'out');
  const run = await evaluate('-o', out);
  assert.is(run.code, 0, run.stderr);
  const report = JSON.parse(readFileSync(join(out, 'pairs-tiny.json'), 'utf8'));
  assert.is(report.data.images, 6); // the other pictures are in no pair
  assert.is(report.figures.pairs, 4);
  assert.is(report.figures.folds.length, 2);
  const csv = readFileSync(join(out, 'pairs-tiny.csv'), 'utf8').trim().split('\n');
  assert.is(csv.length, 5);
  const score = (k: number): number => Number(csv[k].split(',')[4]);
  assert.ok(score(1) > 0.99 && score(1) > score(2) && score(3) > score(4), csv.join());
  assert.is(report.figures.accuracy, 1);
  assert.match(readFileSync(join(out, 'pairs-tiny.md'), 'utf8'), /100\.00 % ± 0\.00/);
  const again = await evaluate('-o', join(folder, 'again'));
  assert.is(again.code, 0, again.stderr);
  assert.is(readFileSync(join(folder, 'again', 'pairs-tiny.csv'), 'utf8'), `${csv.join('\n')}\n`);
});

test('evaluate lfw keeps its figures for verify, and refuses to if the thresholds are for another kind of embedding', async () => {
  await pictures;
  const names = ['Ann', 'Bob', 'Cid', 'Dan'].flatMap((name) => [1, 2].map((k) => `${name}/${name}_000${k}.jpg`));
  const points = FACE_TEMPLATE.flat().join(' ');
  writeFileSync(join(folder, 'landmarks.txt'), names.map((name) => `${name} ${points}\n`).join(''));
  const paths = [
    '--images',
    images,
    '--pairs',
    join(folder, 'pairs.txt'),
    '--landmarks',
    join(folder, 'landmarks.txt'),
  ];
  const thresholds = join(folder, 'thresholds.json');
  const lfw = ['evaluate', 'lfw', ...paths, '--model', model, '-o', join(folder, 'lfw'), '--save-figures'];
  const run = await cameoHere(lfw, { ...env, CAMEO_THRESHOLDS: thresholds });
  assert.is(run.code, 0, run.stderr);
  const report = JSON.parse(readFileSync(join(folder, 'lfw', 'lfw-tiny.json'), 'utf8'));
  const { pairs, accuracy, standardError, tar } = report.figures;
  const saved = JSON.parse(readFileSync(thresholds, 'utf8'));
  const figures = { pairs, accuracy, standardError, tar: tar.tar, far: tar.far, command: report.command };
  assert.equal([saved[report.model.id].embedding, saved[report.model.id].lfw], ['flip', figures]);
  const [ann] = names.map((name) => join(images, name));
  const told = await cameoHere(['verify', ann, ann, '--model', model], { ...env, CAMEO_THRESHOLDS: thresholds });
  assert.match(told.stdout, /^how good it is: 100\.0 % ± 0\.0 of 4 pairs of LFW decided correctly/m);
  assert.is(told.code, 2, 'no thresholds are saved yet');

  const scores = (name: string): number[] =>
    readFileSync(join(folder, 'lfw', name), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => Number(line.split(',')[4]));
  const other = ['evaluate', 'lfw', ...paths, '--model', model, '-o', join(folder, 'lfw'), '--quick', '--enlarge', '4'];
  const enlarged = await cameoHere(other, env);
  assert.is(enlarged.code, 0, enlarged.stderr);
  assert.match(
    readFileSync(join(folder, 'lfw', 'lfw-tiny-quick-enlarged-4.md'), 'utf8'),
    /made 4 times as large first/,
  );
  const originals = scores('lfw-tiny.csv');
  scores('lfw-tiny-quick-enlarged-4.csv').forEach((score, k) => {
    assert.ok(Math.abs(score - originals[k]) < 0.02, `pair ${k}: ${score}, not ${originals[k]}`);
  });
  assert.is(scores('lfw-tiny-quick-enlarged-4.csv').length, 4, 'there are only so many pairs');
  const kept = await cameoHere([...other, '--save-figures'], env);
  assert.match(kept.complaints.join(), /--save-figures: .* expected neither --quick nor --enlarge/);

  const single = {
    [report.model.id]: { name: 'tiny', embedding: 'single', thresholds: { '0.1': 0.5 }, command: 'none' },
  };
  writeFileSync(thresholds, JSON.stringify(single));
  const refused = await cameoHere(lfw, { ...env, CAMEO_THRESHOLDS: thresholds, CAMEO_ADAPTER: 'no such adapter' });
  assert.is(refused.code, 1);
  assert.match(
    refused.complaints.join(),
    /--save-figures: the thresholds .* embedding "single", the figures .* "flip"/,
  );
  assert.equal(JSON.parse(readFileSync(thresholds, 'utf8')), single);
});

test('a missing picture is named before any work; --skip-missing counts it', async () => {
  await pictures;
  rmSync(join(images, 'Cid', 'Cid_0002.jpg'));
  writeFileSync(join(images, 'Dan', 'Dan_0002.jpg'), 'no picture');
  const run = await evaluate('-o', join(folder, 'missing'));
  assert.is(run.code, 1);
  assert.match(run.complaints.join(), /Cid\/Cid_0002\.jpg/);
  // There are enough pairs for both folds to keep some.
  writeFileSync(
    join(folder, 'pairs.txt'),
    [
      '2 2',
      'Ann 1 2',
      'Cid 1 2',
      'Ann 1 Bob 1',
      'Ann 2 Bob 2',
      'Bob 1 2',
      'Ann 2 1',
      'Bob 1 Cid 1',
      'Cid 1 Dan 2',
      '',
    ].join('\n'),
  );
  const skipped = await evaluate('--skip-missing', '-o', join(folder, 'skipped'));
  assert.is(skipped.code, 0, skipped.stderr);
  const { data } = JSON.parse(readFileSync(join(folder, 'skipped', 'pairs-tiny.json'), 'utf8'));
  assert.equal([...data.skippedImages].sort(), ['Cid/Cid_0002.jpg', 'Dan/Dan_0002.jpg']);
  assert.is(data.skippedPairs, 2);
  assert.is(skipped.stderr.match(/left out/g)?.length, 2);
});

/** An adapter that does not exist: a run that gets as far as opening a device ends with exit code 2. */
const NO_GPU = { ...env, CAMEO_ADAPTER: 'no such adapter' };

const evaluateList = (lines: readonly string[], args: readonly string[], environment = env) => {
  const list = join(folder, 'list.txt');
  writeFileSync(list, lines.join('\n'));
  const paths = ['--images', images, '--pairs', list, '--model', model];
  return cameoHere(['evaluate', 'pairs', ...paths, '-o', join(folder, 'list'), ...args], environment);
};

test('pairs that the protocol cannot evaluate are refused before a device is opened', async () => {
  await pictures;
  for (const [lines, message] of [
    [['1 1', 'Ann 1 2', 'Ann 1 Bob 1'], /list\.txt: pairs of 1 fold; expected at least 2/],
    [['1', 'Ann 1 2', 'Ann 1 Bob 1'], /list\.txt: pairs of 1 fold/],
    [
      ['2 1', 'Eve 1 2', 'Ann 1 Eve 1', 'Fay 1 2', 'Ann 1 Fay 2'],
      /0 matched and 0 mismatched pairs of 0 of 2 folds remain/,
    ],
    [
      ['2 1', 'Ann 1 2', 'Ann 1 Bob 1', 'Eve 1 2', 'Ann 1 Eve 1'],
      /1 matched and 1 mismatched pairs of 1 of 2 folds remain/,
    ],
    [['2 1', 'Ann 1 2', 'Ann 1 Eve 1', 'Bob 1 2', 'Ann 1 Eve 1'], /2 matched and 0 mismatched/],
  ] as const) {
    const run = await evaluateList(lines, ['--skip-missing'], NO_GPU);
    assert.is(run.code, 1, run.stderr);
    assert.match(run.complaints.join(), message);
  }
});

test('a fold that has lost all its pairs is named in a warning and in the report', async () => {
  await pictures;
  const lines = ['3 1', 'Ann 1 2', 'Ann 1 Bob 1', 'Eve 1 2', 'Ann 1 Eve 1', 'Bob 1 2', 'Ann 2 Bob 2'];
  const run = await evaluateList(lines, ['--skip-missing']);
  assert.is(run.code, 0, run.stderr);
  assert.match(run.stderr, /left out fold 2: none of its pairs remains/);
  const { data, figures } = JSON.parse(readFileSync(join(folder, 'list', 'pairs-tiny.json'), 'utf8'));
  assert.equal(data.lostFolds, [2]);
  assert.is(figures.folds.length, 2);
  assert.match(readFileSync(join(folder, 'list', 'pairs-tiny.md'), 'utf8'), /no pair is left of fold 2/);
});

test.run();
