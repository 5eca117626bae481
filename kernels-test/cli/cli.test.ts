// adapters: once
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { joinPngChunks as pngFile } from '../../src/codec/png/chunks.js';
import { packLatentsPng, unpackLatentsPng } from '../../src/codec/png/container.js';
import { readImage, writePng } from '../../src/data/pictures/image.js';
import { landmarksOf, readLandmarks } from '../../src/data/pictures/landmarks.js';
import { alignFace } from '../../src/detection/align.js';
import { readAutoencoder } from '../../src/models/model-file.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS } from '../helpers/data-available.js';
import { cameo, cameoOnFullDisk, temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';
import { assertComplaints } from './complaints.js';
import { assertDemo } from './demo-fixture.js';

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);
const CAMEO_MODEL = writeTinyModel(at('model.safetensors'), 1);
const otherModel = writeTinyModel(at('other.safetensors'), 2);

const landmarks = await readLandmarks(DEMO_LANDMARKS);
const group = join(DEMO_PHOTOS, 'sample1.jpg');
const [firstFace, secondFace] = landmarksOf(landmarks, group)!;

/** A PNG whose header claims a size, and which has hardly any data. */
function pngOfSize(width: number, height: number): Uint8Array {
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, 2], 8);
  const idat = readFileSync(at('face.png')).subarray(0, 40);
  return pngFile([
    { type: 'IHDR', data: header },
    { type: 'IDAT', data: idat },
    { type: 'IEND', data: new Uint8Array(0) },
  ]);
}

test('encode: good inputs become files, each bad one gets a line, and nothing is left half-written', async () => {
  const photo = await readImage(group);
  mkdirSync(at('b'));
  mkdirSync(at('folder.png'));
  await writePng(at('face.png'), alignFace(photo, firstFace));
  await writePng(at('b', 'face.png'), alignFace(photo, secondFace));
  copyFileSync(group, at('group.jpg'));
  writeFileSync(at('truncated.jpg'), readFileSync(group).subarray(0, 60_000));
  writeFileSync(at('text.png'), 'this is not a picture');
  writeFileSync(at('empty.png'), '');
  writeFileSync(at('zero.png'), pngOfSize(0, 0));
  writeFileSync(at('huge.png'), pngOfSize(20_000, 10_000));
  await writePng(at('small.png'), { width: 50, height: 60, data: new Uint8Array(9000) });
  const line = [0, 1, 2, 3, 4].map((k) => [10 * k, 10 * k]);
  writeFileSync(at('marks.json'), JSON.stringify({ 'group.jpg': [firstFace, line, secondFace] }));

  const names = ['face.png', 'truncated.jpg', 'text.png', 'empty.png', 'zero.png', 'huge.png', 'small.png'];
  const photos = [...names, 'folder.png', 'missing.png', 'b/face.png', 'group.jpg'];
  const args = ['encode', ...photos, '-o', 'small', '--landmarks', 'marks.json', '--rate', '1'];
  const run = await cameo(args, { CAMEO_MODEL }, folder);
  assertComplaints(run, 1, [
    /^cameo: truncated\.jpg: the picture is truncated or damaged/,
    /^cameo: text\.png: not a JPEG, PNG, WebP, AVIF, GIF or TIFF picture$/,
    /^cameo: empty\.png: the file is empty$/,
    /^cameo: zero\.png: the picture is 0×0 pixels$/,
    /^cameo: huge\.png: the picture is 20000×10000, 200 megapixels; at most 120 are accepted$/,
    /^cameo: small\.png: the picture is 50×60, not an aligned face .* the landmark file does not list it$/,
    /^cameo: folder\.png: the folder has no JPEG, PNG, WebP, AVIF, GIF or TIFF pictures$/,
    /^cameo: missing\.png: cannot be read: no such file or folder \(ENOENT\)$/,
    /^cameo: b\/face\.png: its output would be small\/face\.cameo\.png, which is also that of face\.png/,
    /^cameo: group\.jpg, face 2: landmarks: all five points lie on one line$/,
  ]);
  const made = ['face.cameo.png', 'group-1.cameo.png', 'group-3.cameo.png'];
  assert.equal(readdirSync(at('small')).sort(), made);
  const lines = run.stdout.trim().split('\n');
  assert.is(lines.length, 3);
  made.forEach((name, i) => {
    const file = readFileSync(at('small', name));
    const bpp = ((8 * file.length) / (112 * 96)).toFixed(3);
    assert.ok(lines[i].endsWith(`-> small/${name}  ${file.length} bytes, ${bpp} bpp`), lines[i]);
    assert.is(unpackLatentsPng(file).rate, 1);
  });
  // This is the same face, once as a crop and once by its landmarks.
  assert.equal(readFileSync(at('small', made[0])), readFileSync(at('small', made[1])));
  assert.not.equal(readFileSync(at('small', made[0])), readFileSync(at('small', made[2])));
});

