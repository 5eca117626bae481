// adapters: once
// suite: long
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeFacePack } from '../../src/data/faces/face-pack.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { FACE_TEMPLATE } from '../../src/detection/align.js';
import { readRecognizer } from '../../src/models/recognizer-file.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { writePeople, writeTinyRecognizer } from '../helpers/people-fixture.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('recognition commands');
const folder = temporaryFolder();
const data = writeIdentities(join(folder, 'faces'));
const config = join(folder, 'config.json');
writeFileSync(
  config,
  JSON.stringify({
    model: { dimension: 16, channels: [4, 8, 8, 8], units: [0, 0, 0, 0] },
    loss: { loss: 'arcface', scale: 16, margin: 0.3, lambda: 0 },
    steps: 4,
    batchSize: 6,
    warmUpSteps: 1,
  }),
);

test('train recognition trains by a settings file, validates, and resumes from a checkpoint', async () => {
  const out = join(folder, 'out');
  const run = await cameoHere([
    'train',
    'recognition',
    '--data',
    await data,
    '--config',
    config,
    '--balanced',
    '-o',
    out,
  ]);
  assert.is(run.code, 0, run.stderr);
  assert.match(run.stdout, /"loss":"arcface","scale":16,"margin":0.3/);
  assert.match(run.stdout, /20 faces of 5 identities/);
  assert.match(run.stdout, /held-out identities: TAR/);
  const { description, metadata } = readRecognizer(readFileSync(join(out, 'model.safetensors')));
  assert.is(description.architecture, 'cameo-face');
  assert.is(metadata.get('cameo.steps'), '4');
  assert.ok(existsSync(join(out, 'training.svg')));

  const again = await cameoHere(['train', 'recognition', '--data', await data, '-o', out]);
  assert.is(again.code, 1);
  assert.match(again.complaints.join(), /add --resume/);
  const longer = await cameoHere(['train', 'recognition', '--data', await data, '-o', out, '--resume', '--steps', '6']);
  assert.is(longer.code, 0, longer.stderr);
  assert.is(readFileSync(join(out, 'log.csv'), 'utf8').trim().split('\n').length, 7);
  const finished = await cameoHere(['train', 'recognition', '--data', await data, '-o', out, '--resume']);
  assert.is(finished.code, 0, finished.stderr);
  assert.match(finished.stdout, /already finished after 6 steps, and left unchanged: .*model\.safetensors/);
  const help = await cameoHere(['train', 'recognition', '--help']);
  assert.match(
    help.stdout.replace(/\s+/g, ' '),
    /a different number with --resume also changes the learning-rate schedule/,
  );
});

test('a published teacher is found next to the faces and among the data sets', async () => {
  const project = join(folder, 'a', 'project');
  const names = ['a/shared/data', 'elsewhere'].map((name) => join(folder, name, 'weights'));
  for (const place of [project, ...names]) mkdirSync(place, { recursive: true });
  const train = async (out: string, env: NodeJS.ProcessEnv) => {
    const args = ['train', 'recognition', '--data', await data, '--config', config, '--steps', '1', '-o', out];
    return cameoHere([...args, '--teacher', 'mobilefacenet-casia'], env, project);
  };
  const none = await train('none', { CAMEO_DATA: '' });
  assert.is(none.code, 1);
  const file = join('weights', 'mobilefacenet-casia-112x96.safetensors');
  const [beside, shared] = [join(await data, file), join('../shared/data', file)];
  assert.equal(none.complaints, [
    `cameo: recogniser mobilefacenet-casia: its weights are in none of these places: ${beside}, ${shared}`,
  ]);
  for (const [k, env] of [{ CAMEO_DATA: '' }, { CAMEO_DATA: '../../elsewhere' }].entries()) {
    writeTinyRecognizer(join(names[k], 'mobilefacenet-casia-112x96.safetensors'), 3, 16);
    const run = await train(`out${k}`, env);
    assert.is(run.code, 0, run.stderr);
  }
});

