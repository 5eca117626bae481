// process: own
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { ArgumentError, CameoError, FormatError, ModelMismatchError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { FileSource } from '../../src/data/archives/file-source.js';
import { mergeArchives } from '../../src/data/archives/merge-archives.js';
import { shardOf } from '../../src/data/archives/shards.js';
import { temporaryFolder } from '../cli/cli-fixture.js';
import { packJournal, readVectors } from '../codec/bitstream-fixture.js';
import { rejection } from '../helpers/rejection.js';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const { model, vectors } = await readVectors();
const faceOf = (k: number, name: string) => {
  const { qIndex, grey, symbols } = vectors.faces[k % vectors.faces.length];
  return { qIndex, grey, symbols: Int16Array.from(symbols), name };
};
const packed = (names: readonly string[], first = 0, of = model): Uint8Array =>
  packArchive(
    names.map((name, k) => faceOf(first + k, name)),
    of,
  );

/** Writes an archive of faces with these names. */
function write(path: string, names: readonly string[], first = 0): string {
  writeFileSync(at(path), packed(names, first));
  return at(path);
}

const merge = (paths: readonly string[], more: { shards?: number; signal?: AbortSignal } = {}) =>
  mergeArchives(paths, at('all.cameos'), { model, ...more });

/** Asserts that a merge is refused, writes nothing and leaves nothing behind. @returns the message */
async function refused<E extends Error>(
  paths: readonly string[],
  type: new (...args: never[]) => E,
  more: { shards?: number } = {},
): Promise<string> {
  const before = readdirSync(folder);
  const { message } = await rejection(() => merge(paths, more), type as new (...args: unknown[]) => E);
  assert.equal(readdirSync(folder), before);
  return message;
}

test('faces come in the order of a folder, and everything else is as if they had been packed together', async () => {
  // Faces by their place in the order, with the extension that listed files have: "face 2.png" is before "face.png".
  const names = ['a/1', 'a/2', 'a/10', 'b', 'b c/x/y', 'b c/face 2', 'b c/face', 'Jürgen', 'z'];
  const order = ['a/1', 'a/2', 'a/10', 'b c/face 2', 'b c/face', 'b c/x/y', 'b', 'Jürgen', 'z'];
  assert.equal([...order].sort(), [...names].sort());
  const all = packArchive(
    order.map((name, k) => faceOf(k, name)),
    model,
  );
  const random = new CounterRandom(5);
  for (let round = 0; round < 10; round++) {
    const shares: number[][] = [[], [], [], []];
    for (const k of order.keys()) shares[random.int(3)].push(k);
    const paths = shares.map((share, i) => {
      const path = at(`part${i}.cameos`);
      const faces = share.map((k) => faceOf(k, order[k]));
      writeFileSync(path, packArchive(faces, model));
      return path;
    });
    const result = await merge(round % 2 ? paths : paths.reverse());
    assert.equal(readFileSync(at('all.cameos')), Buffer.from(all));
    assert.equal([result.faces, result.bytes], [order.length, all.length]);
    assert.is(
      result.from.reduce((sum, { faces }) => sum + faces, 0),
      order.length,
    );
  }
});

test('archives that are not in the order of a folder keep their own order', async () => {
  await merge([write('a.cameos', ['z', 'a']), write('b.cameos', ['m', 'b'], 2)]);
  const archive = await FaceArchive.open(bytesSource(readFileSync(at('all.cameos'))));
  const names = await Promise.all([0, 1, 2, 3].map((k) => archive.name(k)));
  assert.equal(names, ['m', 'b', 'z', 'a']);
});

test('what cannot be joined is refused by name, and the existing archive stays', async () => {
  const a = write('a.cameos', ['ann', 'bob']);
  const b = write('b.cameos', ['cid', 'dan', 'eve']);
  await merge([a, b]);
  const before = readFileSync(at('all.cameos'));
  const sound = readFileSync(b);
  const changed = (name: string, change: (bytes: Buffer) => Uint8Array): string => {
    writeFileSync(at(name), change(Buffer.from(sound)));
    return at(name);
  };
  const flipped = (name: string, offset: number) =>
    changed(name, (bytes) => {
      bytes[offset] ^= 1;
      return bytes;
    });

  const twice = await refused([a, b, write('c.cameos', ['fay', 'bob'])], ArgumentError);
  assert.is(twice, `the name "bob" is in ${a} (face 1) and in ${at('c.cameos')} (face 1); expected each name once`);
  write('c.cameos', ['Ju\u0308rgen', 'x', 'J\u00fcrgen']);
  assert.match(
    await refused([a, at('c.cameos')], ArgumentError),
    /is in .*c\.cameos \(face 0\) and in .*c\.cameos \(face 2\)/,
  );
  assert.match(
    await refused([a, b, at('none.cameos')], CameoError),
    `${at('none.cameos')}: cannot be read: no such file`,
  );
  assert.match(await refused([a, a], ArgumentError), `${a}: is the same file as ${a}; expected each archive once`);
  assert.match(await refused([a, at('all.cameos')], ArgumentError), 'all.cameos is an input');

  assert.match(await refused([a, flipped('d.cameos', 11)], FormatError), `${at('d.cameos')}: checksum over the header`);
  assert.match(
    await refused([a, flipped('d.cameos', 4)], FormatError),
    `${at('d.cameos')}: format version 0 is not supp`,
  );
  assert.match(await refused([a, flipped('d.cameos', 0)], FormatError), `${at('d.cameos')}: not an archive of faces`);
  assert.match(
    await refused([a, flipped('d.cameos', 22 + 13 + 5)], FormatError),
    `${at('d.cameos')}, face 1: checksum`,
  );
  assert.match(
    await refused([a, flipped('d.cameos', 22 + 3 * 13)], FormatError),
    `${at('d.cameos')}: face 0: checksum over`,
  );
  assert.match(await refused([a, flipped('d.cameos', sound.length - 1)], FormatError), `${at('d.cameos')}, face 2: `);
  const cut = (length: number) => changed('d.cameos', (bytes) => bytes.subarray(0, length));
  assert.match(
    await refused([a, cut(sound.length - 1)], FormatError),
    `${at('d.cameos')}: damaged or cut off: its faces`,
  );
  assert.match(await refused([a, cut(40)], FormatError), `${at('d.cameos')}: truncated: `);
  assert.match(await refused([a, cut(0)], FormatError), `${at('d.cameos')}: not an archive of faces`);
  const longer = changed('d.cameos', (bytes) => Buffer.concat([bytes, Buffer.of(0)]));
  assert.match(await refused([a, longer], FormatError), 'damaged or cut off: its faces end at byte');

  writeFileSync(at('d.cameos'), packArchive([{ ...faceOf(0, ''), name: undefined }], model));
  assert.match(await refused([a, at('d.cameos')], ArgumentError), `${at('d.cameos')}: its faces have no names`);
  writeFileSync(at('d.cameos.part'), packJournal([faceOf(0, 'gus')], model));
  assert.match(
    await refused([a, at('d.cameos.part')], FormatError),
    `${at('d.cameos.part')}: the archive is unfinished`,
  );
  assert.equal(readFileSync(at('all.cameos')), before);
  assert.match(await refused([write('c.cameos', []), write('e.cameos', [])], ArgumentError), 'there is no face');
});

test('archives of two models, or of another than the one loaded, are refused by name', async () => {
  const a = write('a.cameos', ['ann']);
  const other = new LatentModel({ ...model.fields, deadZone: Int32Array.from(vectors.dead.deadZone) });
  assert.is.not(other.idText, model.idText);
  writeFileSync(at('other.cameos'), packed(['bob'], 0, other));
  const two = `${at('other.cameos')}: written by model ${other.idText}; ${a} by ${model.idText}: expected archives of one`;
  assert.match(await refused([a, at('other.cameos')], ModelMismatchError), two);
  assert.match(
    await refused([at('other.cameos')], ModelMismatchError),
    `${at('other.cameos')}: written by model ${other.idText}; the model loaded is ${model.idText}`,
  );
});

test('with the number of shards, missing, repeated and foreign shards are named', async () => {
  const COUNT = 5;
  const names = Array.from({ length: 40 }, (_, k) => `photo ${k + 1}`);
  // A photograph with two faces: both are in the shard of the photograph.
  const faces = (name: string) => (name === 'photo 7' ? ['photo 7-1', 'photo 7-2'] : [name]);
  const paths = Array.from({ length: COUNT }, (_, k) =>
    write(`${k + 1}.cameos`, names.filter((name) => shardOf(name, COUNT) === k + 1).flatMap(faces)),
  );
  const { faces: count } = await merge(paths, { shards: COUNT });
  assert.is(count, 41);
  await merge([...paths].reverse(), { shards: COUNT });
  const missing = await refused(
    paths.filter((_, k) => k !== 2),
    ArgumentError,
    { shards: COUNT },
  );
  assert.is(missing, '4 archives for 5 shards: expected one for each shard; no face is of shard 3');
  assert.match(
    await refused(paths, ArgumentError, { shards: 6 }),
    /"photo \d+" belongs to shard \d\/6, the faces before/,
  );
  const of = names.filter((name) => shardOf(name, COUNT) === 1);
  const halves = [write('half1.cameos', of.slice(0, 3)), write('half2.cameos', of.slice(3))];
  assert.match(
    await refused([...halves, ...paths.slice(1)], ArgumentError, { shards: COUNT }),
    /half\d\.cameos are both of shard 1\/5; expected each shard once/,
  );
  // Empty archives count, for a shard may have no picture.
  const few = [write('half1.cameos', of), write('none.cameos', []), write('none2.cameos', [])];
  await merge(few, { shards: 3 }).catch(() => {});
  assert.match(
    await refused(few, ArgumentError, { shards: COUNT }),
    '3 archives for 5 shards: expected one for each shard; no face is of shard 2, 3, 4, 5, and 2 of the archives have no faces',
  );
});

test('a merge that is stopped leaves nothing', async () => {
  const a = write('a.cameos', ['ann', 'bob']);
  const before = readdirSync(folder);
  const stop = new AbortController();
  const onProgress = () => stop.abort();
  const options = { model, signal: stop.signal, onProgress };
  await rejection(() => mergeArchives([a], at('stopped.cameos'), options), DOMException);
  assert.equal(readdirSync(folder), before);
});

test('what a merge that was killed has left is removed by the next', async () => {
  const a = write('a.cameos', ['ann', 'bob']);
  writeFileSync(at('.all.cameos.0123456789ab.tmp'), 'half of it');
  await merge([a]);
  assert.not(existsSync(at('.all.cameos.0123456789ab.tmp')));
  assert.equal(readFileSync(at('all.cameos')), readFileSync(a));
});

const FUZZED = 600;

test(`${FUZZED} damaged archives are refused by name, or give an archive whose faces can all be read`, async () => {
  const random = new CounterRandom(11);
  const a = write('a.cameos', ['ann', 'bob', 'cid']);
  const sound = Buffer.from(packed(['dan', 'eve', 'fay', 'gus', 'hal']));
  const outcomes = { refused: 0, merged: 0 };
  for (let round = 0; round < FUZZED; round++) {
    const bytes = damaged(random, sound);
    writeFileSync(at('fuzz.cameos'), bytes);
    const path = at('fuzz-all.cameos');
    try {
      const { faces } = await mergeArchives([a, at('fuzz.cameos')], path, { model });
      outcomes.merged++;
      const archive = await FaceArchive.open(bytesSource(readFileSync(path)));
      assert.is(archive.count, faces);
      for (let k = 0; k < faces; k++) {
        assert.type(await archive.name(k), 'string');
        await archive.face(k, model);
      }
    } catch (error) {
      assert.instance(error, CameoError, `round ${round}: ${(error as Error).stack}`);
      assert.match((error as Error).message, at('fuzz.cameos'));
      outcomes.refused++;
    }
  }
  assert.ok(outcomes.refused > 0.9 * FUZZED && existsSync(at('fuzz.cameos')), JSON.stringify(outcomes));
  assert.not(readdirSync(folder).some((name) => /\.tmp$|\.lock$/.test(name)));
});

/** An archive with some bytes changed, removed, repeated or added. */
function damaged(random: CounterRandom, sound: Buffer): Buffer {
  let bytes = Buffer.from(sound);
  for (let change = 0; change <= random.int(3); change++) {
    const place = random.int(bytes.length || 1);
    const kind = random.int(4);
    if (kind === 0) bytes[place] = random.int(256);
    else if (kind === 1) bytes = bytes.subarray(0, place);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + 1 + random.int(20))]);
    else
      bytes = Buffer.concat([
        bytes.subarray(0, place),
        sound.subarray(random.int(sound.length)),
        bytes.subarray(place),
      ]);
  }
  return bytes;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const MIB = 2 ** 20;