test('decode: good files become pictures, each bad one gets a line', async () => {
  const good = readFileSync(at('small', 'face.cameo.png'));
  const flipped = Buffer.from(good);
  flipped[good.length - 20] ^= 4;
  const { latents } = unpackLatentsPng(good);
  const bad: [name: string, content: Uint8Array | string][] = [
    ['cut.cameo.png', good.subarray(0, good.length - 30)],
    ['flipped.cameo.png', flipped],
    ['text.cameo.png', 'this is no PNG file'],
    ['large.cameo.png', new Uint8Array(70_000)],
    ['empty.cameo.png', ''],
    ['foreign-model.cameo.png', packLatentsPng(latents, { modelId: '0badf00d', rate: 1 })],
    [
      'rate.cameo.png',
      packLatentsPng(latents, {
        modelId: /\b[0-9a-f]{8}\b/.exec(await infoOf(at('small', 'face.cameo.png')))![0],
        rate: 7,
      }),
    ],
  ];
  for (const [name, content] of bad) writeFileSync(at(name), content);
  const files = [...bad.map(([name]) => name), 'face.png', 'folder.png', 'missing.png'];
  const run = await cameoHere(
    ['decode', 'small/face.cameo.png', ...files, 'small/group-3.cameo.png', '-o', 'restored'],
    { CAMEO_MODEL },
    folder,
  );
  const complaints = [...run.complaints].sort();
  assertComplaints({ ...run, complaints }, 1, [
    /^cameo: cut\.cameo\.png: file is truncated/,
    /^cameo: empty\.cameo\.png: file is truncated: 0 bytes/,
    /^cameo: face\.png: a PNG, but not a compact file \(not one row of grey pixels\), and no QR code can be read in it/,
    /^cameo: flipped\.cameo\.png: .*(corrupt|match)/,
    /^cameo: folder\.png: it is a folder$/,
    /^cameo: foreign-model\.cameo\.png: the file was made by model 0badf00d; the model loaded is [0-9a-f]{8}$/,
    /^cameo: large\.cameo\.png: the file has 70000 bytes; at most 65536 are accepted$/,
    /^cameo: missing\.png: cannot be read: no such file or folder/,
    /^cameo: rate\.cameo\.png: rate 7; this model has rates 0 to 1$/,
    /^cameo: text\.cameo\.png: not a PNG file/,
  ]);
  const made = ['face.decoded.png', 'group-3.decoded.png'];
  assert.equal(readdirSync(at('restored')).sort(), made);
  assert.is(
    run.stdout,
    'small/face.cameo.png -> restored/face.decoded.png\nsmall/group-3.cameo.png -> restored/group-3.decoded.png\n',
  );
  for (const name of made) {
    const { width, height } = await readImage(at('restored', name));
    assert.equal([width, height], [96, 112]);
  }
});

async function infoOf(path: string): Promise<string> {
  return (await cameoHere(['info', path], { CAMEO_MODEL, CAMEO_ADAPTER: 'no such adapter' })).stdout;
}

test('info needs no GPU, describes a file, and says whether its model is the loaded one', async () => {
  const file = at('small', 'face.cameo.png');
  const bytes = readFileSync(file).length;
  const text = await infoOf(file);
  assert.ok(text.startsWith(`${file}: ${bytes} bytes, `));
  assert.match(text, /checksum ok\n {2}PNG, format version 2, rate 1, latents 7×6×4 \(height×width×channels\)\n/);
  assert.match(text, /\n {2}model [0-9a-f]{8}: matches .*model\.safetensors\n$/);
  const run = await cameoHere(['info', file, at('flipped.cameo.png'), '--model', otherModel], { CAMEO_MODEL });
  assert.match(run.stdout, /model [0-9a-f]{8}: does not match .*other\.safetensors, which is [0-9a-f]{8}\n$/);
  assertComplaints(run, 1, [/^cameo: .*flipped\.cameo\.png: /]);
});

