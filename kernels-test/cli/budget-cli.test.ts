// suite: long
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readKlt } from '../../src/codec/codec-weights.js';
import { packArchive } from '../../src/codec/container/face-archive.js';
import { unpackFaceBare } from '../../src/codec/container/face-bare.js';
import { unpackFaceFile } from '../../src/codec/container/face-file.js';
import type { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { readImage, writePng } from '../../src/data/pictures/image.js';
import { psnr } from '../../src/evaluation/metrics/picture-quality.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { demoFaces, writeSmallFaceModel } from '../helpers/budget-fixture.js';
import { type CliRun, cameoInShell, cameoOnFullDisk, temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';
import { assertComplaints } from './complaints.js';

// adapters: once

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);

const gpu = await openGpu();
const CAMEO_MODEL = await writeSmallFaceModel(gpu, at('face.safetensors'), 1);
const otherModel = await writeSmallFaceModel(gpu, at('other.safetensors'), 2);
gpu.destroy();
// If there are several adapters, take the fastest.
const CAMEO_ADAPTER = gpu.description.kind;
const pngModel = writeTinyModel(at('png.safetensors'), 1);
const { model }: { model: LatentModel } = readKlt(readFileSync(CAMEO_MODEL)).tables!;

const NAMES = ['ann', 'bob', 'cid', 'grey'];
const faces = (await demoFaces()).slice(0, 4);
faces[3] = faces[3].map((_, i) => faces[3][i - (i % 3)]);
for (const [k, data] of faces.entries()) await writePng(at(`${NAMES[k]}.png`), { width: 96, height: 112, data });
const photos = NAMES.map((name) => `${name}.png`);

const run = (...args: string[]): Promise<CliRun> => cameoHere(args, { CAMEO_MODEL, CAMEO_ADAPTER }, folder);

test('a run warns of budgets at which restored faces are often not recognised', async () => {
  const asked = async (bytes: number) => {
    const { code, stderr, stdout } = await run(
      'encode',
      photos[0],
      '-o',
      `few${bytes}`,
      '--bytes',
      `${bytes}`,
      '--json',
    );
    assert.is(code, 0, stderr);
    return { stderr, warnings: JSON.parse(stdout).warnings };
  };
  const few = await asked(149);
  assert.match(
    few.stderr,
    /^warning: with fewer than 150 bytes, restored faces are often not recognised .*; this run allows 149$/m,
  );
  assert.is(few.warnings.length, 1);
  assert.equal([few.warnings[0].input, few.warnings[0].kind], [null, 'bytes']);
  const enough = await asked(150);
  assert.not.match(enough.stderr, /warning/);
  assert.is(enough.warnings, undefined);
});

test('encode stays within the budget, info describes the file, and decode restores a picture like the original', async () => {
  const budgets = [150, 300, 1000];
  mkdirSync(at('all-files'));
  for (const bytes of budgets) {
    const out = `files${bytes}`;
    const encoded = await run('encode', ...photos, '-o', out, '--bytes', `${bytes}`);
    assertComplaints(encoded, 0, []);
    assert.equal(readdirSync(at(out)).sort(), ['ann.cameo', 'bob.cameo', 'cid.cameo', 'grey.cameo']);
    const lines = encoded.stdout.trim().split('\n');
    for (const [k, name] of NAMES.entries()) {
      const file = readFileSync(at(out, `${name}.cameo`));
      assert.ok(file.length <= bytes, `${file.length} bytes; at most ${bytes}`);
      assert.ok(lines[k].startsWith(`${name}.png -> ${out}/${name}.cameo  ${file.length} bytes, `), lines[k]);
      assert.is(unpackFaceFile(file, model).grey, name === 'grey');
      writeFileSync(at('all-files', `${name}-${bytes}.cameo`), file);
    }
  }
  const all = readdirSync(at('all-files')).map((name) => `all-files/${name}`);
  assertComplaints(await run('decode', ...all, '-o', 'restored'), 0, []);
  let last = 24;
  for (const bytes of budgets) {
    let quality = 0;
    for (const [k, name] of NAMES.entries()) {
      const { data } = await readImage(at('restored', `${name}-${bytes}.decoded.png`));
      quality += psnr(faces[k], data) / NAMES.length;
      assert.is(
        data.every((value, i) => value === data[i - (i % 3)]),
        name === 'grey',
      );
    }
    assert.ok(quality > last && quality < 60, `${quality} dB at ${bytes} bytes, ${last} dB below`);
    last = quality;
  }
  const info = await cameoHere(
    ['info', 'files300/ann.cameo', 'files300/grey.cameo'],
    { CAMEO_MODEL, CAMEO_ADAPTER: 'none' },
    folder,
  );
  assertComplaints(info, 0, []);
  assert.match(
    info.stdout,
    /^files300\/ann\.cameo: (29\d|300) bytes, 0\.2\d\d bpp, checksum ok\n {2}face file, format version 1, quantization index \d+, colour\n {2}model ([0-9a-f]{8}): matches .*face\.safetensors\nfiles300\/grey/,
  );
  assert.match(info.stdout, /quantization index \d+, grey\n/);
  const described = JSON.parse((await run('info', 'files300/ann.cameo', '--json')).stdout).files[0];
  assert.is(described.qIndex, Number(/quantization index (\d+)/.exec(info.stdout)![1]));
  assert.not.ok('step' in described, 'the old name of the key');
});

test('the budget is 500 bytes by default; a bare face stays within its budget and is decoded again', async () => {
  assertComplaints(await run('encode', 'ann.png', '-o', 'usual'), 0, []);
  const usual = readFileSync(at('usual', 'ann.cameo')).length;
  assert.ok(usual <= 500 && usual > 450, `${usual} bytes`);
  assertComplaints(await run('encode', 'ann.png', '-o', 'bare', '--container', 'bare', '--bytes', '150'), 0, []);
  const file = readFileSync(at('bare', 'ann.cameo.bare'));
  assert.ok(file.length <= 150 && file.length > 135, `${file.length} bytes`);
  unpackFaceBare(file, model);
  const info = await run('info', 'bare/ann.cameo.bare');
  assert.match(
    info.stdout,
    /checksum ok\n {2}bare face, format version 1, quantization index \d+, colour\n {2}model \.{4}[0-9a-f]{4}: matches/,
  );
  assertComplaints(await run('decode', 'bare/ann.cameo.bare', '-o', 'bare'), 0, []);
  assert.ok(psnr(faces[0], (await readImage(at('bare', 'ann.decoded.png'))).data) > 24);
});

test('an archive holds all faces, one can be decoded by name, and a damaged archive still gives its intact faces', async () => {
  const made = await run('encode', ...photos, '--archive', 'all.cameos', '--bytes', '200');
  assertComplaints(made, 0, []);
  const archive = readFileSync(at('all.cameos'));
  assert.is(made.stdout, `4 faces -> all.cameos  ${archive.length} bytes\n`);
  assert.ok(archive.length <= 22 + 4 * 200 + 4 * 6 + NAMES.join('').length, `${archive.length} bytes`);

  const info = await run('info', 'all.cameos');
  assertComplaints(info, 0, []);
  assert.match(
    info.stdout,
    /^all\.cameos: \d+ bytes, archive of 4 faces with names, \d+\.\d bytes a face\n {2}format version 1\n {2}model .*: matches /,
  );
  for (const name of NAMES)
    assert.match(
      info.stdout,
      new RegExp(`\\n {2}"${name}": 1\\d\\d bytes, quantization index \\d+, ${name === 'grey' ? 'grey' : 'colour'}\n`),
    );
  assert.match(info.stdout, /\n {2}4 of 4 faces intact\n$/);
  const { files } = JSON.parse((await run('info', 'all.cameos', '--json')).stdout);
  const ofLine = [...info.stdout.matchAll(/quantization index (\d+)/g)].map(([, qIndex]) => Number(qIndex));
  assert.equal(
    files[0].list.map(({ qIndex }: { qIndex: number }) => qIndex),
    ofLine,
  );

  const all = await run('decode', 'all.cameos', '-o', 'all');
  assertComplaints(all, 0, []);
  assert.equal(readdirSync(at('all')).sort(), NAMES.map((name) => `${name}.decoded.png`).sort());
  const one = await run('decode', 'all.cameos', '-o', 'one', '--only', 'cid');
  assertComplaints(one, 0, []);
  assert.is(one.stdout, 'all.cameos, cid -> one/cid.decoded.png\n');
  assert.equal(readFileSync(at('one', 'cid.decoded.png')), readFileSync(at('all', 'cid.decoded.png')));
  assert.equal(readdirSync(at('one')), ['cid.decoded.png']);

  // One archive is cut off within the last face; the other has one flipped bit in the second face's code.
  writeFileSync(at('cut.cameos'), archive.subarray(0, archive.length - 20));
  const cut = await run('decode', 'cut.cameos', '-o', 'cut');
  assertComplaints(cut, 1, [/^cameo: cut\.cameos, face 3: truncated: face 3 ends at byte \d+, the archive has \d+$/]);
  assert.equal(readdirSync(at('cut')).sort(), ['ann.decoded.png', 'bob.decoded.png', 'cid.decoded.png']);
  const flipped = Buffer.from(archive);
  flipped[archive.length - 3 * 185] ^= 16;
  writeFileSync(at('flipped.cameos'), flipped);
  const check = await run('info', 'flipped.cameos');
  assertComplaints(check, 1, [/^cameo: flipped\.cameos, face \d: .*(match|range code|symbol)/]);
  assert.match(check.stdout, /3 of 4 faces intact\n$/);

  assertComplaints(await run('decode', 'all.cameos', '-o', 'one', '--only', 'dan'), 1, [
    /^cameo: all\.cameos: none of the 4 faces is called "dan": `cameo info` lists them$/,
  ]);
  assertComplaints(await run('decode', 'files300/ann.cameo', '-o', 'one', '--only', 'ann'), 1, [
    /^cameo: files300\/ann\.cameo: --only ann is for archives; this file has one face$/,
  ]);
});

test('writing an archive and files at once gives the same faces, and a second face of the same name is an error', async () => {
  mkdirSync(at('b'));
  await writePng(at('b', 'ann.png'), { width: 96, height: 112, data: faces[1] });
  const args = ['ann.png', 'b/ann.png', 'bob.png', 'missing.png', '-o', 'both', '--archive', 'both/both.cameos'];
  const made = await run('encode', ...args, '--bytes', '150');
  assertComplaints(made, 1, [
    /^cameo: b\/ann\.png: its name in the archive would be "ann", which is also that of ann\.png$/,
    /^cameo: missing\.png: cannot be read: /,
  ]);
  assert.equal(readdirSync(at('both')).sort(), ['ann.cameo', 'bob.cameo', 'both.cameos']);
  assertComplaints(await run('decode', 'both/both.cameos', '-o', 'both'), 0, []);
  const ofArchive = readFileSync(at('both', 'ann.decoded.png'));
  assertComplaints(await run('decode', 'both/ann.cameo', '-o', 'both'), 0, []);
  assert.equal(readFileSync(at('both', 'ann.decoded.png')), ofArchive);
});

test('names in an archive can neither write outside of the folder nor send control characters to the terminal', async () => {
  const face = unpackFaceFile(readFileSync(at('files150', 'ann.cameo')), model);
  const names = ['../evil', 'a\u001b[2J', '', 'good'];
  writeFileSync(
    at('evil.cameos'),
    packArchive(
      names.map((name) => ({ ...face, name })),
      model,
    ),
  );
  const decoded = await run('decode', 'evil.cameos', '-o', 'evil');
  assertComplaints(decoded, 1, [
    /^cameo: evil\.cameos, face 0: its name "\.\.\/evil" cannot be used as a file name$/,
    /^cameo: evil\.cameos, face 2: its name "" cannot be used as a file name$/,
  ]);
  assert.match(
    decoded.stderr,
    /^warning: evil\.cameos, "a\\u001b\[2J": its name cannot .*; it is called a%1b\[2J instead$/m,
  );
  assert.equal(readdirSync(at('evil')).sort(), ['a%1b[2J.decoded.png', 'good.decoded.png']);
  assert.not(existsSync(at('evil.decoded.png')));

  const unnamed = packArchive([face, face], model);
  writeFileSync(at('unnamed.cameos'), unnamed);
  assertComplaints(await run('decode', 'unnamed.cameos', '-o', 'unnamed', '--only', '1'), 0, []);
  assert.equal(readdirSync(at('unnamed')), ['unnamed-1.decoded.png']);
});

test('info reports bytes after the last face of an archive, which merge refuses', async () => {
  const face = unpackFaceFile(readFileSync(at('files150', 'ann.cameo')), model);
  for (const faces of [
    [
      { ...face, name: 'ann' },
      { ...face, name: 'bob' },
    ],
    [face, face],
    [],
  ]) {
    const whole = packArchive(faces, model);
    writeFileSync(at('end.cameos'), whole);
    assertComplaints(await run('info', 'end.cameos'), 0, []);
    writeFileSync(at('end.cameos'), Buffer.concat([whole, Buffer.from('junk')]));
    const info = await run('info', 'end.cameos');
    const end = `4 bytes after its last face, at byte ${whole.length}, are of no face`;
    assertComplaints(info, 1, [new RegExp(`^cameo: end\\.cameos: ${end}$`)]);
    assert.match(info.stdout, new RegExp(`${faces.length} of ${faces.length} faces intact`));
  }
});

test('encode --json has all its keys, though no picture could be read and no archive was written', async () => {
  const failed = await run('encode', 'missing.png', '--archive', 'never.cameos', '--bytes', '150', '--json');
  assert.is(failed.code, 1);
  const { pictures, encoded, files, archive, errors } = JSON.parse(failed.stdout);
  assert.equal([pictures, encoded, files, archive, errors.length], [1, 0, [], null, 2]);
});

test('decode restores every face that encode accepts, whatever its picture is called', async () => {
  if (process.platform === 'win32') return; // no file has such a name there
  const names = ['a\\b', 'two\nlines', 'bell\u0007'];
  mkdirSync(at('odd'));
  for (const name of names) copyFileSync(at('ann.png'), at('odd', `${name}.png`));
  assertComplaints(await run('encode', 'odd', '--archive', 'odd.cameos', '--bytes', '150'), 0, []);
  assertComplaints(await run('decode', 'odd.cameos', '-o', 'odd-restored'), 0, []);
  assert.equal(readdirSync(at('odd-restored')).sort(), [
    'a%5cb.decoded.png',
    'bell%07.decoded.png',
    'two%0alines.decoded.png',
  ]);
  const piped = await cameoInShell(
    "cameo decode odd.cameos --only 'a\\b' -o - > one.png",
    { CAMEO_MODEL, CAMEO_ADAPTER },
    folder,
  );
  assertComplaints(piped, 0, []);
  assert.equal(readFileSync(at('one.png')), readFileSync(at('odd-restored', 'a%5cb.decoded.png')));
});

test('files that are cut off, foreign or of another model get one error line each, and the others are decoded', async () => {
  const good = readFileSync(at('files150', 'bob.cameo'));
  const flipped = Buffer.from(good);
  flipped[60] ^= 1;
  writeFileSync(at('cut.cameo'), good.subarray(0, 100));
  writeFileSync(at('head.cameo'), good.subarray(0, 9));
  writeFileSync(at('empty.cameo'), '');
  writeFileSync(at('flipped.cameo'), flipped);
  writeFileSync(at('cut.cameo.bare'), readFileSync(at('bare', 'ann.cameo.bare')).subarray(0, 99));
  writeFileSync(at('text.txt'), 'this is not a face');
  writeFileSync(at('text.cameo'), 'this is not a face');
  writeFileSync(at('index.cameos'), readFileSync(at('all.cameos')).subarray(0, 40));
  writeFileSync(at('png.cameo.png'), readFileSync(at('ann.png')));
  const bad = [
    'cut.cameo',
    'head.cameo',
    'empty.cameo',
    'flipped.cameo',
    'cut.cameo.bare',
    'text.txt',
    'text.cameo',
    'index.cameos',
    'png.cameo.png',
    'missing.cameo',
  ];
  const lines = [
    /^cameo: cut\.cameo: .*(corrupt or cut off|range code|symbol)/,
    /^cameo: head\.cameo: truncated: file of 9 bytes; its header alone has 14$/,
    /^cameo: empty\.cameo: not a face file: it does not begin with 9E "CMF"$/,
    /^cameo: flipped\.cameo: .*(corrupt or cut off|range code|symbol)/,
    /^cameo: cut\.cameo\.bare: .*(corrupt or cut off|range code|symbol)/,
    /^cameo: text\.txt: not a face: it does not begin as a face file, an archive or a picture, and its name does not end in \.cameo\.bare$/,
    /^cameo: text\.cameo: not a face file: it does not begin with 9E "CMF"$/,
    /^cameo: index\.cameos: truncated: the index of 4 faces has at least 50 bytes, the archive 40$/,
    /^cameo: png\.cameo\.png: .*face\.safetensors: weights for \.cameo and \.cameo\.bare; expected some for \.cameo\.png$/,
    /^cameo: missing\.cameo: cannot be read: no such file or folder \(ENOENT\)$/,
  ];
  const decoded = await run('decode', ...bad, 'files150/bob.cameo', '-o', 'rest');
  assertComplaints(decoded, 1, lines);
  assert.equal(readdirSync(at('rest')), ['bob.decoded.png']);

  const foreign = ['files150/bob.cameo', 'bare/ann.cameo.bare', 'all.cameos'];
  const other = await run('decode', ...foreign, '-o', 'foreign', '--model', otherModel);
  assertComplaints(other, 1, [
    /^cameo: files150\/bob\.cameo: written by model [0-9a-f]{8}; the model loaded is [0-9a-f]{8}$/,
    /^cameo: bare\/ann\.cameo\.bare: written by a model whose id ends in [0-9a-f]{4}; the model loaded is [0-9a-f]{8}$/,
    /^cameo: all\.cameos: written by model [0-9a-f]{8}; the model loaded is [0-9a-f]{8}$/,
  ]);
  assert.not(existsSync(at('foreign')));
  const info = await run('info', ...foreign, '--model', otherModel);
  assertComplaints(info, 0, []);
  assert.is(
    info.stdout.match(/: does not match .*other\.safetensors, which is [0-9a-f]{8}\n/g)?.length,
    3,
    info.stdout,
  );
  assert.match(info.stdout, /bytes, 0\.1\d\d bpp, not checked: this needs the model that wrote it\n/);
});

test('options that contradict each other or the weights give a one-line error, and nothing is written', async () => {
  const cases: [args: string[], pattern: RegExp][] = [
    [['--bytes', '20'], /^cameo: --bytes 20: a face takes at least \d\d bytes$/],
    [['--bytes', 'few'], /^cameo: option '--bytes <n>' argument 'few' is invalid/],
    [['--rate', '1', '--container', 'file'], /^cameo: --rate 1: only --container png has rates/],
    [
      ['--rate', '1', '--container', 'png'],
      /^cameo: .*face\.safetensors: weights for \.cameo and \.cameo\.bare; expected some for \.cameo\.png$/,
    ],
    [
      ['--container', 'bare', '--model', pngModel],
      /^cameo: .*png\.safetensors: weights for \.cameo\.png; expected some for \.cameo and/,
    ],
    [['--rate', '1', '--bytes', '300', '--model', pngModel], /^cameo: --rate 1 and --bytes 300: give only one of them/],
    [['--archive', at('new', 'a.cameos'), '--model', pngModel], /^cameo: --archive .*: an archive cannot hold PNGs/],
  ];
  for (const [args, pattern] of cases) {
    assertComplaints(await run('encode', 'ann.png', '-o', 'new', ...args), 1, [pattern]);
  }
  assertComplaints(await run('encode', 'missing.png', '--archive', 'new/none.cameos'), 1, [
    /^cameo: missing\.png: /,
    /^cameo: new\/none\.cameos: not written, because there is no face to put into it$/,
  ]);
  assert.ok(!existsSync(at('new')) || readdirSync(at('new')).length === 0, 'nothing was written');
});

test('--bytes with PNG files takes the highest rate that fits, and is an error if none fits', async () => {
  const sizes: number[] = [];
  for (const rate of ['0', '1']) {
    assertComplaints(await run('encode', 'ann.png', '-o', `rate${rate}`, '--rate', rate, '--model', pngModel), 0, []);
    sizes.push(readFileSync(at(`rate${rate}`, 'ann.cameo.png')).length);
  }
  for (const [bytes, rate] of [
    [sizes[1], 1],
    [sizes[1] - 1, 0],
    [sizes[0], 0],
  ]) {
    assertComplaints(await run('encode', 'ann.png', '-o', 'fits', '--bytes', `${bytes}`, '--model', pngModel), 0, []);
    assert.equal(readFileSync(at('fits', 'ann.cameo.png')), readFileSync(at(`rate${rate}`, 'ann.cameo.png')));
  }
  assertComplaints(await run('encode', 'ann.png', '-o', 'none', '--bytes', `${sizes[0] - 1}`, '--model', pngModel), 1, [
    new RegExp(`^cameo: ann\\.png: its smallest PNG has ${sizes[0]} bytes; at most ${sizes[0] - 1} are allowed$`),
  ]);
  assert.not(existsSync(at('none')));
});

test('on a full disk, neither files nor an archive are left half-written', async () => {
  const args = ['encode', at('ann.png'), '-o', at('full'), '--archive', at('full', 'all.cameos'), '--bytes', '150'];
  assertComplaints(await cameoOnFullDisk(args, { CAMEO_MODEL, CAMEO_ADAPTER }), 1, [
    /^cameo: .*ann\.png: cannot write .*ann\.cameo: the disk is full \(ENOSPC\)$/,
    /^cameo: cannot write .*all\.cameos: the disk is full \(ENOSPC\)$/,
  ]);
  assert.not(existsSync(at('full')));
});

test('demo compares faces at two budgets with JPEG and JPEG2000', async () => {
  // All faces would take ten seconds; cli.test.ts shows all of them with the other codec.
  const demo = await run('demo', '-o', at('demo'), '--limit', '3');
  assertComplaints(demo, 0, []);
  assert.equal(readdirSync(at('demo')).sort(), ['300bytes', '500bytes', 'contact-sheet.png', 'report.html']);
  for (const bytes of [300, 500]) {
    const files = readdirSync(at('demo', `${bytes}bytes`));
    assert.is(files.length, 3);
    for (const file of files) assert.ok(readFileSync(at('demo', `${bytes}bytes`, file)).length <= bytes);
    for (const codec of ['Cameo', 'JPEG', 'JPEG2000']) {
      const row = new RegExp(`^ *${bytes} bytes {2}${codec} +[\\d.]+ +0\\.\\d{3} +[\\d.]+ +0\\.\\d{4}`, 'm');
      assert.match(demo.stdout, row);
    }
  }
});

test.run();
