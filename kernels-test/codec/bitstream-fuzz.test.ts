import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { unpackFaceBare } from '../../src/codec/container/face-bare.js';
import { decodeFace, encodeFace, faceByte } from '../../src/codec/container/face-code.js';
import { unpackFaceFile } from '../../src/codec/container/face-file.js';
import { FaceJournal } from '../../src/codec/container/face-journal.js';
import { crc32 } from '../../src/codec/crc32.js';
import { decodeLatents, encodeLatents } from '../../src/codec/entropy/latent-stream.js';
import { FormatError, ModelMismatchError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { cpuMs } from '../helpers/cpu-time.js';
import { rejection } from '../helpers/rejection.js';
import { THOROUGH } from '../helpers/thorough.js';
import { fromHex, packJournal, readVectors } from './bitstream-fixture.js';
import { readDetailVectors } from './detail-fixture.js';

const { model, vectors } = await readVectors();
const detailed = await readDetailVectors();
const CODES = 40_000;
const BARE = 30_000;
const FILES = 30_000;
const DETAILED = THOROUGH ? 5_000 : 250;
const ARCHIVES = 2_000;
const JOURNALS = 2_000;

/** Returns damaged copies of every kind: flipped bits, changed bytes, cuts, insertions, parts of another stream, noise. */
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

/** Runs `decode` on damaged streams. It may throw only the codec's own errors; `check` judges what it returns. */
function fuzz<T>(
  streams: readonly Uint8Array[],
  cases: number,
  decode: (bytes: Uint8Array, k: number) => T,
  check: (decoded: T, bytes: Uint8Array, k: number) => void,
): number {
  const random = new CounterRandom(cases, 9);
  let refused = 0;
  let slowest = 0;
  for (let n = 0; n < cases; n++) {
    const k = random.int(streams.length);
    const bytes = damaged(random, streams[k], streams[random.int(streams.length)]);
    const start = cpuMs();
    let decoded: T | undefined;
    try {
      decoded = decode(bytes, k);
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof ModelMismatchError)) throw error;
      assert.ok(error.message.length < 200 && !error.message.includes('\n'));
      refused++;
    }
    slowest = Math.max(slowest, cpuMs() - start);
    if (decoded) check(decoded, bytes, k);
  }
  assert.ok(slowest < 1000, `the slowest took ${slowest} ms`);
  return refused;
}

const bytesOf = (form: 'code' | 'bare' | 'file') => vectors.faces.map((face) => fromHex(face[form]));
const same = (symbols: Int16Array, k: number) => symbols.every((s, i) => s === vectors.faces[k].symbols[i]);

test(`${CODES} damaged codes are refused, or decode to symbols whose code they are`, () => {
  const step = (k: number) => vectors.faces[k].qIndex;
  const refused = fuzz(
    bytesOf('code'),
    CODES,
    (bytes, k) => decodeLatents(bytes, step(k), model),
    (symbols, bytes, k) => assert.ok(Buffer.compare(encodeLatents(symbols, step(k), model), bytes) === 0),
  );
  assert.ok(refused > CODES / 5 && refused < CODES, `${refused} refused`);
});

