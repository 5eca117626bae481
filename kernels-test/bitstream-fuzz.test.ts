import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeLatents, encodeLatents } from '../src/codec/entropy/latent-stream.js';
import { bytesSource, FaceArchive } from '../src/codec/face-archive.js';
import { unpackFaceBare } from '../src/codec/face-bare.js';
import { unpackFaceFile } from '../src/codec/face-file.js';
import { FormatError, ModelMismatchError } from '../src/common/errors.js';
import { CounterRandom } from '../src/common/random.js';
import { fromHex, readVectors } from './bitstream-fixture.js';

const { model, vectors } = await readVectors();
const CODES = 40_000;
const BARE = 30_000;
const FILES = 30_000;
const ARCHIVES = 2_000;

/** Damage of every kind: bits, bytes, cuts, insertions, parts of another stream, noise. */
function damaged(random: CounterRandom, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  const noise = (length: number) => Uint8Array.from({ length }, () => random.int(256));
  const at = random.int(bytes.length + 1);
  const changed = bytes.slice();
  switch (random.int(7)) {
    case 0:
      for (let k = 1 + random.int(6); k > 0; k--) changed[random.int(bytes.length)] ^= 1 << random.int(8);
      return changed;
    case 1:
      for (let k = 1 + random.int(4); k > 0; k--) changed[random.int(bytes.length)] = random.int(256);
      return changed;
    case 2:
      return bytes.slice(0, at);
    case 3:
      return Uint8Array.of(...bytes.subarray(0, at), ...noise(1 + random.int(9)), ...bytes.subarray(at));
    case 4:
      return Uint8Array.of(...bytes.subarray(0, at), ...other.subarray(random.int(other.length)));
    case 5:
      // Long runs of the extremes drive the coder to the ends of its range.
      return changed.fill(255 * random.int(2), at);
    default:
      return random.int(2) === 0 ? noise(random.int(200)) : Uint8Array.of(...bytes.subarray(0, at), ...noise(40));
  }
}

/** Runs `decode` on damaged streams. What it returns is judged by `check`; it may only throw the codec's own errors. */
function fuzz(
  streams: readonly Uint8Array[],
  cases: number,
  decode: (bytes: Uint8Array, k: number) => Int16Array,
  check: (symbols: Int16Array, bytes: Uint8Array, k: number) => void,
): number {
  const random = new CounterRandom(cases, 9);
  let refused = 0;
  let slowest = 0;
  for (let n = 0; n < cases; n++) {
    const k = random.int(streams.length);
    const bytes = damaged(random, streams[k], streams[random.int(streams.length)]);
    const start = performance.now();
    let symbols: Int16Array | undefined;
    try {
      symbols = decode(bytes, k);
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof ModelMismatchError)) throw error;
      assert.ok(error.message.length < 200 && !error.message.includes('\n'));
      refused++;
    }
    slowest = Math.max(slowest, performance.now() - start);
    if (symbols) check(symbols, bytes, k);
  }
  assert.ok(slowest < 1000, `the slowest took ${slowest} ms`);
  return refused;
}

const bytesOf = (form: 'code' | 'bare' | 'file') => vectors.faces.map((face) => fromHex(face[form]));
const same = (symbols: Int16Array, k: number) => symbols.every((s, i) => s === vectors.faces[k].symbols[i]);

test(`${CODES} damaged codes are refused, or are the code of what they give`, () => {
  const step = (k: number) => vectors.faces[k].t;
  const refused = fuzz(
    bytesOf('code'),
    CODES,
    (bytes, k) => decodeLatents(bytes, step(k), model),
    (symbols, bytes, k) => assert.ok(Buffer.compare(encodeLatents(symbols, step(k), model), bytes) === 0),
  );
  assert.ok(refused > CODES / 5 && refused < CODES, `${refused} refused`);
});

test(`${BARE} damaged bare faces are refused, but for what 16 bits of checksum may miss`, () => {
  let missed = 0;
  const bare = bytesOf('bare');
  const refused = fuzz(
    bare,
    BARE,
    (bytes) => unpackFaceBare(bytes, model).symbols,
    (_, bytes) => {
      if (!bare.some((sound) => Buffer.compare(sound, bytes) === 0)) missed++;
    },
  );
  assert.ok(missed < 6 && refused > 0.9 * BARE, `${missed} missed, ${refused} refused`);
});

test(`${FILES} damaged files are refused`, () => {
  const files = bytesOf('file');
  const refused = fuzz(
    files,
    FILES,
    (bytes) => unpackFaceFile(bytes, model).symbols,
    (_, bytes) => assert.ok(files.some((sound) => Buffer.compare(sound, bytes) === 0)),
  );
  assert.ok(refused > 0.9 * FILES, `${refused} refused`);
});

test(`${ARCHIVES} damaged archives give the faces they hold, or refuse them`, async () => {
  const random = new CounterRandom(5);
  const sound = fromHex(vectors.archive);
  let given = 0;
  let missed = 0;
  for (let n = 0; n < ARCHIVES; n++) {
    try {
      const archive = await FaceArchive.open(bytesSource(damaged(random, sound, sound)));
      for (let trial = 0; trial < 3; trial++) {
        const k = random.int(archive.count);
        await archive.name(k);
        const { symbols } = await archive.face(k, model);
        given++;
        if (!same(symbols, k)) missed++;
      }
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof ModelMismatchError)) throw error;
    }
  }
  assert.ok(given > ARCHIVES / 4 && missed < 3, `${given} given, ${missed} of them wrong`);
});

test.run();
