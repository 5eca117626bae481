// adapters: once
// suite: long
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writePng } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import sharp from '../../src/data/pictures/sharp.js';
import { writeSingleShot } from '../../src/models/single-shot.js';
import { writeTinyRecognizer } from '../helpers/people-fixture.js';
import { redSquares, writeRedSquaresDetector } from '../helpers/red-squares.js';
import { fixedDetectorWeights, SMALL_DETECTOR } from '../models/single-shot-fixture.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

/* Compares evaluations and trainings on photographs with the same on their crops. The faces are red squares. */

const test = suite('faces found for evaluations and trainings');
const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);
const model = writeTinyRecognizer(at('tiny.safetensors'), 4);
const detector = writeRedSquaresDetector(at('detector.safetensors'));
const env = { CAMEO_CACHE: at('cache'), CAMEO_DETECTOR: '', CAMEO_DATA: at('nowhere') };
const run = (...args: string[]) => cameoHere(args, env, folder);

/** The smallest faces that are searched for. */
const SIDE = 20;
const photo = (seed: number) => redSquares(90, 70, SIDE, [[10 + 10 * (seed % 5), 20]], seed);

test('photographs of five persons can be cropped', async () => {
  for (let person = 0; person < 5; person++) {
    for (let k = 0; k < 4; k++) {
      const path = at('photos', 'train', `p${person}`, `${k}.png`);
      mkdirSync(dirname(path), { recursive: true });
      await writePng(path, photo(4 * person + k));
    }
  }
  const cropped = await run('crop', 'photos', '-o', 'crops', '--detector', detector);
  assert.is(cropped.code, 0, cropped.stderr);
});

test('evaluate identities gives the same figures for photographs as for their crops', async () => {
  const evaluate = (data: string, ...args: string[]) =>
    run(
      'evaluate',
      'identities',
      '--data',
      data,
      '--model',
      model,
      '--split',
      'train',
      '-o',
      `figures-${data}`,
      ...args,
    );
  const found = await evaluate('photos', '--detector', detector);
  assert.is(found.code, 0, found.stderr);
  const given = await evaluate('crops');
  assert.is(given.code, 0, given.stderr);
  const groups = (data: string) =>
    JSON.parse(readFileSync(at(`figures-${data}`, 'identities-tiny-train.json'), 'utf8')).groups;
  assert.equal(groups('photos'), groups('crops'));
  const wrong = await evaluate('photos', '--detector', 'nowhere');
  assert.match(wrong.complaints.join(), /^cameo: nowhere: cannot be read/);
});

test('evaluate pairs gives photographs the same scores as with the landmarks that crop finds', async () => {
  const names = ['Ann/Ann_0001', 'Ann/Ann_0002', 'Bob/Bob_0001', 'Cid/Cid_0001', 'Cid/Cid_0002', 'Dan/Dan_0001'];
  for (const [k, name] of names.entries()) {
    const { width, height, data } = photo(k);
    mkdirSync(dirname(at('people', name)), { recursive: true });
    const jpeg = sharp(data, { raw: { width, height, channels: 3 } }).jpeg({
      quality: 100,
      chromaSubsampling: '4:4:4',
    });
    await jpeg.toFile(at('people', `${name}.jpg`));
  }
  const lists = ['2\t1', 'Ann\t1\t2', 'Ann\t1\tBob\t1', 'Cid\t1\t2', 'Cid\t1\tDan\t1', ''];
  writeFileSync(at('pairs.txt'), lists.join('\n'));
  const evaluate = (out: string, ...args: string[]) =>
    run('evaluate', 'pairs', '--images', 'people', '--pairs', 'pairs.txt', '--model', model, '-o', out, ...args);
  const scores = (out: string, name: string) => readFileSync(at(out, `${name}.csv`), 'utf8');

  const absent = await evaluate('none');
  assert.is(absent.code, 1);
  assert.match(absent.complaints.join(), /no landmarks; expected landmarks, or an aligned face|no face found/);
  const found = await evaluate('found', '--detector', detector);
  assert.is(found.code, 0, found.stderr);
  assert.match(
    readFileSync(at('found', 'pairs-tiny.md'), 'utf8'),
    /Landmarks: found by the detector with weights [0-9a-f]{8}/,
  );

  const cropped = await run('crop', 'people', '-o', 'people-crops', '--detector', detector);
  assert.is(cropped.code, 0, cropped.stderr);
  const lines: string[] = [];
  for (const [path, [points]] of await readLandmarks(at('people-crops', 'landmarks.json')))
    lines.push([path.replace('people/', ''), ...points.flat()].join('\t'));
  writeFileSync(at('landmarks.txt'), lines.join('\n'));
  const given = await evaluate('given', '--landmarks', 'landmarks.txt');
  assert.is(given.code, 0, given.stderr);
  assert.is(scores('found', 'pairs-tiny'), scores('given', 'pairs-tiny'));
  const again = await evaluate('again', '--no-landmarks', '--detector', detector, '--faces', 'central');
  assert.is(again.code, 0, again.stderr);
  assert.is(scores('again', 'pairs-tiny-found'), scores('given', 'pairs-tiny'));
});