test(`${BARE} damaged bare faces are refused, except for the few that a checksum of 16 bits may miss`, () => {
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

test(`${DETAILED} damaged faces with a detail layer, of each kind, are refused, or decode to what their code says`, () => {
  const all = detailed.vectors.faces;
  const forms = (form: 'code' | 'bare' | 'file') => all.map((face) => fromHex(face[form]));
  const byte = (k: number) => faceByte(detailed.faces[k]);
  const refused = fuzz(
    forms('code'),
    DETAILED,
    (bytes, k) => decodeFace(bytes, byte(k), model),
    (face, bytes) => assert.ok(Buffer.compare(encodeFace(face, model), bytes) === 0),
  );
  assert.ok(refused > DETAILED / 5 && refused < DETAILED, `${refused} refused`);
  for (const [form, unpack] of [
    ['bare', unpackFaceBare],
    ['file', unpackFaceFile],
  ] as const) {
    const sound = forms(form);
    let missed = 0;
    fuzz(
      sound,
      DETAILED,
      (bytes) => unpack(bytes, model),
      (_, bytes) => {
        if (!sound.some((one) => Buffer.compare(one, bytes) === 0)) missed++;
      },
    );
    assert.ok(missed <= (form === 'bare' ? 2 : 0), `${form}: ${missed} missed`);
  }
});

test(`${ARCHIVES} damaged archives give only faces that they hold, or refuse them`, async () => {
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

test(`${JOURNALS} damaged unfinished archives give their intact faces, or are refused`, async () => {
  const random = new CounterRandom(6);
  const faces = vectors.faces.map(({ symbols, qIndex, grey }, k) => ({
    symbols: Int16Array.from(symbols),
    qIndex,
    grey,
    name: `face ${k}`,
  }));
  const sound = packJournal(faces, model);
  let [given, refused] = [0, 0];
  let slowest = 0;
  for (let n = 0; n < JOURNALS; n++) {
    // The archive may be damaged twice, with gaps between faces and faces that come twice.
    let bytes = damaged(random, sound, sound);
    if (random.int(3) === 0) bytes = damaged(random, bytes.length > 0 ? bytes : sound, sound);
    const start = cpuMs();
    let journal: FaceJournal;
    try {
      journal = await FaceJournal.open(bytesSource(bytes));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      assert.ok(error.message.length < 200 && !error.message.includes('\n'));
      refused++;
      continue;
    }
    const { intact, damage, count } = journal;
    assert.ok(intact.faces <= count && intact.end <= bytes.length);
    const lost = damage.reduce((sum, one) => sum + one.bytes, 0);
    assert.ok(lost < bytes.length, `${lost} damaged bytes of ${bytes.length}`);
    for (let k = 0; k < count; k++) {
      const name = await journal.name(k);
      const { symbols, qIndex, grey } = await journal.face(k, model);
      const original = faces.find((face) => face.name === name);
      assert.equal({ symbols, qIndex, grey, name }, original);
      if (k < intact.faces) assert.is(name, `face ${k}`);
      given++;
    }
    if (count === 0) continue;
    if (intact.faces === count) {
      const pieces: Uint8Array[] = [];
      for await (const piece of journal.archive()) pieces.push(piece);
      assert.equal(Buffer.concat(pieces), Buffer.from(packArchive(faces.slice(0, count), model)));
    } else await rejection(() => journal.archive().next(), FormatError);
    slowest = Math.max(slowest, cpuMs() - start);
  }
  assert.ok(slowest < 1000, `the slowest took ${slowest} ms`);
  assert.ok(given > 2 * JOURNALS && refused > JOURNALS / 50, `${given} given, ${refused} refused`);
});

test('an unfinished archive that has only beginnings of faces is read quickly', async () => {
  const sound = packJournal(
    [{ ...vectors.faces[0], symbols: Int16Array.from(vectors.faces[0].symbols), name: 'a' }],
    model,
  );
  const header = sound.subarray(0, 20);
  // Each header claims a face of 65,535 bytes, so that the following headers would be its code.
  const fields = sound.slice(20, 40);
  fields.set([255, 255], 14);
  const check = new Uint8Array(new Uint32Array([crc32(fields)]).buffer);
  const beginnings = Array.from({ length: 100_000 }, () => [fields, check]).flat();
  const bytes = new Uint8Array(Buffer.concat([header, ...beginnings]));
  const start = cpuMs();
  const journal = await FaceJournal.open(bytesSource(bytes));
  assert.is(journal.count, 0);
  assert.ok(cpuMs() - start < 5000, `it took ${cpuMs() - start} ms`);
});

test.run();