test('wrong settings and data are refused by name', async () => {
  const tiny = writeTinyRecognizer(join(folder, 'tiny.safetensors'), 3);
  for (const [args, message] of [
    [['--loss', 'arcface', '--margin', '9'], /margin is 9; expected an angle/],
    [['--batch', '0'], /batchSize is 0/],
    [['--unlabelled', '3'], /without a teacher/],
    [['--teacher', 'nobody'], /recogniser nobody: neither a file nor one of/],
    [['--from', 'nobody'], /recogniser nobody: neither a file nor one of/],
    [
      ['--from', tiny],
      /start at, tiny, are of cameo-face \(channels \[4,4,4,8\].*the settings are of cameo-face \(channels \[24/,
    ],
    [['--sources', 'nowhere'], /source nowhere/],
  ] as const) {
    const run = await cameoHere(['train', 'recognition', '--data', await data, '-o', join(folder, 'bad'), ...args]);
    assert.is(run.code, 1, `${args}`);
    assert.match(run.complaints.join(), message);
    assert.not(existsSync(join(folder, 'bad', 'checkpoint.safetensors')));
  }
});

test('a run can start from the weights of a recogniser, and its model file says so', async () => {
  const weights = writeTinyRecognizer(join(folder, 'first.safetensors'), 3, 16);
  const out = join(folder, 'continued');
  const settings = join(folder, 'own.json');
  const model = { dimension: 16, channels: [4, 4, 4, 8], units: [0, 0, 0, 0] };
  writeFileSync(settings, JSON.stringify({ model, steps: 2, batchSize: 6 }));
  const args = ['train', 'recognition', '--data', await data, '-o', out];
  const run = await cameoHere([...args, '--config', settings, '--from', weights]);
  assert.is(run.code, 0, run.stderr);
  const { metadata } = readRecognizer(readFileSync(join(out, 'model.safetensors')));
  assert.match(metadata.get('cameo.from')!, /^first [0-9a-f]{16}$/);
  const longer = await cameoHere([...args, '--resume', '--steps', '3']);
  assert.is(longer.code, 0, longer.stderr);
  const other = await cameoHere([...args, '--resume', '--steps', '4', '--from', join(out, 'model.safetensors')]);
  assert.is(other.code, 1);
  assert.match(other.complaints.join(), /model\.safetensors is an input and would be overwritten/);
});

test('cameo train losses compares every loss in a table', async () => {
  const out = join(folder, 'losses');
  const args = ['--steps', '2', '--batch', '6', '--channels', '4,4,4,8', '-o', out];
  const run = await cameoHere(['train', 'losses', '--data', await data, ...args]);
  assert.is(run.code, 0, run.stderr);
  const report = JSON.parse(readFileSync(join(out, 'losses.json'), 'utf8'));
  assert.equal(
    report.results.map(({ loss }: { loss: string }) => loss),
    ['cosface', 'arcface', 'sphereface', 'normface', 'softmax'],
  );
  for (const { validation, lastLoss } of report.results) {
    assert.ok(Number.isFinite(lastLoss) && validation.genuine === 24 && validation.impostor === 96);
  }
  assert.match(readFileSync(join(out, 'losses.md'), 'utf8'), /\| sphereface \| – \| 4 \| 5 \|/);
});

test('a pack gives the same evaluation as the folder that it was made from, and recognisers train on it', async () => {
  const set = await openFaceFolder(await data);
  const pack = join(folder, 'pack');
  await writeFacePack(
    pack,
    (async function* () {
      for (const [index, entry] of set.entries.entries()) yield { entry, pixels: await set.face(index) };
    })(),
  );
  const model = writeTinyRecognizer(join(folder, 'tiny.safetensors'), 3);
  const groups: unknown[] = [];
  for (const [name, from] of [
    ['folder', await data],
    ['pack', pack],
  ]) {
    const out = join(folder, `of ${name}`);
    const args = ['evaluate', 'identities', '--data', from, '--split', 'train', '--model', model, '-o', out];
    const run = await cameoHere(args, { CAMEO_CACHE: join(folder, name) });
    assert.is(run.code, 0, run.stderr);
    groups.push(JSON.parse(readFileSync(join(out, 'identities-tiny-train.json'), 'utf8')).groups);
  }
  assert.equal(groups[1], groups[0]);
  const out = join(folder, 'of pack');
  const run = await cameoHere(['train', 'recognition', '--data', pack, '--config', config, '--steps', '1', '-o', out]);
  assert.is(run.code, 0, run.stderr);
  assert.match(run.stdout, /20 faces of 5 identities/);
});

test('gathered faces contain nobody who is in LFW', async () => {
  const root = join(folder, 'sets');
  await writePeople(join(root, 'lfw', 'images'));
  const names = ['Ann', 'Bob', 'Cid', 'Dan'];
  const pairs = ['1 1', 'Ann\t1\t2', 'Bob\t1\tCid\t1'];
  writeFileSync(join(root, 'lfw', 'pairs.txt'), `${pairs.join('\n')}\n`);
  const points = FACE_TEMPLATE.flat().join('\t');
  const lines = names.flatMap((name) => [1, 2].map((k) => `${name}/${name}_000${k}.jpg\t${points}`));
  writeFileSync(join(root, 'lfw', 'landmarks.txt'), `${lines.join('\n')}\n`);
  // Ann is also among the photographs under another name; Dan is in no pair of LFW.
  for (const set of ['photos', 'profiles']) {
    await writePeople(join(root, set));
    const person = set === 'photos' ? 'Ann' : 'Dan';
    const faces = JSON.stringify([[0.9, ...FACE_TEMPLATE.flat()]]);
    const rows = [2, 1].map((k) => `${person}/${person}_000${k}.jpg\t${set}-1\ttrain\t96\t112\t${faces}`);
    writeFileSync(join(root, set, 'manifest.tsv'), ['path\tidentity\tsplit\twidth\theight\tfaces', ...rows].join('\n'));
  }
  await writeIdentities(join(root, 'faces'));
  const manifest = ['train/p0/0.png', 'train/p0/1.png', 'train/p1/0.png'].map((path) => `${path}\tx\tfiw\ttrain`);
  writeFileSync(join(root, 'faces', 'manifest.tsv'), ['path\tidentity\tsource\tsplit', ...manifest].join('\n'));
  const teacher = writeTinyRecognizer(join(folder, 'teacher.safetensors'), 4);
  const report = join(folder, 'gathered.md');
  const args = ['train', 'recognition-faces', '--data', root, '--teacher', teacher, '--faces-each', '1'];
  const out = join(folder, 'gathered');
  const run = await cameoHere(
    [...args, '--compare', 'photos,profiles', '--doubtful', '0.99999', '-o', out, '--report', report],
    { CAMEO_CACHE: folder },
  );
  assert.is(run.code, 0, run.stderr);
  assert.match(run.stdout, /5 faces in the pack; 1 persons left out, and 2 faces of them/, run.stdout);
  assert.match(readFileSync(report, 'utf8'), /- photos-1 \(photos and LFW: Ann, cosine 1\.000\)/);
  const kept = await openFaceFolder(join(out, 'faces'));
  assert.equal([...new Set(kept.entries.map(({ identity }) => identity))], ['x', 'profiles-1']);

  // The originals are used again, but not for other faces.
  const again = await cameoHere([...args, '--compare', 'photos,profiles', '-o', out], { CAMEO_CACHE: folder });
  assert.equal([again.code, again.stderr], [0, '']);
  const other = await cameoHere([...args, '--least-score', '0.95', '-o', out], { CAMEO_CACHE: folder });
  assert.match(
    other.complaints.join(),
    /originals was made with {"data":".*","leastScore":0\.8}, this is {.*"leastScore":0\.95}: remove it, or/,
  );
  rmSync(join(out, 'originals', 'settings.json'));
  const unsaid = await cameoHere([...args, '--compare', 'photos,profiles', '-o', out], { CAMEO_CACHE: folder });
  assert.is(unsaid.code, 0, unsaid.stderr);
  assert.match(unsaid.stderr, /originals is used again; it does not say which --data and --least-score/);
});

test('train networks gives each network the same number of processor seconds', async () => {
  const out = join(folder, 'networks');
  const SIZES = '4-4-4-8:0-0-0-1';
  // The teacher's embeddings have as many values as those of the networks.
  const teacher = writeTinyRecognizer(join(folder, 'teacher-128.safetensors'), 4, 128);
  const args = ['--data', await data, '--faces-each', '2', '--teacher', teacher, '--networks', SIZES];
  const run = await cameoHere(['train', 'architectures', ...args, '--seconds', '0.2', '--batch', '4', '-o', out], {
    CAMEO_CACHE: folder,
  });
  assert.is(run.code, 0, run.stderr);
  const { results } = JSON.parse(readFileSync(join(out, 'recognizer-architectures.json'), 'utf8'));
  assert.equal(
    results.map(({ name }: { name: string }) => name),
    [SIZES],
  );
  for (const { faces, cpuSeconds, stepMs, forwardMs, distance, validation } of results) {
    assert.ok(faces >= 4 && cpuSeconds >= 0.2 && Math.abs(stepMs - (1000 * cpuSeconds) / faces) < 1e-9);
    assert.ok(forwardMs > 0 && distance > 0 && distance < 2 && validation.distance > 0);
  }
  assert.match(
    readFileSync(join(out, 'recognizer-architectures.md'), 'utf8'),
    /\| 4-4-4-8:0-0-0-1 \| 4-4-4-8 \| 0-0-0-1 \|/,
  );
  const bad = await cameoHere(['train', 'architectures', '--networks', 'cameo-20,none', '-o', out]);
  assert.match(bad.complaints.join(), /--networks: "none"; expected some of cameo-20/);
});

test.run();
