// suite: long
// adapters: once
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readImage, writePng } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import { alignFace } from '../../src/detection/align.js';
import { redSquares, writeRedSquaresDetector } from '../helpers/red-squares.js';
import { temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('detect and crop');
const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);

const SIDE = 60;
const CORNERS = [
  [120, 0],
  [20, 30],
] as const;
const PICTURE = redSquares(220, 120, SIDE, CORNERS);
const env = {
  CAMEO_MODEL: writeTinyModel(at('model.safetensors'), 1),
  CAMEO_DETECTOR: writeRedSquaresDetector(at('detector.safetensors')),
};
const run = (...args: string[]) => cameoHere(args, env, folder);
const detect = (...args: string[]) => run('detect', ...args, '--min-face', `${SIDE}`);
const crop = (...args: string[]) => run('crop', ...args, '--min-face', `${SIDE}`);
const listOf = (name: string): string[] => readdirSync(at(name)).sort();

mkdirSync(at('in', 'ann'), { recursive: true });
await writePng(at('in', 'two.png'), PICTURE);
await writePng(at('in', 'ann', 'one.png'), redSquares(150, 120, SIDE, [[30, 20]]));
await writePng(at('none.png'), redSquares(150, 120, SIDE, []));

test('detect prints boxes and points, and none for a picture without a face', async () => {
  const text = await detect('in/two.png', 'none.png');
  assert.is(text.code, 0, text.stderr);
  const lines = text.stdout.split('\n');
  assert.is(lines[0], 'in/two.png  220×120  2 faces');
  assert.match(lines[1], /^ {2}1 {2}at 20, 30: 60×60 {2}score 0\.953 {2}eyes 19 pixels apart$/);
  assert.is(lines[3], 'none.png  150×120  no face');
});

test('detect --json gives boxes and points, and draws them into copies of the pictures', async () => {
  const json = await detect('in', 'missing.png', '--json', '--draw', 'drawn');
  assert.is(json.code, 1);
  const { photos, errors } = JSON.parse(json.stdout);
  assert.is(errors.length, 1);
  assert.equal(
    photos.map(({ input, drawn, faces }: { input: string; drawn: string; faces: object[] }) => [
      input,
      drawn,
      faces.length,
    ]),
    [
      ['in/ann/one.png', 'drawn/ann/one.faces.png', 1],
      ['in/two.png', 'drawn/two.faces.png', 2],
    ],
  );
  const [first, second] = photos[1].faces;
  assert.equal(
    [first.face, first.box, second.box],
    [1, { x: 20, y: 30, width: 60, height: 60 }, { x: 120, y: 0, width: 60, height: 60 }],
  );
  assert.equal([first.landmarks.length, first.notes], [5, []]);
  const drawn = await readImage(at('drawn', 'two.faces.png'));
  const pixel = (x: number, y: number) => [...drawn.data.subarray((y * 220 + x) * 3, (y * 220 + x) * 3 + 3)];
  assert.equal(pixel(19, 50), [0, 255, 80], 'the left side of the box is drawn');
  const [x, y] = first.landmarks[2];
  assert.equal(pixel(Math.round(x), Math.round(y)), [255, 40, 200], 'the nose is marked');
  assert.equal([drawn.width, drawn.height], [220, 120]);
  // The drawn copies are not photographs, so that a folder as input leaves them out.
  const again = await detect('drawn', '--json');
  assert.match(again.stderr, /drawn: the folder has no .* pictures except 2 that Cameo wrote/);
});

test('crop writes aligned faces, and landmarks from which the same crops can be made', async () => {
  const ran = await crop('in', 'none.png', '-o', 'out', '--json');
  assert.is(ran.code, 1);
  assert.equal(ran.complaints, ['cameo: none.png: no face found in this picture of 150×120']);
  assert.equal(listOf('out'), ['ann', 'landmarks.json', 'two-1.png', 'two-2.png']);
  const { files, landmarks } = JSON.parse(ran.stdout);
  assert.equal([files.length, landmarks], [3, 'out/landmarks.json']);
  const listed = await readLandmarks(at('out', 'landmarks.json'));
  assert.equal([...listed.keys()], ['in/ann/one.png', 'in/two.png']);
  const made = await readImage(at('out', 'two-2.png'));
  assert.equal(made, alignFace(PICTURE, listed.get('in/two.png')![1]));
  assert.equal(files[2].landmarks, listed.get('in/two.png')![1]);

  const before = readFileSync(at('out', 'landmarks.json'));
  const refused = await crop('in', '-o', 'out');
  assert.match(refused.complaints.join(), /out\/landmarks\.json exists: give it with --landmarks/);
  assert.equal(readFileSync(at('out', 'landmarks.json')), before);
  const by = await crop('in', '-o', 'again', '--landmarks', 'out/landmarks.json', '--detector', 'nowhere');
  assert.is(by.code, 0, by.stderr);
  assert.equal(listOf('again'), ['ann', 'two-1.png', 'two-2.png']);
  assert.equal(readFileSync(at('again', 'two-1.png')), readFileSync(at('out', 'two-1.png')));
});

