// adapters: once
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { unpackLatentsPng } from '../../src/codec/png/container.js';
import { writePng } from '../../src/data/pictures/image.js';
import sharp from '../../src/data/pictures/sharp.js';
import { redSquares, writeRedSquaresDetector } from '../helpers/red-squares.js';
import { temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('faces of photographs');
const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);

const SIDE = 60;
const PICTURE = redSquares(320, 120, SIDE, [
  [20, 30],
  [120, 0],
  [220, 10],
]);
const CAMEO_MODEL = writeTinyModel(at('model.safetensors'), 1);
const CAMEO_DETECTOR = writeRedSquaresDetector(at('detector.safetensors'));
const env = { CAMEO_MODEL, CAMEO_DETECTOR };
const run = (...args: string[]) => cameoHere(args, env, folder);
const encode = (out: string, ...args: string[]) => run('encode', ...args, '-o', out, '--min-face', `${SIDE}`);
const filesOf = (name: string): string[] => (existsSync(at(name)) ? readdirSync(at(name)).sort() : []);

test('photographs', async () => {
  await writePng(at('three.png'), PICTURE);
  await writePng(at('one.png'), redSquares(150, 120, SIDE, [[30, 20]]));
  await writePng(at('none.png'), redSquares(150, 120, SIDE, []));
  await writePng(at('dot.png'), { width: 1, height: 1, data: new Uint8Array(3) });
  await writePng(at('face.png'), redSquares(96, 112, SIDE, [[0, 0]]));
});

test('encode finds faces, numbers them from left to right, and goes on after a picture without a face', async () => {
  const ran = await encode('all', 'three.png', 'none.png', 'dot.png', 'one.png', 'face.png');
  assert.is(ran.code, 1);
  assert.equal(ran.complaints, [
    'cameo: none.png: no face found in this picture of 150×120',
    'cameo: dot.png: no face found in this picture of 1×1',
  ]);
  const names = ['face', 'one', 'three-1', 'three-2', 'three-3'];
  assert.equal(
    filesOf('all'),
    names.map((name) => `${name}.cameo.png`),
  );
  assert.match(ran.stdout, /^three\.png, face 2 -> all\/three-2\.cameo\.png {2}\d+ bytes/m);
  for (const name of filesOf('all')) unpackLatentsPng(readFileSync(at('all', name)));
});

test('--faces largest takes one face per photograph, and --face takes the face of that number', async () => {
  const largest = await encode('largest', 'three.png', 'one.png', '--faces', 'largest');
  assert.is(largest.code, 0, largest.stderr);
  assert.equal(filesOf('largest'), ['one.cameo.png', 'three.cameo.png']);
  const second = await encode('second', 'three.png', 'face.png', 'one.png', '--face', '2');
  assert.equal(second.complaints, [
    'cameo: face.png: there is no face 2: the picture has one, counted from the left',
    'cameo: one.png: there is no face 2: the picture has one, counted from the left',
  ]);
  assert.equal(filesOf('second'), ['three-2.cameo.png']);
  assert.equal(readFileSync(at('second', 'three-2.cameo.png')), readFileSync(at('all', 'three-2.cameo.png')));
  const both = await encode('both', 'three.png', '--face', '1', '--faces', 'all');
  assert.match(both.complaints.join(), /--faces all and --face 1: give only one of them/);
  assert.not(existsSync(at('both')));
});

test('two faces of one run with the same output name are an error, and nothing is overwritten', async () => {
  mkdirSync(at('other'));
  await writePng(at('other', 'three-1.png'), redSquares(96, 112, SIDE, [[10, 10]]));
  const ran = await encode('taken', 'other/three-1.png', 'three.png');
  assert.equal(ran.complaints.length, 1);
  assert.match(
    ran.complaints[0],
    /three\.png, face 1: its output would be taken\/three-1\.cameo\.png, which is also that of other/,
  );
  assert.equal(
    filesOf('taken'),
    ['three-1', 'three-2', 'three-3'].map((name) => `${name}.cameo.png`),
  );
});

