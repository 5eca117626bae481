import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, CameoError } from '../../src/common/errors.js';
import { FACE_BYTES } from '../../src/data/faces/face-set.js';
import { FileError } from '../../src/data/files/atomic-file.js';
import { encodeWithin } from '../../src/evaluation/codecs/encode-within.js';
import { EncodingCache } from '../../src/evaluation/codecs/encoding-cache.js';
import { EncodingLog } from '../../src/evaluation/codecs/encoding-log.js';
import type { ForeignCodec } from '../../src/evaluation/codecs/foreign-codec.js';
import { rejection } from '../helpers/rejection.js';

const folders: string[] = [];
const folder = (): string => {
  folders.push(mkdtempSync(join(tmpdir(), 'cameo-encodings-')));
  return folders[folders.length - 1];
};
test.after(() => {
  for (const path of folders) rmSync(path, { recursive: true });
});

/** A codec that keeps the first bytes of a face, and makes no file for one that starts with 0. It counts its calls. */
function headCodec(version = '1'): ForeignCodec & { encoded: number; decoded: number } {
  const decode = (bytes: Uint8Array): Uint8Array => {
    const rgb = new Uint8Array(FACE_BYTES);
    rgb.set(bytes);
    return rgb;
  };
  return {
    name: 'head',
    title: 'Head',
    version,
    encoded: 0,
    decoded: 0,
    async encode(rgb, _width, _height, maxBytes) {
      this.encoded++;
      if (rgb[0] === 0) return null;
      const bytes = rgb.slice(0, maxBytes);
      return { bytes, size: maxBytes - 1, rgb: decode(bytes), settings: `täglich ${rgb[0]}` };
    },
    async decode(bytes) {
      this.decoded++;
      return decode(bytes);
    },
  };
}

const faceOf = (seed: number): Uint8Array => new Uint8Array(FACE_BYTES).fill(seed);
const faces = Array.from({ length: 9 }, (_, i) => faceOf(i));
const key = (seed: number): Uint8Array => new Uint8Array(32).fill(seed);

test('a face that was encoded once is only decoded the next time, also by another process', async () => {
  const path = join(folder(), 'made', 'when needed');
  const [first, second] = [headCodec(), headCodec()];
  const fresh = await encodeWithin(first, faces, 20, { cache: new EncodingCache(path) });
  const again = await encodeWithin(second, faces, 20, { cache: new EncodingCache(path) });
  assert.is(fresh[0], null);
  assert.is(fresh[3]?.settings, 'täglich 3');
  assert.is(fresh[3]?.size, 19);
  assert.equal(again, fresh);
  assert.equal([first.encoded, second.encoded, second.decoded], [9, 0, 8]);
});

test('another version, budget, picture or size is encoded separately', async () => {
  const cache = new EncodingCache(folder());
  const codec = headCodec();
  const request = { codec, rgb: faces[1], width: 96, height: 112, maxBytes: 20 };
  await cache.put(request, { bytes: Uint8Array.of(7), size: 1, settings: '' });
  assert.equal(await cache.get(request), { bytes: Uint8Array.of(7), size: 1, settings: '' });
  for (const other of [
    { codec: headCodec('2') },
    { codec: { ...codec, name: 'tail' } },
    { rgb: faces[2] },
    { width: 112, height: 96 },
    { maxBytes: 21 },
  ]) {
    assert.is(await cache.get({ ...request, ...other }), undefined);
  }
});

test('a log that is cut at any byte keeps the records before, and takes new ones', async () => {
  const path = join(folder(), 'log');
  const log = await EncodingLog.open(path);
  // The second value has the bytes of a record's start.
  const values = [Uint8Array.of(1, 2, 3), Uint8Array.from(Buffer.from('cmEC\x05\0\0\0')), Uint8Array.of()];
  for (const [i, value] of values.entries()) await log.put(key(i), value);
  const whole = readFileSync(path);
  const ends = [0, 1, 2].map((i) => values.slice(0, i + 1).reduce((sum, value) => sum + 48 + value.length, 0));
  assert.is(whole.length, ends[2]);
  for (let length = 0; length <= whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const cut = await EncodingLog.open(path);
    assert.is(cut.count, ends.filter((end) => end <= length).length, `${length} of ${whole.length} bytes`);
    await cut.put(key(9), Uint8Array.of(length));
    const next = await EncodingLog.open(path);
    assert.is(next.count, cut.count);
    assert.equal(next.get(key(9)), Uint8Array.of(length));
    if (length >= ends[1]) assert.equal(next.get(key(1)), values[1]);
  }
});

