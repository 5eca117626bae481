// adapters: once
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { packFaceBare, readBareHeader, unpackFaceBare } from '../../src/codec/container/face-bare.js';
import { type DecodedFace, decodeFace, encodeFace, faceByte } from '../../src/codec/container/face-code.js';
import { packFaceFile, readFaceFileHeader, unpackFaceFile } from '../../src/codec/container/face-file.js';
import { FaceJournal } from '../../src/codec/container/face-journal.js';
import { TABLE_ENTRIES } from '../../src/codec/detail/detail-contexts.js';
import { withDetail } from '../../src/codec/detail/detail-search.js';
import {
  chooseDetail,
  DECISIONS,
  DETAIL_BLOCKS,
  detailStep,
  encodeDetail,
} from '../../src/codec/detail/detail-stream.js';
import { CHANCES, DETAIL_TABLES } from '../../src/codec/detail/detail-tables.js';
import { addDetail, detailCoefficients, RANKS } from '../../src/codec/detail/detail-transform.js';
import { RangeEncoder } from '../../src/codec/entropy/range-coder.js';
import { ArgumentError, FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { rejection } from '../helpers/rejection.js';
import { fromHex, packJournal } from './bitstream-fixture.js';
import { madeUpDetail, readDetailVectors } from './detail-fixture.js';

const test = suite('detail layer');
const { model, vectors, faces, plain } = await readDetailVectors();
const SIZE = { width: 96, height: 112 };
const message = async (run: () => unknown, type: new (text: string) => Error) => (await rejection(run, type)).message;

/** A smooth picture, and one with noise on it. */
function pictures(seed: number): { base: Uint8Array; original: Uint8Array } {
  const random = new CounterRandom(seed, 4);
  const base = Uint8Array.from({ length: 3 * 96 * 112 }, (_, k) => 40 + (k % 150));
  return { base, original: base.map((level) => level + random.int(60) - 20) };
}

test('the tables have their sizes', () => {
  assert.is(DETAIL_TABLES.frequency.length, 3 * RANKS);
  assert.is(DETAIL_TABLES.position.length, 2 * DETAIL_BLOCKS);
  assert.is(DETAIL_TABLES.odds.length, DECISIONS * TABLE_ENTRIES);
  CHANCES.forEach((chance, k) => {
    assert.ok(Math.abs(chance - Math.max(16, 65536 / (1 + Math.exp((128 - k) / 16)))) < 0.51, `chance ${k}: ${chance}`);
  });
});

test('the page has the same integers', () => {
  const page = readFileSync(new URL('../../docs/bitstream.md', import.meta.url), 'utf8');
  const [, frequency, position, odds, chances] =
    /^FREQUENCY\n([\s\S]*?)POSITION\n([\s\S]*?)ODDS\n([\s\S]*?)CHANCES\n([\s\S]*?)```/m.exec(page)!;
  const bytes = (text: string): Int8Array => new Int8Array(Buffer.from(text.replace(/\s/g, ''), 'base64'));
  assert.equal(bytes(frequency), DETAIL_TABLES.frequency);
  assert.equal(bytes(position), DETAIL_TABLES.position);
  assert.equal(bytes(odds), DETAIL_TABLES.odds);
  assert.equal(
    chances
      .trim()
      .split(/[\s,]+/)
      .map(Number),
    CHANCES,
  );
});

test('frozen faces with detail layers decode, and encode to the same bytes', async () => {
  vectors.faces.forEach(({ code, bare, file }, k) => {
    const face = faces[k];
    assert.equal(encodeFace(face, model), fromHex(code));
    assert.equal(decodeFace(fromHex(code), faceByte(face), model), face);
    assert.equal(packFaceBare(face, model), fromHex(bare));
    assert.equal(unpackFaceBare(fromHex(bare), model), face);
    assert.equal(packFaceFile(face, model), fromHex(file));
    assert.equal(unpackFaceFile(fromHex(file), model), face);
  });
  const named = [{ ...plain, name: 'plain' }, ...faces.map((face, k) => ({ ...face, name: `face ${k}` }))];
  assert.equal(packArchive(named, model), fromHex(vectors.archive));
  const archive = await FaceArchive.open(bytesSource(fromHex(vectors.archive)));
  for (const [k, { name, ...face }] of named.entries()) {
    assert.is(await archive.name(k), name);
    assert.equal(await archive.face(k, model), face);
    assert.is((await archive.entry(k)).detailed, k > 0);
  }
  const journal = await FaceJournal.open(bytesSource(packJournal(named, model)));
  assert.equal(await journal.face(3, model), faces[2]);
});

test('headers say that there is a layer, in a version of their own', async () => {
  const [bare, file] = [packFaceBare(faces[0], model), packFaceFile(faces[0], model)];
  assert.is(readBareHeader(bare).version, 2);
  assert.is(readBareHeader(bare).detailed, true);
  assert.is(readFaceFileHeader(file).version, 2);
  assert.is(readFaceFileHeader(packFaceFile(plain, model)).version, 1);
  // A header that says two things is refused, whichever of the two is wrong.
  for (const [bytes, at, value] of [
    [bare, 0, 0x10],
    [bare, 1, bare[1] & ~64],
    [file, 4, 1],
    [file, 5, file[5] & ~64],
  ] as const) {
    const changed = bytes.map((byte, k) => (k === at ? value : byte));
    const unpack = () => (bytes === bare ? unpackFaceBare : unpackFaceFile)(changed, model);
    assert.match(await message(unpack, FormatError), 'bit 6');
  }
  const third = file.map((byte, k) => (k === 4 ? 3 : byte));
  assert.match(await message(() => unpackFaceFile(third, model), FormatError), 'version 3 is not supported');
});

test('random layers come back exactly, and damaged ones are refused', async () => {
  const random = new CounterRandom(8, 2);
  for (let k = 0; k < 12; k++) {
    const grey = k % 3 === 0;
    const face: DecodedFace = { ...plain, grey, detail: madeUpDetail(100 + k, random.int(64), grey, 0.03 * k) };
    const file = packFaceFile(face, model);
    assert.equal(unpackFaceFile(file, model), face);
    for (let n = 0; n < 20; n++) {
      const changed = file.slice();
      changed[random.int(file.length)] ^= 1 << random.int(8);
      let refused: unknown;
      try {
        unpackFaceFile(changed, model);
      } catch (error) {
        refused = error;
      }
      assert.ok(
        refused instanceof Error && /FormatError|ModelMismatchError/.test(refused.constructor.name),
        `${refused}`,
      );
    }
    await rejection(() => unpackFaceFile(file.subarray(0, file.length - 1), model), FormatError);
  }
});

test('layers that no stream can hold are refused', async () => {
  const { step, symbols } = madeUpDetail(1, 20, false, 0.1);
  const encode =
    (detail: { step: number; symbols: Int16Array }, grey = false) =>
    () =>
      encodeDetail(new RangeEncoder(), detail, grey);
  assert.match(
    await message(encode({ step: 64, symbols }), ArgumentError),
    'step 64; expected an integer from 0 to 63',
  );
  assert.match(await message(encode({ step, symbols }, true), ArgumentError), '32256 symbols; expected 10752');
});

test('the transform is orthonormal: a fine layer restores the original', () => {
  const { base, original } = pictures(1);
  const coefficients = detailCoefficients(original, base, SIZE, 3);
  const energy = coefficients.reduce((sum, value) => sum + value * value, 0);
  const error = original.reduce((sum, level, k) => sum + (level - base[k]) ** 2, 0);
  assert.ok(Math.abs(energy / error - 1) < 1e-9, `${energy} of ${error}`);
  const symbols = Int16Array.from(coefficients, (value) => Math.round(value / 0.01));
  assert.equal(addDetail(base, symbols, 0.01, SIZE), original);
  assert.equal(addDetail(base, new Int16Array(symbols.length), 4, SIZE), base);
});

test('one coefficient adds its basis function, as the page describes it', () => {
  const symbols = new Int16Array(RANKS * DETAIL_BLOCKS);
  const block = 12 * 3 + 5; // rows 24 to 31, columns 40 to 47
  symbols[4 * DETAIL_BLOCKS + block] = 7; // rank 4: frequencies 1 along columns and 1 along rows
  const base = new Uint8Array(3 * 96 * 112).fill(100);
  const added = addDetail(base, symbols, detailStep(8), SIZE);
  const wave = (i: number): number => 0.5 * Math.cos((Math.PI * (2 * i + 1)) / 16);
  for (let y = 0; y < 112; y++) {
    for (let x = 0; x < 96; x++) {
      const inside = y >= 24 && y < 32 && x >= 40 && x < 48;
      const expected = inside ? 100 + (7 * 8 * wave(y - 24) * wave(x - 40)) / Math.sqrt(3) : 100;
      const at = 3 * (96 * y + x);
      for (let c = 0; c < 3; c++) assert.is(added[at + c], Math.floor(expected + 0.5));
    }
  }
});

test('estimated bits are about those of the code, and the error is that of the symbols', () => {
  const { base, original } = pictures(2);
  const coefficients = detailCoefficients(original, base, SIZE, 3);
  const chosen = chooseDetail(coefficients, 24, 0.14);
  const coder = new RangeEncoder();
  encodeDetail(coder, chosen, false);
  const { length } = coder.finish();
  // Ranks of zeros at the end of a plane count, but are not coded.
  assert.ok(
    8 * length < chosen.bits + 9 && 8 * length > 0.99 * chosen.bits,
    `${8 * length} bits, ${chosen.bits} expected`,
  );
  const step = detailStep(24);
  const error = coefficients.reduce((sum, value, k) => sum + (value - step * chosen.symbols[k]) ** 2, 0);
  assert.ok(Math.abs(error / chosen.error - 1) < 1e-9);
});

test('a layer keeps to the budget, uses it up, and gets better with more bytes', () => {
  const { base, original } = pictures(3);
  let last = Infinity;
  for (const maxBytes of [300, 500, 900, 2000]) {
    const found = withDetail(original, base, plain, { latents: model, maxBytes, size: SIZE })!;
    assert.ok(found.code.length <= maxBytes && found.code.length > maxBytes - 8, `${found.code.length} of ${maxBytes}`);
    assert.ok(found.error < last);
    last = found.error;
  }
  assert.is(withDetail(original, base, plain, { latents: model, maxBytes: 6, size: SIZE }), undefined, 'no room');
  assert.is(withDetail(base, base, plain, { latents: model, maxBytes: 900, size: SIZE }), undefined, 'nothing to add');
});

test.run();