test('output to standard output needs exactly one face', async () => {
  const many = await encode('-', 'three.png');
  assert.is(many.code, 1);
  assert.match(many.complaints.join(), /three\.png: it has 3 faces, but .*choose it with --face or --faces largest/);
});

test('faces of poor quality give a warning, also in JSON', async () => {
  // The eyes are 10 pixels apart.
  const small = redSquares(90, 90, 30, [[30, 30]]);
  await writePng(at('small.png'), small);
  const ran = await run('encode', 'small.png', '-o', 'poor', '--min-face', '30', '--json');
  assert.is(ran.code, 0, ran.stderr);
  const { warnings, errors, encoded } = JSON.parse(ran.stdout);
  const message = 'the face is small: its eyes are 9 pixels apart, wanted are 18';
  assert.equal(warnings, [{ input: 'small.png', kind: 'small', message }]);
  assert.equal([errors, encoded], [[], 1]);
  assert.match(ran.stderr, new RegExp(`^warning: small\\.png: ${message}$`, 'm'));
});

test('without a detector, a one-line error says what to give; a detector that cannot be read is named', async () => {
  const absent = await cameoHere(['encode', 'three.png', '-o', 'new', '--detector', 'nowhere'], env, folder);
  assert.equal(absent.complaints, ['cameo: three.png: nowhere: cannot be read: no such file or folder (ENOENT)']);
  writeFileSync(at('text.safetensors'), 'no weights');
  const broken = await cameoHere(['encode', 'three.png', '-o', 'new', '--detector', 'text.safetensors'], env, folder);
  assert.match(broken.complaints.join(), /^cameo: three\.png: text\.safetensors: /);
  assert.is(broken.code, 1);
  const aligned = await cameoHere(['encode', 'face.png', '-o', 'new', '--detector', 'nowhere'], env, folder);
  assert.is(aligned.code, 0, 'an aligned face needs no detector');
});

test('grey, transparent, CMYK and turned photographs give the same faces', async () => {
  // The detector finds a square by its red bytes, which in grey equal those of green and blue.
  const raw = { raw: { width: 320, height: 120, channels: 3 as const } };
  const upright = redSquares(150, 150, SIDE, [[60, 20]]);
  const grey = upright.data.map((_, i) => upright.data[i - (i % 3)]);
  const square = { raw: { width: 150, height: 150, channels: 3 as const } };
  await sharp(grey, square).toColourspace('b-w').png().toFile(at('grey.png'));
  await sharp(PICTURE.data, raw).ensureAlpha(1).png().toFile(at('alpha.png'));
  await sharp(grey, square).toColourspace('cmyk').jpeg({ quality: 100 }).toFile(at('cmyk.jpg'));
  // The picture is stored turned by 90° clockwise; its orientation says how to turn it back.
  const turned = await sharp(upright.data, square).rotate(90).png().toBuffer();
  await sharp(turned).withMetadata({ orientation: 8 }).png().toFile(at('turned.png'));
  await writePng(at('upright.png'), upright);
  const ran = await encode('kinds', 'grey.png', 'alpha.png', 'cmyk.jpg', 'turned.png', 'upright.png');
  assert.is(ran.code, 0, ran.stderr);
  const names = ['alpha-1', 'alpha-2', 'alpha-3', 'cmyk', 'grey', 'turned', 'upright'];
  assert.equal(
    filesOf('kinds'),
    names.map((name) => `${name}.cameo.png`),
  );
  const bytes = (out: string, name: string) => readFileSync(at(out, `${name}.cameo.png`));
  assert.equal(bytes('kinds', 'turned'), bytes('kinds', 'upright'));
  assert.equal(bytes('kinds', 'alpha-2'), bytes('all', 'three-2'));
});

test.run();
