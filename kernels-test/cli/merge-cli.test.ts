// adapters: once
// suite: long
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { cameoInShell, cameoUntil, ROOT } from './cli-fixture.js';
import { at, BYTES, env, folder, model, NAMES, namesOf, noArray, otherModel, run, works } from './shard-fixture.js';

const test = suite('merge');

await works(['encode', 'in', '--archive', 'single.cameos', ...BYTES]);
const single = readFileSync(at('single.cameos'));
const SHARDS = 4;
const shards = Array.from({ length: SHARDS }, (_, k) => `part-${k + 1}.cameos`);
for (const [k, path] of shards.entries()) {
  await works(['encode', 'in', '--archive', path, '--shard', `${k + 1}/${SHARDS}`, ...BYTES]);
}

test('merged shards are byte for byte the archive of a single run, and need no device', async () => {
  const merged = await works(['merge', ...shards, '-o', 'out/all.cameos', '--shards', `${SHARDS}`], {
    CAMEO_ADAPTER: 'no such adapter',
  });
  assert.equal(readFileSync(at('out', 'all.cameos')), single);
  assert.is(merged.stdout, `${NAMES.length} faces of ${SHARDS} archives -> out/all.cameos  ${single.length} bytes\n`);
  assert.equal(readdirSync(at('out')), ['all.cameos']);
  // In another order, and over the existing archive.
  await works(['merge', ...[...shards].reverse(), '-o', 'out/all.cameos']);
  assert.equal(readFileSync(at('out', 'all.cameos')), single);
  const info = await works(['info', 'out/all.cameos', '--all']);
  assert.match(info.stdout, `${NAMES.length} of ${NAMES.length} faces intact`);
});

test('--json has the archive and what it was merged from', async () => {
  const { stdout } = await works(['merge', ...shards, '-o', 'json.cameos', '--json']);
  const { command, ok, archive, from, errors } = JSON.parse(stdout);
  assert.equal([command, ok, errors], ['merge', true, []]);
  assert.equal(archive, { path: 'json.cameos', faces: NAMES.length, bytes: single.length });
  const counts = await Promise.all(shards.map(async (path) => ({ path, faces: (await namesOf(path)).length })));
  assert.equal(from, counts);
  const failed = await run(['merge', shards[0], shards[0], '-o', 'json2.cameos', '--json']);
  assert.is(failed.code, 1);
  const document = JSON.parse(failed.stdout);
  assert.equal([document.ok, document.archive, document.errors.length], [false, null, 1]);
});

test('what cannot be merged gives one line that names it, and nothing is written or changed', async () => {
  const [first, second] = shards;
  await works(['encode', 'in/z1.png', '--archive', 'other.cameos', '--model', otherModel, ...BYTES]);
  const damaged = Buffer.from(readFileSync(at(second)));
  damaged[damaged.length - 20] ^= 4;
  writeFileSync(at('damaged.cameos'), damaged);
  writeFileSync(at('cut.cameos'), damaged.subarray(0, 300));
  writeFileSync(at('text.cameos'), 'no archive');
  writeFileSync(at('notes.txt'), 'something else');
  copyFileSync(at(first), at('copy.cameos'));
  for (const [args, complaint] of [
    [
      [first, 'other.cameos'],
      /^cameo: other\.cameos: written by model \w{8}; part-1\.cameos by \w{8}: expected archives of/,
    ],
    [['other.cameos'], /^cameo: other\.cameos: written by model \w{8}; the model loaded is \w{8}/],
    [[first, 'damaged.cameos'], /^cameo: damaged\.cameos, face \d+: /],
    [[first, 'cut.cameos'], /^cameo: cut\.cameos: (truncated|damaged or cut off)/],
    [[first, 'text.cameos'], /^cameo: text\.cameos: not an archive of faces/],
    [[first, 'missing.cameos'], /^cameo: missing\.cameos: cannot be read: no such file/],
    [[first, 'in'], /^cameo: in: it is a folder/],
    [
      [first, 'copy.cameos'],
      /^cameo: the name ".+" is in part-1\.cameos \(face \d+\) and in copy\.cameos \(face \d+\); exp/,
    ],
    [[first, first], /^cameo: part-1\.cameos: is the same file as part-1\.cameos/],
    [[first, '-'], /^cameo: -: archives are read and written in parts; expected files/],
    [
      [first, second, '--shards', '4'],
      /^cameo: 2 archives for 4 shards: expected one for each shard; no face is of shard 3, 4/,
    ],
    [[first, second, '--shards', '0'], /--shards <n>.*Expected an integer from 1/],
    [[], /missing required argument 'archive'/],
  ] as const) {
    const before = readdirSync(folder);
    const refused = await run(['merge', ...args, '-o', 'refused.cameos']);
    assert.is(refused.code, 1, args.join(' '));
    assert.is(refused.complaints.length, 1, refused.stderr);
    assert.match(refused.complaints[0], complaint);
    assert.equal(readdirSync(folder), before);
  }
  const kept = readFileSync(at(first));
  for (const [out, complaint] of [
    [first, /^cameo: part-1\.cameos is an input and would be overwritten: choose another output/],
    ['notes.txt', /^cameo: notes\.txt exists and is not an archive: choose another name, or remove it/],
    ['in', /^cameo: cannot write in: it is a folder/],
    ['-', /^cameo: -: archives are read and written in parts/],
  ] as const) {
    const refused = await run(['merge', first, second, '-o', out]);
    assert.is(refused.code, 1);
    assert.match(refused.complaints[0], complaint);
  }
  assert.equal(readFileSync(at(first)), kept);
  assert.is(readFileSync(at('notes.txt'), 'utf8'), 'something else');
});