test('what makes a whole command impossible gives a one-line error before any work', async () => {
  const { tensors, config } = readAutoencoder(readFileSync(CAMEO_MODEL));
  assert.ok(tensors.size > 0 && config.rates === 2);
  writeFileSync(at('cut.safetensors'), readFileSync(CAMEO_MODEL).subarray(0, 3000));
  writeFileSync(at('broken.json'), '{ "face.png": ');
  const face = at('face.png');
  const cases: [args: string[], code: number, pattern: RegExp, env?: NodeJS.ProcessEnv][] = [
    [
      ['encode', face, '-o', at('new')],
      2,
      /^cameo: no WebGPU adapter fits "no such adapter"/,
      { CAMEO_ADAPTER: 'no such adapter' },
    ],
    [['encode', face, '-o', at('new'), '--rate', '2'], 1, /^cameo: --rate 2: this model has rates 0 .* to 1$/],
    [['encode', face, '-o', at('new'), '--rate', 'high'], 1, /^cameo: option '--rate <n>' argument 'high' is invalid/],
    [['encode', face], 1, /^cameo: required option '-o, --out <dir>' \(or '--archive <file>'\) not specified$/],
    [['encode', '-o', at('new')], 1, /^cameo: missing required argument 'photo'$/],
    [['encode', face, '-o', face], 1, /^cameo: cannot make the folder .*face\.png: /],
    [['encode', face, '-o', join(face, 'below')], 1, /^cameo: cannot make the folder .*below: /],
    [
      ['encode', face, '-o', at('new'), '--landmarks', at('broken.json')],
      1,
      /^cameo: .*broken\.json, line 1: not JSON/,
    ],
    [['decode', face, '-o', at('new'), '--model', at('cut.safetensors')], 1, /^cameo: .*cut\.safetensors: /],
    [['decode', face, '-o', at('new'), '--model', face], 1, /^cameo: .*face\.png: /],
    [['decode', face, '-o', at('new'), '--model', at('none')], 1, /^cameo: .*none: cannot be read: no such file/],
    [['decode', face, '-o', at('new'), '--model', folder], 1, /^cameo: .*: it is a folder$/],
    [
      ['evaluate', 'autoencoder', '--data', at('none'), '-o', at('new')],
      1,
      /^cameo: .*none: cannot be read: no such file/,
    ],
    [['evaluate', 'autoencoder', '--split', 'best'], 1, /^cameo: option '--split <name>' argument 'best' is invalid/],
    [['compress', face], 1, /^cameo: unknown command 'compress'$/],
  ];
  for (const [args, code, pattern, env] of cases) {
    // A command that opens a device runs in a separate process, which shows its exit code, too.
    const run = code === 2 ? cameo : cameoHere;
    assertComplaints(await run(args, { CAMEO_MODEL, ...env }), code, [pattern]);
  }
  assert.not.ok(existsSync(at('new')) && readdirSync(at('new')).length > 0, 'nothing was written');
});

test('every command explains itself', async () => {
  const top = await cameo(['--help']);
  assert.is(top.code, 0);
  for (const name of ['encode', 'decode', 'info', 'demo', 'train', 'evaluate', 'tune', 'doctor']) {
    assert.match(top.stdout, new RegExp(`\\n {2}${name} `));
  }
  const wrong = await cameoHere(['encoed', 'face.png']);
  assert.match(wrong.stderr, /unknown command 'encoed'\n\(Did you mean encode\?\)/, 'the help lists every command');
  const quiet = await cameoHere(['-q', 'help', 'train']);
  assert.match(quiet.stdout, /^Usage: cameo train /);
  for (const command of [
    ['encode'],
    ['decode'],
    ['info'],
    ['evaluate', 'autoencoder'],
    ['train', 'autoencoder'],
    ['train', 'codec'],
    ['tune'],
  ]) {
    const { code, stdout } = await cameoHere([...command, '--help']);
    assert.is(code, 0);
    assert.match(stdout, new RegExp(`Examples?:\\s+cameo ${command.join(' ')} `));
  }
});

test('on a full disk, each output gets an error line, and nothing is half-written', async () => {
  const args = ['encode', at('face.png'), at('group.jpg'), '-o', at('full'), '--landmarks', at('marks.json')];
  const run = await cameoOnFullDisk(args, { CAMEO_MODEL });
  assertComplaints(run, 1, [
    /^cameo: .*group\.jpg, face 2: landmarks/,
    /^cameo: .*face\.png: cannot write .*face\.cameo\.png: the disk is full \(ENOSPC\)$/,
    /^cameo: .*group\.jpg, face 1: cannot write .*group-1\.cameo\.png: the disk is full \(ENOSPC\)$/,
    /^cameo: .*group\.jpg, face 3: cannot write .*group-3\.cameo\.png: the disk is full \(ENOSPC\)$/,
  ]);
  assert.not(existsSync(at('full')));
});