test('evaluate codecs gives photographs the same rows as with the landmarks that crop finds', async () => {
  const compared = async (name: string, ...args: string[]) => {
    const codecs = `evaluate codecs --lfw ${name} --codecs cameo --budgets 300 --single --quick --mixes both`.split(
      ' ',
    );
    const all = [...codecs, '--recognizers', model, '-o', `rows-${name}`, ...args];
    const done = await cameoHere(all, { ...env, CAMEO_DETECTOR: detector }, folder);
    assert.is(done.code, 0, done.stderr);
    return JSON.parse(readFileSync(at(`rows-${name}`, 'report.json'), 'utf8'));
  };
  for (const name of ['found-lfw', 'given-lfw']) {
    mkdirSync(at(name));
    symlinkSync(at('people'), at(name, 'images'), 'dir');
    copyFileSync(at('pairs.txt'), at(name, 'pairs.txt'));
  }
  copyFileSync(at('landmarks.txt'), at('given-lfw', 'landmarks.txt'));
  const found = await compared('found-lfw', '--no-landmarks');
  const given = await compared('given-lfw');
  assert.is(found.setting, given.setting, 'the same pairs and faces');
  assert.match(found.detector, /^[0-9a-f]{8}$/);
  assert.not('detector' in given);
  const text = readFileSync(at('rows-found-lfw', 'report.md'), 'utf8');
  assert.match(text, new RegExp(`by the landmarks that the detector with weights ${found.detector} finds`));
});

test('training on photographs gives the same result as on their crops', async () => {
  const settings = {
    model: { stages: [4, 4, 4, 8], latentChannels: 4, residualBlocks: 0, rates: 2 },
    targetBytes: [200, 300],
  };
  const stages = [{ name: 'only', steps: 2, quantization: 'noise' }];
  writeFileSync(at('settings.json'), JSON.stringify({ ...settings, stages, batchSize: 2 }));
  const train = (data: string, ...args: string[]) =>
    run(...`train autoencoder --data ${data} --config settings.json -o trained-${data}`.split(' '), ...args);
  const blind = fixedDetectorWeights([-9, ...Array(14).fill(0)]);
  writeFileSync(at('blind.safetensors'), writeSingleShot(SMALL_DETECTOR, blind));
  const unseen = await train('photos', '--detector', 'blind.safetensors');
  assert.is(unseen.code, 1);
  assert.match(unseen.complaints.join(), /none of the 20 faces is readable; .*no face found/);
  const found = await train('photos', '--detector', detector);
  assert.is(found.code, 0, found.stderr);
  const given = await train('crops');
  assert.is(given.code, 0, given.stderr);
  const log = (data: string) => readFileSync(at(`trained-${data}`, 'log.csv'), 'utf8');
  assert.is(log('photos'), log('crops'));
});

test.run();