test('a damaged byte loses only its record', async () => {
  const path = join(folder(), 'log');
  const log = await EncodingLog.open(path);
  for (let i = 0; i < 3; i++) await log.put(key(i), Uint8Array.of(i, i, i, i));
  const whole = readFileSync(path);
  const record = whole.length / 3;
  for (let at = record; at < 2 * record; at++) {
    const damaged = Buffer.from(whole);
    damaged[at] ^= 0x81;
    writeFileSync(path, damaged);
    const read = await EncodingLog.open(path);
    assert.is(read.count, 2, `byte ${at}`);
    assert.equal(read.get(key(0)), Uint8Array.of(0, 0, 0, 0));
    assert.equal(read.get(key(2)), Uint8Array.of(2, 2, 2, 2));
  }
});

test('two processes may write to the same log at once', async () => {
  const path = join(folder(), 'log');
  const logs = [await EncodingLog.open(path), await EncodingLog.open(path)];
  const puts = Array.from({ length: 60 }, (_, i) => logs[i % 2].put(key(i), new Uint8Array(i * 10).fill(i)));
  await Promise.all(puts);
  const read = await EncodingLog.open(path);
  assert.is(read.count, 60);
  for (let i = 0; i < 60; i++) assert.equal(read.get(key(i)), new Uint8Array(i * 10).fill(i));
});

test('a cache that cannot be read or written gives an error', async () => {
  const path = folder();
  writeFileSync(join(path, 'file'), '');
  const { message } = await rejection(
    () => encodeWithin(headCodec(), faces, 20, { cache: new EncodingCache(join(path, 'file')) }),
    FileError,
  );
  assert.match(message, 'cannot make the folder');
  assert.match((await rejection(() => EncodingLog.open(path), FileError)).message, `${path}: it is a folder`);
});

test('progress gives the number of faces done, of all faces, and of faces from the cache', async () => {
  const cache = new EncodingCache(folder());
  await encodeWithin(headCodec(), faces.slice(2, 4), 20, { cache });
  const steps: number[][] = [];
  const onProgress = (...step: number[]) => steps.push(step);
  await encodeWithin(headCodec(), faces, 20, { cache, concurrency: 1, onProgress });
  assert.equal(
    steps.map(([done]) => done),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.ok(steps.every(([, total]) => total === 9));
  assert.equal(
    steps.map(([, , cached]) => cached),
    [0, 0, 1, 2, 2, 2, 2, 2, 2],
  );
  assert.equal(await encodeWithin(headCodec(), [], 20), []);
});

test('faces are read only when they are needed, with as many jobs at a time as asked for', async () => {
  let now = 0;
  let most = 0;
  const codec: ForeignCodec = {
    ...headCodec(),
    async encode(rgb) {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 5 * (3 - (rgb[0] % 3))));
      now--;
      return { bytes: rgb.slice(0, 1), size: 1, rgb, settings: '' };
    },
  };
  const source = { count: faces.length, face: async (index: number) => faces[index] };
  const encodings = await encodeWithin(codec, source, 20, { concurrency: 3 });
  assert.is(most, 3);
  assert.equal(
    encodings.map((encoding) => encoding?.bytes[0]),
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
  );
  for (const concurrency of [0, 1.5, Number.NaN]) {
    await rejection(() => encodeWithin(codec, faces, 20, { concurrency }), ArgumentError);
  }
});

test('a signal stops the work between faces, and the next run continues there', async () => {
  const path = folder();
  const stop = new AbortController();
  const codec = headCodec();
  const reason = new CameoError('stopped');
  const onProgress = (done: number) => {
    // The signal comes from outside after some time, like a key press.
    if (done === 4) setImmediate(() => stop.abort(reason));
  };
  const run = () =>
    encodeWithin(codec, faces, 20, { cache: new EncodingCache(path), signal: stop.signal, concurrency: 1, onProgress });
  assert.is(await rejection(run, CameoError), reason);
  const { encoded } = codec;
  assert.ok(encoded >= 4 && encoded < 9, `${encoded} faces were encoded`);
  await encodeWithin(codec, faces, 20, { cache: new EncodingCache(path) });
  assert.is(codec.encoded, 9);
});

test('after a failure no other face is encoded', async () => {
  let asked = 0;
  const codec: ForeignCodec = {
    ...headCodec(),
    async encode(rgb) {
      asked++;
      if (rgb[0] === 1) throw new CameoError('this face is impossible');
      return { bytes: rgb.slice(0, 1), size: 1, rgb, settings: '' };
    },
  };
  const { message } = await rejection(() => encodeWithin(codec, faces, 20, { concurrency: 2 }), CameoError);
  assert.is(message, 'this face is impossible');
  const before = asked;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.is(asked, before);
  assert.ok(asked < 9);
});

test.run();