test('tune measures each layer once, and keeps the choices in the cache', async () => {
  const env = { CAMEO_MODEL, CAMEO_CACHE: at('cache'), CAMEO_TUNING: '0' };
  const first = await cameoHere(['tune', '--batch', '2'], env);
  assertComplaints(first, 0, []);
  const measured = first.stdout.split('\n').filter((line) => / ms \(.* ms by estimate, \d+ tried\)$/.test(line));
  assert.ok(measured.length >= 3, first.stdout);
  assert.match(first.stdout, new RegExp(`\\[${measured.length}/${measured.length}\\] conv inputGradient .* 2×`));
  const files = readdirSync(at('cache')).filter((name) => name.startsWith('tuning-'));
  assert.is(files.length, 1);
  const { choices } = JSON.parse(readFileSync(at('cache', files[0]), 'utf8'));
  assert.is(Object.keys(choices).length, measured.length);

  const second = await cameoHere(['tune', '--batch', '2'], env);
  assertComplaints(second, 0, []);
  assert.is(second.stdout.split('already measured').length - 1, measured.length);

  const bad = await cameoHere(['tune', '--batch', '0'], env);
  assert.is(bad.code, 1);
  assert.match(bad.stderr, /--batch.*Expected an integer from 1 to 1024/);
});

test('evaluate autoencoder gives figures by source and group for a folder with one unreadable face', async () => {
  const faces = at('faces');
  mkdirSync(faces);
  const rows = ['path\tidentity\tsource\tsplit\tsex\trace'];
  const photos = [...landmarks.keys()].slice(0, 3);
  for (const [k, name] of photos.entries()) {
    const photo = await readImage(join(DEMO_PHOTOS, name));
    await writePng(join(faces, `${k}.png`), alignFace(photo, landmarks.get(name)![0]));
    rows.push(`${k}.png\tp${k}\t${k < 2 ? 'one' : 'two'}\ttest\t${k < 2 ? 'female' : ''}\t${k < 2 ? 'asian' : ''}`);
  }
  writeFileSync(join(faces, 'bad.png'), 'not a picture');
  rows.push('bad.png\tp9\tone\ttest\tmale\twhite', 'other.png\tp0\tone\ttrain\t\t');
  writeFileSync(join(faces, 'manifest.tsv'), `${rows.join('\n')}\n`);

  const args = ['evaluate', 'autoencoder', '--data', faces, '--limit', 'all', '-o', at('results')];
  const run = await cameoHere(args, { CAMEO_MODEL });
  assertComplaints(run, 1, [/^cameo: bad\.png: not a JPEG, PNG, WebP, AVIF, GIF or TIFF picture$/]);
  assert.equal(readdirSync(at('results')).sort(), [
    'autoencoder-test.json',
    'autoencoder-test.md',
    'autoencoder-test.svg',
  ]);

  const report = JSON.parse(readFileSync(at('results', 'autoencoder-test.json'), 'utf8'));
  assert.is(report.command, `cameo ${args.join(' ')}`);
  assert.equal([report.data.facesInSplit, report.data.faces, report.data.unreadable.length], [4, 3, 1]);
  assert.ok(report.device.kind && report.date && report.model.id);
  assert.is(report.rates.length, 2);
  for (const { all, sources, groups } of report.rates) {
    assert.equal([all.faces, sources.one.faces, sources.two.faces], [3, 2, 1]);
    assert.equal(Object.keys(groups), ['female asian']);
    const { cameo: own, jpeg, jpeg2000 } = all.codecs;
    const weighted = (2 * sources.one.codecs.cameo.psnr + sources.two.codecs.cameo.psnr) / 3;
    assert.ok(Math.abs(own.psnr - weighted) < 1e-9);
    assert.ok(Math.abs(own.psnr - jpeg.psnr - jpeg.cameoGain.mean) < 1e-9);
    assert.ok(own.psnr > 0 && own.psnr < 40 && own.ssim > -1 && own.ssim < 1);
    // JPEG's header alone is larger than a file of the tiny model. JPEG2000 keeps within its bytes.
    assert.ok(jpeg2000 === undefined || jpeg2000.bytes <= own.bytes);
    assert.ok(jpeg.larger > 0 ? jpeg.bytes > own.bytes : jpeg.bytes <= own.bytes);
  }
  const text = readFileSync(at('results', 'autoencoder-test.md'), 'utf8');
  assert.match(text, /^# Cameo beside JPEG and JPEG2000: split test\n/);
  for (const heading of ['All faces', 'By source, rate 1', 'By sex and race, rate 0'])
    assert.ok(text.includes(`## ${heading}\n`));
});

test('demo shows the faces of a photograph at all rates, with tables, contact sheet and report', () =>
  assertDemo(at('demo'), CAMEO_MODEL, 3));

test.run();
