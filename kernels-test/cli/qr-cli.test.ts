// suite: long
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readImage, writePng } from '../../src/data/pictures/image.js';
import { qrModules, qrPicture } from '../../src/data/pictures/qr-code.js';
import { searchQr } from '../../src/data/pictures/read-qr.js';
import { FACE_TEMPLATE } from '../../src/detection/align.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { demoFaces, writeSmallFaceModel } from '../helpers/budget-fixture.js';
import { redSquares, writeRedSquaresDetector } from '../helpers/red-squares.js';
import { type CliRun, cameoInShell, temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

/*
 * Tests `cameo qr`, and that `cameo decode` and `cameo info` read pictures of QR codes.
 */
// adapters: once

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);

const gpu = await openGpu();
const CAMEO_MODEL = await writeSmallFaceModel(gpu, at('face.safetensors'), 1);
const otherModel = await writeSmallFaceModel(gpu, at('other.safetensors'), 2);
gpu.destroy();
const CAMEO_ADAPTER = gpu.description.kind;

const SIZE = { width: 96, height: 112 };
for (const [k, data] of (await demoFaces()).slice(0, 2).entries()) await writePng(at(`${k}.png`), { ...SIZE, data });
const pixels = async (path: string): Promise<Uint8Array> => (await readImage(at(path))).data;
const bytesIn = async (path: string): Promise<Uint8Array> => searchQr(await readImage(at(path)), 3000);

const run = (command: string, env: NodeJS.ProcessEnv = {}): Promise<CliRun> =>
  cameoHere(command.split(' '), { CAMEO_MODEL, CAMEO_ADAPTER, ...env }, folder);

async function works(command: string): Promise<string> {
  const { code, stdout, stderr } = await run(command);
  assert.is(code, 0, `${command}: ${stderr}`);
  return stdout;
}

test('a face is written as a QR code, and decoded to the same picture as from its bare file', async () => {
  const told = await works('qr 0.png -o code.png --bytes 300');
  assert.match(told, /^0\.png -> code\.png {2}\d+ bytes, version 1\d, (\d+)×\1 modules, error correction medium$/m);
  await works('encode 0.png -o bare --container bare --bytes 300');
  assert.equal(await bytesIn('code.png'), new Uint8Array(readFileSync(at('bare', '0.cameo.bare'))));
  await works('decode code.png bare/0.cameo.bare -o restored');
  assert.equal(readdirSync(at('restored')).sort(), ['0.decoded.png', 'code.decoded.png']);
  assert.equal(await pixels('restored/code.decoded.png'), await pixels('restored/0.decoded.png'));
  const { files } = JSON.parse(await works('info code.png --json'));
  assert.equal([files[0].kind, files[0].qr, files[0].checked, files[0].matches], ['bare', true, true, true]);
});

test('a code is read from a photograph: smaller, turned, blurred, as JPEG', async () => {
  const turned = await sharp(at('code.png')).resize(310).rotate(4, { background: '#bbb' }).png().toBuffer();
  await sharp(turned).blur(0.6).jpeg({ quality: 60 }).toFile(at('photo.jpg'));
  await works('decode photo.jpg -o restored');
  assert.equal(await pixels('restored/photo.decoded.png'), await pixels('restored/0.decoded.png'));
});

test('a face from a file or an archive is put into the code without encoding it again', async () => {
  await works('encode 0.png 1.png -o files --archive all.cameos --bytes 250');
  const json = JSON.parse(await works('qr files/1.cameo -o file.png --ecc high --scale 3 --border 2 --json'));
  const { bytes, version, modules, correction } = json;
  assert.equal([bytes, correction, json.ok], [readFileSync(at('files/1.cameo')).length - 8, 'high', true]);
  assert.is(modules, 17 + 4 * version);
  assert.is((await readImage(at('file.png'))).width, 3 * (modules + 4));
  await works('qr all.cameos:1 -o archived.png');
  assert.equal(await bytesIn('archived.png'), await bytesIn('file.png'));
  await works('qr all.cameos:1 -o archived.svg');
  assert.equal(
    searchQr(await readImage(await sharp(at('archived.svg')).png().toBuffer()), 3000),
    await bytesIn('file.png'),
  );
});

test('one of several faces in a photograph can be chosen', async () => {
  const data = new Uint8Array(3 * 192 * 112);
  const faces = await Promise.all(['0.png', '1.png'].map(pixels));
  for (let y = 0; y < 112; y++) {
    for (const [k, face] of faces.entries()) data.set(face.subarray(288 * y, 288 * (y + 1)), 576 * y + 288 * k);
  }
  await writePng(at('both.png'), { width: 192, height: 112, data });
  const marks = [0, 96].map((shift) => FACE_TEMPLATE.map(([x, y]) => [x + shift, y]));
  writeFileSync(at('marks.json'), JSON.stringify({ 'both.png': marks }));
  const several = await run('qr both.png -o both-code.png --landmarks marks.json');
  const message = 'cameo: both.png: it has 2 faces, but a code holds one; choose it with --face or --faces largest';
  assert.equal([several.code, several.complaints], [1, [message]]);
  await works('qr both.png -o both-code.png --landmarks marks.json --face 2 --bytes 300');
  await works('qr 1.png -o one-code.png --bytes 300');
  assert.equal(await bytesIn('both-code.png'), await bytesIn('one-code.png'));
  const third = await run('qr both.png -o both-code.png --landmarks marks.json --face 3');
  assert.match(third.complaints.join(), /both\.png: there is no face 3: the picture has 2/);
});