test('archives are read in small parts, and a large one takes little memory', async () => {
  const LARGE = 8000;
  // The names are long, so that few faces make a large archive.
  const name = (k: number) => `${'x'.repeat(4000)}${String(k).padStart(6, '0')}`;
  for (const part of [0, 1]) {
    write(
      `large${part}.cameos`,
      Array.from({ length: LARGE }, (_, k) => name(2 * k + part)),
    );
  }
  const sizes = [0, 1].map((part) => readFileSync(at(`large${part}.cameos`)).length);
  assert.ok(Math.min(...sizes) > 30 * MIB);
  const used = (): { heap: number; rss: number } => {
    collect();
    const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
    return { heap: heapUsed + arrayBuffers, rss };
  };
  const { read } = FileSource.prototype;
  let longest = 0;
  let [most, reads] = [0, 0];
  const before = used();
  FileSource.prototype.read = function (offset, length) {
    longest = Math.max(longest, length);
    if (reads++ % 100 === 0) most = Math.max(most, used().heap);
    return read.call(this, offset, length);
  };
  try {
    const { faces } = await merge([at('large0.cameos'), at('large1.cameos')]);
    assert.is(faces, 2 * LARGE);
  } finally {
    FileSource.prototype.read = read;
  }
  const heap = (most - before.heap) / MIB;
  const rss = (used().rss - before.rss) / MIB;
  assert.ok(longest <= MIB, `a read of ${longest} bytes`);
  assert.ok(heap < 16, `the heap has grown by ${heap.toFixed(1)} MiB`);
  console.log(`grown by ${heap.toFixed(1)} MiB of heap, ${rss.toFixed(1)} MiB in all, in ${reads} reads`);
});

test.run();
