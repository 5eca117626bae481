// adapters: once
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource, FaceArchive } from '../../src/codec/container/face-archive.js';
import { shardOf } from '../../src/data/archives/shards.js';
import { StoredFaces } from '../../src/data/archives/stored-faces.js';
import { cameoUntil } from './cli-fixture.js';
import { at, BYTES, env, folder, NAMES, namesOf, noArray, run, works } from './shard-fixture.js';

const test = suite('shards');

/** Encodes a shard of the folder. @returns the path of its archive */
async function encodeShard(shard: string, path: string): Promise<string> {
  await works(['encode', 'in', '--archive', path, '--shard', shard, ...BYTES]);
  return path;
}

await works(['encode', 'in', '--archive', 'all.cameos', ...BYTES]);

/** The code of each face of an archive, by its name. */
async function codesOf(path: string): Promise<Map<string, Uint8Array>> {
  const source = bytesSource(readFileSync(at(path)));
  const archive = await FaceArchive.open(source);
  const stored = await StoredFaces.open(source, archive);
  const codes = new Map<string, Uint8Array>();
  for (let k = 0; k < archive.count; k++) {
    const { name, code } = await stored.face(k);
    codes.set(new TextDecoder().decode(name), code);
  }
  return codes;
}

test('every picture is in exactly one of the shards, with the code of a single run', async () => {
  const codes = await codesOf('all.cameos');
  for (const count of [1, 2, 3, 7]) {
    const found: string[] = [];
    for (let number = 1; number <= count; number++) {
      const path = await encodeShard(`${number}/${count}`, `${number}-of-${count}.cameos`);
      const names = await namesOf(path);
      assert.equal(
        names,
        NAMES.filter((name) => shardOf(name, count) === number),
      );
      for (const [name, code] of await codesOf(path)) assert.equal(code, codes.get(name), name);
      found.push(...names);
    }
    assert.equal(found.sort(), [...NAMES].sort());
  }
  assert.equal(readFileSync(at('1-of-1.cameos')), readFileSync(at('all.cameos')));
});

test('a share depends neither on other pictures nor on their order, and files are divided as archives are', async () => {
  const named = ['in/z10.png', 'in/bob/of 1999/face.png', 'in/z1.png', 'in/z2.png'];
  for (const number of [1, 2]) {
    const made = await works(['encode', ...named, '-o', `files${number}`, '--shard', `${number}/2`, '--json']);
    const { pictures, shard, files } = JSON.parse(made.stdout);
    const own = named.filter((path) => shardOf(path.replace(/.*\/|\.png/g, ''), 2) === number);
    assert.equal([pictures, shard], [own.length, `${number}/2`]);
    assert.equal(
      files.map(({ input }: { input: string }) => input),
      own,
    );
  }
});

test('a shard to which no picture belongs writes an archive without faces, again and again', async () => {
  const number = shardOf('z1', 50) === 1 ? 2 : 1;
  for (const before of [false, true]) {
    assert.is(existsSync(at('none.cameos')), before);
    const made = await works(['encode', 'in/z1.png', '--archive', 'none.cameos', '--shard', `${number}/50`]);
    assert.match(made.stderr, `no picture of 1 belongs to shard ${number}/50`);
    assert.match(made.stdout, /^0 faces -> none\.cameos {2}22 bytes\n$/);
    assert.equal(await namesOf('none.cameos'), []);
    assert.not(existsSync(at('none.cameos.part')));
  }
  const info = await works(['info', 'none.cameos']);
  assert.match(info.stdout, /archive of 0 faces/);
  // If pictures belong to it and none can be read, this is an error.
  writeFileSync(at('bad.png'), 'no picture');
  const failed = await run(['encode', 'bad.png', '--archive', 'bad.cameos', '--shard', '1/1']);
  assert.is(failed.code, 1);
  assert.match(failed.complaints.join('\n'), /bad\.cameos: not written, because there is no face/);
  assert.not(existsSync(at('bad.cameos')));
});