test('qr finds the faces in a photograph', async () => {
  const picture = redSquares(260, 120, 60, [
    [20, 30],
    [180, 10],
  ]);
  await writePng(at('photo.png'), picture);
  const env = { CAMEO_DETECTOR: writeRedSquaresDetector(at('detector.safetensors')) };
  const several = await run('qr photo.png -o found.png --min-face 60', env);
  assert.match(several.complaints.join(), /photo\.png: it has 2 faces, but a code holds one/);
  const second = await run('qr photo.png -o found.png --min-face 60 --face 2 --bytes 300', env);
  assert.is(second.code, 0, second.stderr);
  await run('encode photo.png -o found --min-face 60 --container bare --bytes 300', env);
  assert.equal(await bytesIn('found.png'), new Uint8Array(readFileSync(at('found', 'photo-2.cameo.bare'))));
});

test('qr and decode work in pipes, from standard input to standard output', async () => {
  const env = { CAMEO_MODEL, CAMEO_ADAPTER };
  const script =
    'cameo qr - -o - --bytes 300 < 0.png | cameo decode - -o - > piped.png; exit $((PIPESTATUS[0] + PIPESTATUS[1]))';
  const { code, stderr } = await cameoInShell(script, env, folder);
  assert.is(code, 0, stderr);
  assert.equal(await pixels('piped.png'), await pixels('restored/0.decoded.png'));
});

/** The bytes that a code holds, and the error that they must give. */
const CODES: [name: string, content: Uint8Array, message: RegExp][] = [
  ['url', Buffer.from('https://example.org/a/b'), /its QR code holds no face but "https:\/\/example\.org\/a\/b"$/],
  ['binary', Uint8Array.of(0, 1, 2, 255), /its QR code holds no face but 4 other bytes$/],
  ['one', Uint8Array.of(0x10), /truncated: bare face of 1 bytes/],
];

test('other codes, damaged faces and pictures without a code are errors, and nothing is written', async () => {
  const face = await bytesIn('code.png');
  const damaged = face.map((byte, k) => (k === 40 ? byte ^ 1 : byte));
  const cases = [...CODES, ['damaged', damaged, /corrupt|damaged|checksum|code/] as (typeof CODES)[number]];
  for (const [name, content] of cases) await writePng(at(`${name}.png`), qrPicture(qrModules(content), 4));
  await sharp(at('code.png')).blur(9).jpeg().toFile(at('blurred.jpg'));
  const names = [...cases.map(([name]) => `${name}.png`), 'blurred.jpg', '0.png'];
  const { code, complaints, stderr } = await run(`decode ${names.join(' ')} -o none`);
  assert.is(code, 1);
  assert.is(complaints.length, names.length, stderr);
  const missing = [
    /a picture, and no QR code can be read/,
    /a PNG, but not a compact file .*, and no QR code can be read/,
  ];
  const messages = [...cases.map(([, , message]) => message), ...missing];
  for (const [k, message] of messages.entries()) {
    assert.ok(complaints[k].startsWith(`cameo: ${names[k]}: `), complaints[k]);
    assert.match(complaints[k], message);
  }
  assert.not(existsSync(at('none')));
  const other = await run('decode code.png -o none', { CAMEO_MODEL: otherModel });
  assert.match(
    other.complaints.join(),
    /^cameo: code\.png: written by a model whose id ends in .{4}; the model loaded is/,
  );
});

test('what cannot be put into a code is refused before a device is opened, and nothing is written', async () => {
  writeTinyModel(at('png.safetensors'), 1);
  await works('encode 0.png -o pngs --model png.safetensors');
  const refused: [string, RegExp][] = [
    ['qr 0.png', /required option '-o, --out <file>'/],
    ['qr 0.png -o new.gif', /-o new\.gif: expected a name that ends in \.png or \.svg/],
    ['qr 0.png -o 0.png', /0\.png is an input and would be overwritten/],
    ['qr 0.png -o new.png --ecc best', /Allowed choices are low, medium, quartile, high/],
    ['qr 0.png -o new.png --scale 0', /--scale <n>.*from 1 to 40/],
    ['qr 0.png -o new.png --border 21', /--border <n>.*from 1 to 20/],
    ['qr 0.png -o new.png --bytes 1300 --ecc high', /--bytes 1300: a QR code with --ecc high holds at most 1273/],
    ['qr 0.png -o new.png --bytes 5', /--bytes 5: a face takes at least \d+ bytes/],
    ['qr files/1.cameo -o new.png --bytes 100', /files\/1\.cameo: the face takes \d+ bytes, more than --bytes 100/],
    ['qr all.cameos -o new.png', /all\.cameos: an archive of 2 faces; name one as all\.cameos:NAME/],
    ['qr all.cameos:nobody -o new.png', /none of the 2 faces is called "nobody"/],
    ['qr none.cameos:1 -o new.png', /none\.cameos:1: cannot be read: no such file/],
    ['qr none.png -o new.png', /none\.png: cannot be read: no such file/],
    ['qr both.png -o new.png --detector nowhere', /nowhere: cannot be read/],
    ['qr both.png -o new.png --face 1 --faces all', /--faces all and --face 1: give only one of them/],
    ['qr pngs/0.cameo.png -o new.png --model png.safetensors', /weights for \.cameo\.png; expected some for \.cameo/],
  ];
  for (const [command, message] of refused) {
    const { code, complaints, stderr } = await run(command, { CAMEO_ADAPTER: 'no such adapter' });
    assert.is(code, 1, `${command}: ${stderr}`);
    assert.match(complaints.join(), message, command);
  }
  assert.equal(
    readdirSync(folder).filter((name) => name.startsWith('new')),
    [],
  );
});

test.run();
