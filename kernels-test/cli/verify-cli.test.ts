// adapters: once
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { writePeople, writeTinyRecognizer } from '../helpers/people-fixture.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('verify and identities');
const folder = temporaryFolder();
const model = writeTinyRecognizer(join(folder, 'tiny.safetensors'), 4);
const thresholds = join(folder, 'thresholds.json');
const env = { CAMEO_CACHE: join(folder, 'cache'), CAMEO_THRESHOLDS: thresholds };
const images = join(folder, 'images');
const people = writePeople(images);
const data = writeIdentities(join(folder, 'faces'));
const [a, b] = ['Ann/Ann_0001.jpg', 'Bob/Bob_0001.jpg'].map((name) => join(images, name));
const out = join(folder, 'identities');

const verify = (one: string, other: string, ...args: string[]) =>
  cameoHere(['verify', one, other, '--model', model, ...args], env);

const identities = async (args: readonly string[], environment: NodeJS.ProcessEnv = env) =>
  cameoHere(['evaluate', 'identities', '--data', await data, '--model', model, '-o', out, ...args], environment);

/** With an adapter that there is not, a run that comes as far as the GPU ends with exit code 2. */
const NO_GPU = { ...env, CAMEO_ADAPTER: 'no such adapter' };

test('verify tells how alike two faces are, without a decision where no threshold is known', async () => {
  await people;
  const same = await verify(a, a);
  assert.is(same.code, 0, same.stderr);
  assert.match(same.stdout, /similarity 1\.0000/);
  assert.match(same.stdout, /no threshold is known/);
  const other = await verify(a, b);
  assert.not.match(other.stdout, /similarity 1\.0000/);
  const nobody = join(images, 'nobody.jpg');
  const missing = await verify(a, nobody);
  assert.is(missing.code, 1);
  assert.is(missing.complaints.join(), `cameo: ${nobody}: cannot be read: no such file or folder (ENOENT)`);
});

test('a rate that is none is refused before the GPU is opened', async () => {
  for (const far of ['abc', '', '0', '1', '-0.1', 'NaN']) {
    const run = await cameoHere(['verify', a, b, '--model', model, `--far=${far}`], NO_GPU);
    assert.is(run.code, 1, run.stderr);
    assert.match(run.complaints.join(), /--far <rate>.*Expected a rate above 0 and below 1/);
  }
});

test('identities compares all of a folder, and reports of --single stand beside the others', async () => {
  const run = await identities(['--split', 'train']);
  assert.is(run.code, 0, run.stderr);
  const path = join(out, 'identities-tiny-train.json');
  const text = readFileSync(path, 'utf8');
  const [all] = JSON.parse(text).groups;
  assert.equal([all.name, all.genuine, all.impostor], ['all', 5 * 6, (20 * 19) / 2 - 30]);
  const single = await identities(['--split', 'train', '--single']);
  assert.is(single.code, 0, single.stderr);
  assert.is(readFileSync(path, 'utf8'), text);
  const report = JSON.parse(readFileSync(join(out, 'identities-tiny-train-single.json'), 'utf8'));
  assert.is(report.model.embedding, 'single');
  assert.ok(existsSync(join(out, 'identities-tiny-train-single.md')));
  const refused = await identities(['--split', 'test', '--save-thresholds']);
  assert.match(refused.complaints.join(), /not chosen on split test/);
});

test('thresholds are saved beside those of other models, and verify decides by them both ways', async () => {
  await people;
  const others = { other: { name: 'other', embedding: 'single', thresholds: { '0.1': 0.5 }, command: 'none' } };
  writeFileSync(thresholds, JSON.stringify(others));
  const saved = await identities(['--split', 'train', '--save-thresholds']);
  assert.is(saved.code, 0, saved.stderr);
  assert.ok(saved.stdout.includes(thresholds), saved.stdout);
  const all = JSON.parse(readFileSync(thresholds, 'utf8'));
  assert.equal(all.other, others.other);
  const report = JSON.parse(readFileSync(join(out, 'identities-tiny-train.json'), 'utf8'));
  const entry = all[report.model.id];
  assert.equal(Object.keys(entry.thresholds), ['0.1', '0.01', '0.001', '0.0001']);
  assert.is(entry.thresholds['0.001'], report.groups[0].points[2].threshold);
  assert.equal([entry.name, entry.embedding], ['tiny', 'flip']);

  const similarity = Number((await verify(a, b)).stdout.match(/similarity (\S+)/)![1]);
  const own = { '0.1': similarity - 0.001, '0.001': similarity + 0.001 };
  writeFileSync(thresholds, JSON.stringify({ ...all, [report.model.id]: { ...entry, thresholds: own } }));
  const strict = await verify(a, b);
  assert.is(strict.code, 0, strict.stderr);
  assert.match(strict.stdout, /^not the same person: threshold \S+ at a false accept rate of 0\.001$/m);
  for (const far of ['0.1', '1e-1']) {
    const lax = await verify(a, b, '--far', far);
    assert.match(lax.stdout, /^the same person: threshold \S+ at a false accept rate of 0\.1$/m);
  }
  const unknown = await verify(a, b, '--far', '0.5');
  assert.is(unknown.code, 1);
  assert.match(unknown.complaints.join(), /--far 0\.5: thresholds of tiny are known for 0\.1, 0\.001/);
});

test('thresholds that cannot be read are told, not taken for none', async () => {
  const unreadable = join(folder, 'a-folder');
  mkdirSync(unreadable);
  const text = join(folder, 'damaged.json');
  for (const [path, content, message] of [
    [unreadable, null, /a-folder: it is a folder/],
    [text, '{', /damaged\.json/],
    [text, '[]', /damaged\.json: is a list of 0; expected an object of models/],
    [text, '{"x": {"embedding": "flip"}}', /model x is .*; expected embedding .* and thresholds by rate/],
  ] as const) {
    if (content !== null) writeFileSync(path, content);
    const environment = { ...NO_GPU, CAMEO_THRESHOLDS: path };
    const decided = await cameoHere(['verify', a, b, '--model', model], environment);
    const saved = await identities(['--split', 'train', '--save-thresholds'], environment);
    for (const run of [decided, saved]) {
      assert.is(run.code, 1, run.stderr);
      assert.match(run.complaints.join(), message);
    }
    if (content !== null) assert.is(readFileSync(path, 'utf8'), content);
  }
});

test.run();