test('auto takes the shard from the variables of Slurm or Kubernetes', async () => {
  const auto = ['encode', 'in', '--archive', 'auto.cameos', '--shard', 'auto', ...BYTES];
  const three = readFileSync(at('2-of-3.cameos'));
  for (const variables of [
    { SLURM_ARRAY_TASK_ID: '6', SLURM_ARRAY_TASK_MIN: '5', SLURM_ARRAY_TASK_COUNT: '3' },
    { JOB_COMPLETION_INDEX: '1', CAMEO_SHARDS: '3' },
  ]) {
    await works(auto, variables);
    assert.equal(readFileSync(at('auto.cameos')), three);
  }
  const none = await run(auto);
  assert.is(none.code, 1);
  assert.match(none.complaints[0], /^cameo: --shard auto: neither SLURM_ARRAY_TASK_ID \(Slurm\) nor JOB_COMPLETION/);
});

test('a wrong shard, or one whose picture may be missing from a pipe, is refused before a device is opened', async () => {
  for (const [args, complaint] of [
    [['--archive', 'x.cameos', '--shard', '9/8'], /^cameo: --shard 9\/8: expected auto, or number\/count, as 2\/8/],
    [['-o', '-', '--shard', '1/8'], /^cameo: -o - and --shard 1\/8: a shard may have no picture/],
  ] as const) {
    const refused = await run(['encode', 'in/z1.png', ...args], { CAMEO_ADAPTER: 'no such adapter' });
    assert.is(refused.code, 1);
    assert.match(refused.complaints[0], complaint);
  }
  assert.not(existsSync(at('x.cameos')));
});

test('a key of the landmark file that names two pictures is refused, whichever shards they are in', async () => {
  const numbers = ['ann/1', 'eve/1'].map((name) => shardOf(name, 7));
  assert.is.not(numbers[0], numbers[1], 'the two pictures are in two shards');
  mkdirSync(at('in2', 'ann'), { recursive: true });
  mkdirSync(at('in2', 'eve'), { recursive: true });
  for (const name of ['ann', 'eve']) writeFileSync(at('in2', name, '1.png'), readFileSync(at('in', 'ann', '1.png')));
  const points = [30, 50, 66, 50, 48, 70, 34, 88, 62, 88];
  const face = [0, 2, 4, 6, 8].map((k) => points.slice(k, k + 2));
  writeFileSync(at('both.json'), JSON.stringify({ '1.png': [face] }));
  const args = ['encode', 'in2', '--archive', 'in2.cameos', '--landmarks', 'both.json', '--shard', `${numbers[0]}/7`];
  const refused = await run(args);
  assert.is(refused.code, 1);
  assert.match(refused.complaints[0], /the key "1\.png" of the landmark file names .* and /);
});

test('a shard that was killed goes on, and gives the archive of a shard that was not', async () => {
  const part = at('killed.cameos.part');
  const args = ['encode', 'in', '--archive', 'killed.cameos', '--shard', '1/2', ...BYTES];
  const begun = (): boolean => existsSync(part) && statSync(part).size > 20;
  const killed = await cameoUntil(begun, 'SIGKILL', args, { ...env, ...noArray }, folder);
  assert.is(killed.code, null, killed.stderr);
  assert.not(existsSync(at('killed.cameos')));
  // Another shard does not take its faces.
  writeFileSync(at('other.cameos.part'), readFileSync(part));
  const other = await run(['encode', 'in', '--archive', 'other.cameos', '--shard', '2/2', ...BYTES]);
  assert.is(other.code, 1);
  assert.match(other.complaints[0], /other\.cameos\.part holds .* that this run does not/);
  const last = await works(args);
  assert.match(last.stdout, /\(\d+ of them from an earlier run\)\n$/);
  assert.equal(readFileSync(at('killed.cameos')), readFileSync(at('1-of-2.cameos')));
  assert.not(existsSync(part));
});

test.run();