test('an archive that another run is writing is not replaced', async () => {
  writeFileSync(at('busy.cameos.lock'), JSON.stringify({ pid: process.ppid, host: 'elsewhere', began: '' }));
  const refused = await run(['merge', ...shards, '-o', 'busy.cameos']);
  assert.is(refused.code, 1);
  assert.match(refused.complaints[0], /busy\.cameos: process \d+ on elsewhere is writing to it/);
  assert.not(existsSync(at('busy.cameos')));
  rmSync(at('busy.cameos.lock'));
});

test('a merge that is stopped or killed writes nothing, and the next one is not disturbed', async () => {
  const archive = await FaceArchive.open(bytesSource(single));
  const faces = await Promise.all(NAMES.map((_, k) => archive.face(k, model)));
  const many = (letter: string): string => {
    const named = Array.from({ length: 15_000 }, (_, k) => ({ ...faces[k % faces.length], name: `${letter}${k}` }));
    writeFileSync(at(`many-${letter}.cameos`), packArchive(named, model));
    return `many-${letter}.cameos`;
  };
  const args = ['merge', many('a'), many('b'), '-o', 'many.cameos'];
  const own = (): string[] => readdirSync(folder).filter((name) => /many\.cameos/.test(name));
  const stopped = await cameoUntil(() => own().includes('many.cameos.lock'), 'SIGINT', args, env, folder);
  assert.is(stopped.code, 130, stopped.stderr);
  assert.match(stopped.stderr, /stopped; nothing was written\n$/);
  assert.equal(own(), []);
  const killed = await cameoUntil(() => own().some((name) => name.endsWith('.tmp')), 'SIGKILL', args, env, folder);
  assert.is(killed.code, null, killed.stderr);
  assert.not(existsSync(at('many.cameos')));
  assert.is(own().length, 2, 'the lock and a temporary file are left');
  const last = await works(args);
  assert.match(last.stdout, /^30000 faces of 2 archives -> many\.cameos /);
  assert.equal(own(), ['many.cameos']);
});

test('a set with an empty shard is complete, and without it a shard is missing', async () => {
  mkdirSync(at('few'));
  for (const name of ['z1', 'z2']) copyFileSync(at('in', `${name}.png`), at('few', `${name}.png`));
  const paths = Array.from({ length: 6 }, (_, k) => `few-${k + 1}.cameos`);
  for (const [k, path] of paths.entries()) {
    await works(['encode', 'few', '--archive', path, '--shard', `${k + 1}/6`, ...BYTES]);
  }
  await works(['merge', ...paths, '-o', 'few.cameos', '--shards', '6']);
  await works(['encode', 'few', '--archive', 'few-single.cameos', ...BYTES]);
  assert.equal(readFileSync(at('few.cameos')), readFileSync(at('few-single.cameos')));
  const missing = await run(['merge', ...paths.slice(1), '-o', 'few.cameos', '--shards', '6']);
  assert.is(missing.code, 1);
  assert.match(missing.complaints[0], /^cameo: 5 archives for 6 shards: expected one for each shard/);
});

const hasParallel = (process.env.PATH ?? '').split(delimiter).some((path) => existsSync(join(path, 'parallel')));
if (!hasParallel) console.log('SKIP the recipe for GNU parallel: `parallel` is not installed');

(hasParallel ? test : test.skip)('the recipe for GNU parallel gives the archive of a single run', async () => {
  mkdirSync(at('recipe'));
  const text = readFileSync(join(ROOT, 'docs', 'codec.md'), 'utf8');
  const [, block] = /^```sh\n(parallel [\s\S]*?)^```$/m.exec(text) ?? [];
  assert.ok(block, 'docs/codec.md has the recipe');
  const script = block.replace(' people ', ' ../in ').replace('--bytes 300', BYTES.join(' '));
  // The shells that parallel starts have the function only if it is exported, and if they are bash.
  const shell = { ...env, ...noArray, SHELL: '/bin/bash' };
  const made = await cameoInShell(`set -e\nexport -f cameo\ncd recipe\n${script}`, shell, folder);
  assert.is(made.code, 0, made.stderr);
  assert.equal(readFileSync(at('recipe', 'people.cameos')), single);
});

test.run();