test('a photograph may be called as what every object has', async () => {
  for (const name of ['constructor', '__proto__']) {
    copyFileSync(at('in', 'two.png'), at(name));
    const made = await crop(name, '-o', `crops of ${name}`);
    assert.is(made.code, 0, made.stderr);
    const points = await readLandmarks(at(`crops of ${name}`, 'landmarks.json'));
    assert.equal(
      [...points].map(([photo, faces]) => [photo, faces.length]),
      [[name, 2]],
    );
  }
});

test('a crop is encoded to the same bytes as its photograph, by detection or by landmarks', async () => {
  const encode = (out: string, ...args: string[]) => run('encode', ...args, '-o', out, '--min-face', `${SIDE}`);
  for (const ran of [
    await encode('found', 'in/two.png'),
    await encode('listed', 'in/two.png', '--landmarks', 'out/landmarks.json'),
    await encode('crops', 'out/two-1.png', 'out/two-2.png'),
  ])
    assert.is(ran.code, 0, ran.stderr);
  for (const name of ['two-1.cameo.png', 'two-2.cameo.png']) {
    const [found, listed, cropped] = ['found', 'listed', 'crops'].map((out) => readFileSync(at(out, name)));
    assert.equal(found, listed);
    assert.equal(found, cropped);
  }
});

test('a photograph is never overwritten', async () => {
  mkdirSync(at('photos'));
  const one = redSquares(150, 120, SIDE, [[30, 20]]);
  await writePng(at('photos', 'one.png'), one);
  for (const input of ['photos', 'photos/one.png']) {
    const ran = await crop(input, '-o', 'photos');
    assert.is(ran.code, 1);
    assert.match(ran.complaints.join(), /photos\/one\.png is an input and would be overwritten/);
    assert.equal(await readImage(at('photos', 'one.png')), one);
  }
  await writePng(at('photos', 'one.faces.png'), one);
  for (const inputs of [['photos'], ['photos/one.png', 'photos/one.faces.png']]) {
    const drawn = await detect(...inputs, '--draw', 'photos');
    assert.is(drawn.code, 1);
    assert.match(drawn.complaints.join(), /photos\/one\.faces\.png is an input and would be overwritten/);
    assert.equal(await readImage(at('photos', 'one.faces.png')), one);
  }
  mkdirSync(at('linked'));
  symlinkSync(at('photos', 'one.png'), at('linked', 'one.faces.png'));
  const drawn = await detect('photos/one.png', '--draw', 'linked');
  assert.match(drawn.complaints.join(), /linked\/one\.faces\.png is an input and would be overwritten/);
  assert.equal(await readImage(at('photos', 'one.png')), one);
});

test('wrong options are reported before any work', async () => {
  writeFileSync(at('text.safetensors'), 'no weights');
  const cases: [string[], RegExp][] = [
    [['detect', 'in/two.png', '--detector', 'nowhere'], /^cameo: nowhere: cannot be read/],
    [['detect', 'in/two.png', '--min-face', '3'], /Expected an integer from 12/],
    [['detect', 'in/two.png', '--max-faces', '0'], /Expected an integer of at least 1/],
    [['crop', 'in/two.png'], /required option '-o/],
    [['crop', 'in/two.png', '-o', 'new', '--faces', 'some'], /Allowed choices are all, largest/],
    [['crop', 'in/two.png', '-o', 'new', '--faces', 'all', '--face', '1'], /give only one of them/],
    [['crop', 'in/two.png', '-o', 'new', '--landmarks', 'nowhere.json'], /nowhere\.json: cannot be read/],
  ];
  for (const [args, pattern] of cases) {
    const ran = await cameoHere(args, { ...env, CAMEO_ADAPTER: 'no such adapter' }, folder);
    assert.is(ran.code, 1, args.join(' '));
    assert.match(ran.complaints.join(), pattern);
  }
  assert.not(existsSync(at('new')));
});

test('of many small faces, detect keeps the best ones up to the limit, and says so', async () => {
  const side = 24;
  const corners = Array.from({ length: 40 }, (_, k) => [4 + 40 * (k % 8), 4 + 40 * Math.floor(k / 8)] as const);
  await writePng(at('many.png'), redSquares(330, 210, side, corners));
  const all = await run('detect', 'many.png', '--min-face', `${side}`);
  assert.match(all.stdout, /^many\.png {2}330×210 {2}40 faces$/m);
  assert.match(all.stdout, /the face is small: its eyes are 8 pixels apart/);
  const limited = await run('detect', 'many.png', '--min-face', `${side}`, '--max-faces', '7');
  assert.match(limited.stdout, /7 faces$/m);
  assert.match(limited.stderr, /^many\.png: the best 7 faces are kept; there may be more \(see --max-faces\)$/m);
});

test.run();
