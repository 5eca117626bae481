// adapters: once
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { readImage, writePng } from '../../src/data/pictures/image.js';
import { ownFileAt } from '../../src/data/pictures/own-files.js';
import { listPictures } from '../../src/data/pictures/picture-listing.js';
import { FROZEN_PNGS } from '../codec/frozen-pngs.js';
import { writeTinyRecognizer } from '../helpers/people-fixture.js';
import { cameoInShell, temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('own files, standard input and output');
const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);
const env = { CAMEO_MODEL: writeTinyModel(at('model.safetensors'), 1), CAMEO_THRESHOLDS: at('thresholds.json') };
const recognizer = writeTinyRecognizer(at('recognizer.safetensors'), 4);
mkdirSync(at('in', 'ann'), { recursive: true });
const NAMES = ['1', '2', 'ann/1'];
for (const [k, name] of NAMES.entries()) {
  const data = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => 128 + 90 * Math.sin(i / (50 + 30 * k)));
  await writePng(at('in', `${name}.png`), { width: 96, height: 112, data });
}
const run = (...args: string[]) => cameoHere(args, env, folder);
const shell = (script: string) => cameoInShell(script, env, folder);
const compact = (path: string): string[] =>
  readdirSync(at(path), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.cameo.png'))
    .sort();

test('what a run has written is not an input of the next run, in whatever folder it is', async () => {
  const first = await run('encode', 'in', '-o', 'in');
  assert.is(first.code, 0, first.stderr);
  const made = compact('in');
  assert.is(made.length, NAMES.length);
  const decoded = await run('decode', ...made.map((name) => join('in', name)), '-o', 'in/restored');
  assert.is(decoded.code, 1, 'two faces of one name');
  assert.is(readdirSync(at('in', 'restored')).length, 2);
  copyFileSync(at('in', 'restored', '1.decoded.png'), at('in', 'renamed.png'));
  writeFileSync(at('in', 'cut.cameo.png'), readFileSync(at('in', made[0])).subarray(0, 60));
  for (const out of ['in', 'in/below']) {
    const again = await run('encode', 'in', '-o', out);
    assert.is(again.code, 0, again.stderr);
    assert.match(again.stderr, /left out \d+ pictures that Cameo wrote/);
    assert.match(again.stdout, /^3 faces -> /);
  }
  assert.is(compact('in').length, 2 * NAMES.length + 1);
  assert.equal(
    (await listPictures(at('in'))).pictures.map(({ name }) => name),
    NAMES,
  );
  const set = await openFaceFolder(at('in'));
  assert.equal([set.count, set.own, set.unreadable.length], [NAMES.length, 2 * NAMES.length + 4, 0]);
});

test('a restored picture that is named on the command line is encoded, and a compact file is refused', async () => {
  assert.is(await ownFileAt(at('in', 'renamed.png')), 'picture');
  const { width, height } = await readImage(at('in', 'renamed.png'));
  assert.equal([width, height], [96, 112], 'the mark is a chunk that readers of PNG ignore');
  const named = await run('encode', 'in/renamed.png', 'in/1.cameo.png', '-o', 'named');
  assert.is(named.code, 1);
  assert.equal(named.complaints, ['cameo: in/1.cameo.png: it is already a compact file; `cameo decode` restores it']);
  assert.match(named.stderr, /in\/renamed\.png is a picture that Cameo wrote; encoding it again loses more quality/);
  assert.equal(readdirSync(at('named')), ['renamed.cameo.png']);
  mkdirSync(at('only'));
  copyFileSync(at('in', 'renamed.png'), at('only', 'x.png'));
  const only = await run('encode', 'only', '-o', 'named');
  assert.is(only.code, 1);
  assert.match(only.complaints.join(), /only: the folder has no .* pictures except 1 that Cameo wrote/);
});

test('a grey photograph is a picture, and compact files of all versions are known by their content', async () => {
  mkdirSync(at('grey'));
  await sharp(at('in', '1.png')).toColourspace('b-w').png().toFile(at('grey', 'photo.png'));
  copyFileSync(at('in', '1.cameo.png'), at('grey', 'compact.png'));
  writeFileSync(at('grey', 'earlier.png'), FROZEN_PNGS[0].file);
  const kinds = ['photo.png', 'compact.png', 'earlier.png'].map((name) => ownFileAt(at('grey', name)));
  assert.equal(await Promise.all(kinds), [undefined, 'compact', 'compact']);
  const encoded = await run('encode', 'grey', '-o', 'grey');
  assert.is(encoded.code, 0, encoded.stderr);
  assert.equal(compact('grey'), ['photo.cameo.png']);
  const { stdout } = await run('info', 'grey/compact.png', 'grey/earlier.png', '--json');
  assert.equal(
    JSON.parse(stdout).files.map(({ kind, version }: { kind: string; version: number }) => [kind, version]),
    [
      ['png', 2],
      ['png', 1],
    ],
  );
});

test('an output that would replace an input is refused, and the input is unchanged', async () => {
  copyFileSync(at('in', '1.png'), at('face.cameo'));
  const before = readFileSync(at('face.cameo'));
  const shipped = { CAMEO_MODEL: '', CAMEO_ADAPTER: 'no such adapter' };
  const refused = await cameoHere(['encode', 'face.cameo', '-o', '.'], shipped, folder);
  assert.is(refused.code, 1, refused.stderr);
  assert.match(refused.complaints.join(), /face\.cameo is an input and would be overwritten/);
  assert.equal(readFileSync(at('face.cameo')), before);
});

test('"-" is standard input and output: the bytes are those of files, and messages go to standard error', async () => {
  const encoded = await shell('cameo encode - -o - < in/2.png > piped.cameo.png');
  assert.equal([encoded.code, encoded.stdout], [0, '']);
  assert.equal(readFileSync(at('piped.cameo.png')), readFileSync(at('in', '2.cameo.png')));
  const decoded = await shell('cameo decode - -o - < piped.cameo.png | cat > piped.png; exit $((PIPESTATUS[0]))');
  assert.is(decoded.code, 0, decoded.stderr);
  assert.equal(readFileSync(at('piped.png')), readFileSync(at('in', 'restored', '2.decoded.png')));
  const info = await shell('cat piped.cameo.png | cameo info -');
  assert.match(info.stdout, /^standard input: \d+ bytes, .*checksum ok/);
  const named = await shell('cameo encode - -o stdin < in/2.png');
  assert.is(named.code, 0, named.stderr);
  assert.equal(readdirSync(at('stdin')), ['stdin.cameo.png']);
  for (const [script, message] of [
    ['cameo encode - --archive -', /--archive -: an archive has to be a file/],
    ['cameo encode - -o small --landmarks - < in/1.png', /standard input/],
    ['cameo encode - -o small < /dev/null', /standard input: the file is empty/],
    ['cameo decode - -o - < in/1.png', /standard input: a PNG, but not a compact file/],
    ['cameo encode in/1.png -o - > /dev/full', /standard output: cannot be written: the disk is full/],
  ] as const) {
    const { code, complaints } = await shell(script);
    assert.is(code, 1, script);
    assert.match(complaints.join('\n'), message);
  }
  for (const [words, message] of [
    ['encode in/1.png in/2.png -o -', /-o -: standard output can take the file of only one picture/],
    ['encode in -o -', /-o -: standard output can take the file of only one picture/],
    [
      'decode in/1.cameo.png in/2.cameo.png -o -',
      /-o -: standard output can take only one picture, but 2 files are given/,
    ],
  ] as const) {
    const { code, complaints } = await run(...words.split(' '));
    assert.is(code, 1, words);
    assert.match(complaints.join('\n'), message);
  }
});

test('--json: one document with stable keys, and errors in it', async () => {
  const encoded = await run('encode', 'in/1.png', 'missing.png', '-o', 'json', '--json');
  assert.is(encoded.code, 1);
  const summary = JSON.parse(encoded.stdout);
  assert.equal(
    [summary.command, summary.ok, summary.pictures, summary.encoded, summary.archive],
    ['encode', false, 2, 1, null],
  );
  assert.equal(
    summary.files.map(({ output }: { output: string }) => output),
    ['json/1.cameo.png'],
  );
  assert.equal(
    summary.errors.map(({ input }: { input: string }) => input),
    ['missing.png'],
  );
  const info = await run('info', 'json/1.cameo.png', 'in/1.png', '--json');
  assert.is(info.code, 1);
  const { files, errors } = JSON.parse(info.stdout);
  const { length } = readFileSync(at('json', '1.cameo.png'));
  assert.equal(
    [files.length, files[0].kind, files[0].bytes, files[0].matches, files[0].checked],
    [1, 'png', length, true, true],
  );
  assert.match(errors[0].message, /not one row of grey pixels/);
  const same = await shell(`cat in/1.png | cameo verify - in/1.png --model ${recognizer} --json`);
  assert.is(same.code, 2, same.stderr); // exit code 2, because there is no threshold for this recogniser
  const verdict = JSON.parse(same.stdout);
  assert.equal([verdict.a, verdict.b, verdict.threshold, verdict.same], ['standard input', 'in/1.png', null, null]);
  assert.ok(verdict.similarity > 0.9999);
  const missing = await run('verify', 'none.png', 'in/1.png', '--model', recognizer, '--json');
  assert.equal([missing.code, JSON.parse(missing.stdout).errors.length], [2, 1]);
});

test.run();
