// suite: long
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writePng } from '../../src/data/pictures/image.js';
import sharp from '../../src/data/pictures/sharp.js';
import { unpackSwiftShader } from '../../src/gpu/node/swiftshader.js';
import { Sphere20 } from '../../src/models/sphere20.js';
import { pyTorchShape } from '../../src/nn/layout.js';
import { floats, type Picklable, tensor, zipCheckpoint } from '../data/pickle-writer.js';
import { DEMO_PHOTOS } from '../helpers/data-available.js';
import { facePng } from '../helpers/face-folder-fixture.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { writePeople, writeTinyRecognizer } from '../helpers/people-fixture.js';
import { redSquares, writeRedSquaresDetector } from '../helpers/red-squares.js';
import { writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';
import { cameo, complains, home, install, installed, link, work, works } from './installed-fixture.js';

/*
 * Runs every command of the installed package in a folder whose path has spaces and umlauts, without HOME, on a machine
 * without drivers; first without the optional packages, then with them. CAMEO_TEST_NODE is another Node to run them with.
 */
// adapters: once
// time limit: 3 times

const at = (name: string): string => join(work, name);
const withSwiftShader = unpackSwiftShader() ? test : test.skip;

test('the package can be installed, and its command starts', async () => {
  install();
  const { version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  assert.is((await works(['--version'])).trim(), version);
});

test('--help works for every command and subcommand', async () => {
  const seen: string[] = [];
  const visit = async (path: readonly string[]): Promise<void> => {
    // Subcommands start like their command.
    const words = [...path, '--help'];
    const help = path.length > 1 ? (await cameoHere(words)).stdout : await works(words);
    assert.match(help, `Usage: cameo${path.map((name) => ` ${name}`).join('')} `);
    seen.push(path.join(' '));
    const [, commands = ''] = /\nCommands:\n([\s\S]*?)(?:\n\n|$)/.exec(help) ?? [];
    const names = [...commands.matchAll(/^ {2}([a-z]\S*)/gm)].map(([, name]) => name);
    await Promise.all(names.filter((name) => name !== 'help').map((name) => visit([...path, name])));
  };
  await visit([]);
  for (const name of ['encode', 'train codec', 'evaluate codecs', 'doctor', 'tune'])
    assert.ok(seen.includes(name), name);
});

test('without the optional packages, a one-line error says what to install', async () => {
  writeFileSync(at('Gesicht ä.png'), await facePng(1));
  writeFileSync(at('two.png'), await facePng(90));
  await complains(/npm install webgpu/, ['encode', 'Gesicht ä.png', '-o', 'nothing'], 2);
  await complains(/npm install webgpu/, ['verify', 'Gesicht ä.png', 'two.png'], 2);
  await complains(/npm install @(cornerstonejs\/codec-openjpeg|vladmandic\/face-api)$/, ['demo', '-o', 'nothing']);
  const { code, stdout, stderr } = await cameo(['doctor']);
  assert.is(code, 2, stderr);
  assert.match(stderr, /^cameo: .*npm install webgpu/);
  assert.match(stdout, /npm webgpu \(Dawn\): not installed[\s\S]*npm install webgpu/);
  assert.not.match(stdout + stderr, /\n {4}at /);
});

withSwiftShader('doctor finds SwiftShader, and prints nothing of what it did not find', async () => {
  for (const name of ['webgpu', '@sparticuz/chromium']) link(name);
  const { code, stdout, stderr } = await cameo(['doctor']);
  assert.equal([code, stderr], [0, '']);
  assert.match(stdout, /^taken: SwiftShader/m);
});

withSwiftShader('encode, merge, qr, info, decode and verify; from a folder that cannot be written, too', async () => {
  const archive = ['--archive', 'Gesichter ü.cameos', '--shard', '1/1'];
  await works(['encode', 'Gesicht ä.png', 'two.png', '-o', 'Dateien ö', ...archive, '--bytes', '300']);
  await works(['merge', 'Gesichter ü.cameos', '-o', 'alle ö.cameos', '--shards', '1']);
  assert.equal(readFileSync(at('alle ö.cameos')), readFileSync(at('Gesichter ü.cameos')));
  const file = join('Dateien ö', 'Gesicht ä.cameo');
  assert.ok(readFileSync(at(file)).length <= 300);
  assert.match(await works(['info', file]), /Gesicht ä\.cameo/);
  assert.match(await works(['qr', file, '-o', 'Code ü.png']), /bytes, version \d+, (\d+)×\1 modules/);
  await works(['decode', file, 'Code ü.png', '-o', 'wieder']);
  const [fromQr, fromFile] = ['Code ü', 'Gesicht ä'].map((name) => readFileSync(at(`wieder/${name}.decoded.png`)));
  assert.equal(fromQr, fromFile);
  const verified = await cameo(['verify', file, 'two.png']);
  assert.ok(verified.code === 0 || verified.code === 1, verified.stderr);
  assert.match(verified.stdout, /^similarity -?\d\.\d{4}/);
  assert.match(verified.stdout, /^how good it is: \d+\.\d % ± /m);
  const readOnly = at('nur lesen');
  mkdirSync(readOnly);
  chmodSync(readOnly, 0o555);
  await works(
    ['decode', at(file), '-o', at('von dort')],
    { CAMEO_CACHE: undefined, XDG_CACHE_HOME: join(readOnly, 'x') },
    readOnly,
  );
  assert.equal(readdirSync(at('von dort')), ['Gesicht ä.decoded.png']);
});

withSwiftShader('detect and crop', async () => {
  const detector = writeRedSquaresDetector(join(home, 'rot.safetensors'));
  await writePng(at('Foto ö.png'), redSquares(150, 90, 60, [[20, 20]]));
  const options = ['--detector', detector, '--min-face', '60'];
  assert.match(await works(['detect', 'Foto ö.png', ...options]), /Foto ö\.png {2}150×90 {2}1 face/);
  await works(['crop', 'Foto ö.png', '-o', 'Ausschnitte ä', ...options]);
  assert.equal(readdirSync(at('Ausschnitte ä')).sort(), ['Foto ö.png', 'landmarks.json']);
  // It runs with the shipped detector, if there is one.
  if (existsSync(join(installed, 'models', 'face-detector.safetensors'))) {
    // The picture is made smaller: a large one is searched at more scales, each with kernels that every start compiles again.
    await sharp(join(DEMO_PHOTOS, 'sample2.jpg')).resize(640, 456).toFile(at('zwei ä.jpg'));
    assert.match(await works(['detect', 'zwei ä.jpg']), /zwei ä\.jpg {2}640×456 {2}[1-9] faces?/);
  }
});

const faces = join(work, 'Gesichter');
const recognizer = join(home, 'klein.safetensors');
const tiny = join(home, 'winzig.safetensors');
const settings = (name: string, value: object): string => {
  writeFileSync(at(name), JSON.stringify(value));
  return name;
};

withSwiftShader('two steps of training the codecs, and the tables', async () => {
  await writeIdentities(faces);
  writeTinyRecognizer(recognizer, 3);
  writeTinyModel(tiny, 1);
  const model = { stages: [4, 4, 4, 8], latentChannels: 4, residualBlocks: 0, rates: 2 };
  const stages = [
    { name: 'codec', steps: 1, quantization: 'noise' },
    { name: 'joint', steps: 1, distance: 4, cosface: 0.1 },
  ];
  const paper = settings('paper.json', {
    model,
    targetBytes: [200, 300],
    batchSize: 2,
    stages,
  });
  const run = ['--data', faces, '--recognizers', recognizer];
  await works(['train', 'autoencoder', ...run, '--config', paper, '-o', 'aus/codec']);
  const small = { channels: 4, blocks: 1 };
  const band = { luma: [24, 20], chroma: [20, 16] };
  const joint = settings('joint.json', {
    model: { band, components: [12, 8], analysis: small, synthesis: small },
    batchSize: 2,
    stages,
  });
  await works(['train', 'codec', ...run, '--config', joint, '-o', 'aus/joint']);
  await works([
    'train',
    'tables',
    '--data',
    faces,
    '--model',
    'aus/joint/model.safetensors',
    '-o',
    'aus/tafeln.safetensors',
    '--faces',
    '8',
  ]);
  for (const path of ['codec/model.safetensors', 'joint/log.csv', 'tafeln.safetensors'])
    assert.ok(existsSync(at(`aus/${path}`)), path);
  await works(['encode', 'two.png', '--model', 'aus/tafeln.safetensors', '-o', 'aus', '--bytes', '200']);
});

withSwiftShader('two steps of training recognisers', async () => {
  const model = { dimension: 8, channels: [4, 4, 4, 8], units: [0, 0, 0, 0] };
  const config = settings('recognition.json', { model, steps: 2, batchSize: 4, warmUpSteps: 1 });
  await works(['train', 'recognition', '--data', faces, '--config', config, '-o', 'aus/recognition']);
  // A head in closed form, on which training goes on.
  const own = 'aus/recognition/model.safetensors';
  await works([
    'train',
    'head',
    '--data',
    faces,
    '--model',
    own,
    '--teacher',
    recognizer,
    '-o',
    'aus/kopf.safetensors',
  ]);
  const full = settings('full.json', { model: { ...model, head: 'full' }, steps: 2, batchSize: 4, warmUpSteps: 1 });
  const more = ['--config', full, '--from', 'aus/kopf.safetensors', '-o', 'aus/more'];
  await works(['train', 'recognition', '--data', faces, ...more]);
  await works([
    'train',
    'losses',
    '--data',
    faces,
    '--steps',
    '2',
    '--batch',
    '4',
    '--channels',
    '4,4,4,8',
    '-o',
    'aus/losses',
  ]);
  const adapted = ['--codec', 'jpeg', '--bytes', '900', '--faces', '4', '--steps', '2', '--batch', '4'];
  // The search for the best JPEG takes long, so each split has only two pictures of one person.
  const few = at('wenige');
  for (const face of ['train/p0/0.png', 'train/p0/1.png', 'val/p0/0.png', 'val/p0/1.png'])
    cpSync(join(faces, face), join(few, face), { recursive: true });
  await works([
    'train',
    'adapted',
    '--data',
    few,
    '--recognizer',
    recognizer,
    ...adapted,
    '-o',
    'aus/adapted.safetensors',
  ]);
  assert.ok(existsSync(at('aus/adapted.safetensors')));
});

withSwiftShader('import and tune', async () => {
  const shapes = [...new Sphere20(2).entries()].map(
    ([name, { shape, layout }]) => [name, pyTorchShape(shape, layout)] as const,
  );
  const storages = shapes.map(([, shape]) => floats(new Float32Array(shape.reduce((a, b) => a * b, 1))));
  const entries = shapes.map(([name, shape], k): [Picklable, Picklable] => [
    name,
    tensor(storages, k, shape, { legacy: false }),
  ]);
  writeFileSync(at('kugel.pth'), zipCheckpoint({ ordered: entries }, storages));
  assert.match(await works(['import', 'kugel.pth', '-o', 'kugel.safetensors']), /sphere20/i);
  await works(['tune', '--model', tiny, '--batch', '1']);
});

withSwiftShader('evaluations, with the packages that they compare with and without', async () => {
  await complains(/npm install @cornerstonejs\/codec-openjpeg/, [
    'evaluate',
    'codec',
    '--data',
    faces,
    '--split',
    'val',
    '--limit',
    '2',
    '--model',
    tiny,
    '-o',
    'aus',
  ]);
  for (const name of ['@cornerstonejs/codec-openjpeg', 'icodec', '@vladmandic/face-api']) link(name);
  await works([
    'evaluate',
    'autoencoder',
    '--data',
    faces,
    '--split',
    'val',
    '--limit',
    '2',
    '--model',
    tiny,
    '-o',
    'aus',
  ]);
  await works(['evaluate', 'identities', '--data', faces, '--split', 'train', '--model', recognizer, '-o', 'aus']);
  await writePeople(at('Leute'));
  writeFileSync(at('pairs.txt'), ['2 1', 'Ann 1 2', 'Ann 1 Bob 1', 'Cid 1 2', 'Cid 1 Dan 1', ''].join('\n'));
  await works(['evaluate', 'pairs', '--images', 'Leute', '--pairs', 'pairs.txt', '--model', recognizer, '-o', 'aus']);
  assert.ok(
    existsSync(at('aus/autoencoder-val.json')) && existsSync(at('aus/pairs-klein.json')),
    `${readdirSync(at('aus'))}`,
  );
  await works(['demo', '--model', tiny, '--limit', '2', '-o', 'aus/demo']);
});

test.run();
