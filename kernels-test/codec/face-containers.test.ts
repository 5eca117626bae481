import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ENCODER_VERSION } from '../../src/codec/byte-budget.js';
import { type ByteSource, bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { BARE_HEADER_BYTES, packFaceBare, unpackFaceBare } from '../../src/codec/container/face-bare.js';
import {
  FILE_HEADER_BYTES,
  isFaceFile,
  packFaceFile,
  readFaceFileHeader,
  unpackFaceFile,
} from '../../src/codec/container/face-file.js';
import { FaceJournal, openFaces } from '../../src/codec/container/face-journal.js';
import { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { encodeLatents } from '../../src/codec/entropy/latent-stream.js';
import { ArgumentError, FormatError, ModelMismatchError } from '../../src/common/errors.js';
import { fitLatentModel } from '../../src/training/entropy/fit-latent-model.js';
import { rejection } from '../helpers/rejection.js';
import { packJournal } from './bitstream-fixture.js';
import { symbolsAt, syntheticFaces } from './latent-samples.js';

const samples = syntheticFaces(1, 60, 5, 4, 6);
const model = fitLatentModel(samples, { gain: samples.gain, steps: [2, 6], faces: 30 });
const scale = model.fields.scale.map((k) => k + 1);
const other = new LatentModel({ ...model.fields, scale });
const face = (k: number, qIndex: number) => ({ symbols: symbolsAt(samples, k, qIndex), qIndex, grey: k % 2 === 1 });
const all = samples.gain.map((_, qIndex) => face(qIndex, qIndex));

const message = async (run: () => unknown, type: new (text: string) => Error) => (await rejection(run, type)).message;
const edited = (bytes: Uint8Array, at: number, value: number) => bytes.map((old, k) => (k === at ? value : old));

test('bare faces are read back, and have six bytes around their code', () => {
  for (const face of all) {
    const bytes = packFaceBare(face, model);
    assert.is(bytes.length, BARE_HEADER_BYTES + encodeLatents(face.symbols, face.qIndex, model).length);
    assert.equal(unpackFaceBare(bytes, model), face);
  }
  assert.ok(BARE_HEADER_BYTES <= 8);
});

test('bare faces that are damaged or another model’s are refused', async () => {
  const bytes = packFaceBare(all[5], model);
  const unpack =
    (changed: Uint8Array, by = model) =>
    () =>
      unpackFaceBare(changed, by);
  assert.match(await message(unpack(bytes.subarray(0, 5)), FormatError), '5 bytes; its header alone has 6');
  assert.match(await message(unpack(edited(bytes, 0, 0x30)), FormatError), 'first byte is 48, must be 16 (version 1)');
  assert.match(await message(unpack(edited(bytes, 1, 5 | 64)), FormatError), 'bit 6');
  assert.match(
    await message(unpack(edited(bytes, 1, 63)), FormatError),
    'quantization index 63; this model has 0 to 9',
  );
  assert.match(await message(unpack(edited(bytes, 4, bytes[4] ^ 1)), FormatError), 'checksum');
  assert.match(await message(unpack(bytes, other), ModelMismatchError), `the model loaded is ${other.idText}`);
  await rejection(unpack(edited(bytes, 20, bytes[20] ^ 16)), FormatError);
  await rejection(unpack(edited(bytes, 1, bytes[1] ^ 128)), FormatError);
  // The checksum covers the whole id, so two equal bytes of the id are not enough.
  const pretended = edited(edited(bytes, 2, other.id & 255), 3, (other.id >>> 8) & 255);
  await rejection(unpack(pretended, other), FormatError);
});

test('files are read back, and their headers can be read without the model', () => {
  for (const face of all) {
    const bytes = packFaceFile(face, model);
    assert.is(bytes.length, FILE_HEADER_BYTES + encodeLatents(face.symbols, face.qIndex, model).length);
    assert.equal(unpackFaceFile(bytes, model), face);
    assert.ok(isFaceFile(bytes));
    assert.equal(readFaceFileHeader(bytes), {
      version: 1,
      modelId: model.idText,
      qIndex: face.qIndex,
      grey: face.grey,
      detailed: false,
    });
  }
  assert.not(isFaceFile(packFaceBare(all[0], model)));
});

test('files that are damaged or another model’s are refused', async () => {
  const bytes = packFaceFile(all[5], model);
  const unpack =
    (changed: Uint8Array, by = model) =>
    () =>
      unpackFaceFile(changed, by);
  assert.match(await message(unpack(new Uint8Array(0)), FormatError), 'not a face file');
  assert.match(await message(unpack(bytes.subarray(0, 13)), FormatError), 'truncated: file of 13 bytes');
  assert.match(await message(unpack(edited(bytes, 4, 3)), FormatError), 'version 3 is not supported');
  const mismatch = `written by model ${model.idText}; the model loaded is ${other.idText}`;
  assert.is(await message(unpack(bytes, other), ModelMismatchError), mismatch);
  assert.match(await message(unpack(edited(bytes, 11, bytes[11] ^ 1)), FormatError), 'checksum');
  for (let length = FILE_HEADER_BYTES; length < bytes.length; length++) {
    await rejection(unpack(bytes.subarray(0, length)), FormatError);
  }
  const longer = new Uint8Array(bytes.length + 9).fill(1);
  longer.set(bytes);
  assert.match(await message(unpack(longer), FormatError), 'need only');
  assert.match(
    await message(unpack(new Uint8Array(70_000).map((_, k) => bytes[k] ?? 1)), FormatError),
    'at most 65535',
  );
});

test('an archive gives each face without reading the others', async () => {
  for (const named of [false, true]) {
    const faces = all.map((one, k) => (named ? { ...one, name: `Gesicht ${k} ✓` } : one));
    const bytes = packArchive(faces, model);
    const read: [number, number][] = [];
    const source: ByteSource = {
      size: bytes.length,
      async read(offset, length) {
        read.push([offset, length]);
        return bytes.slice(offset, offset + length);
      },
    };
    const archive = await FaceArchive.open(source);
    assert.equal([archive.count, archive.modelId, archive.named], [all.length, model.idText, named]);
    for (const k of [7, 0, 9, 3]) {
      read.length = 0;
      assert.equal(await archive.face(k, model), all[k]);
      const code = encodeLatents(all[k].symbols, all[k].qIndex, model).length;
      assert.is(read.at(-1)![1], code);
      assert.ok(read.reduce((sum, [, length]) => sum + length, 0) <= code + 26);
      assert.is(await archive.name(k), named ? `Gesicht ${k} ✓` : undefined);
    }
  }
  const empty = await FaceArchive.open(bytesSource(packArchive([], model)));
  assert.is(empty.count, 0);
});

test('an archive that is cut off gives its intact faces, and says what is missing', async () => {
  const bytes = packArchive(
    all.map((one, k) => ({ ...one, name: `${k}` })),
    model,
  );
  const codes = all.map((one) => encodeLatents(one.symbols, one.qIndex, model).length);
  const cut = bytes.length - codes[9] - codes[8] + 1;
  const archive = await FaceArchive.open(bytesSource(bytes.subarray(0, cut)));
  for (let k = 0; k < 8; k++) assert.equal(await archive.face(k, model), all[k]);
  const ends = bytes.length - codes[9];
  const expected = `truncated: face 8 ends at byte ${ends}, the archive has ${cut}`;
  assert.is(await message(() => archive.face(8, model), FormatError), expected);
  const early = await FaceArchive.open(bytesSource(bytes.subarray(0, 40)));
  assert.match(await message(() => early.face(4, model), FormatError), 'truncated: the index entry of face 4 ends');
  assert.match(await message(() => early.name(0), FormatError), 'truncated: the name of face 0 ends');
  assert.match(await message(() => FaceArchive.open(bytesSource(bytes.subarray(0, 21))), FormatError), 'truncated: 21');
});

test('archives that are damaged, another model’s or impossible are refused', async () => {
  const bytes = packArchive(
    all.map((one, k) => ({ ...one, name: `face ${k}` })),
    model,
  );
  const open = (changed: Uint8Array) => FaceArchive.open(bytesSource(changed));
  assert.match(await message(() => open(packFaceFile(all[0], model)), FormatError), 'not an archive');
  assert.match(await message(() => open(edited(bytes, 4, 9)), FormatError), 'version 9');
  for (let at = 5; at < 22; at++) {
    assert.match(await message(() => open(edited(bytes, at, bytes[at] ^ 4)), FormatError), 'header does not match');
  }
  const archive = await open(bytes);
  assert.match(await message(() => archive.face(3, other), ModelMismatchError), 'written by model');
  assert.match(await message(() => archive.face(10, model), ArgumentError), 'must be 0 to 9');
  assert.match(await message(() => archive.name(-1), ArgumentError), 'face -1');
  // Whichever byte of face 4's entry is changed, no other face is given in its place.
  for (let at = 22 + 4 * 13; at < 22 + 4 * 13 + 7; at++) {
    const damaged = await open(edited(bytes, at, bytes[at] ^ 1));
    await rejection(() => damaged.face(4, model), FormatError);
    assert.equal(await damaged.face(2, model), all[2]);
  }
  const letter = 22 + 10 * 13 + 7;
  const renamed = await open(edited(bytes, letter, bytes[letter] ^ 1));
  assert.match(await message(() => renamed.name(1), FormatError), 'checksum over its name');
  const mixed = [{ ...all[0], name: 'a' }, all[1]];
  assert.match(await message(() => packArchive(mixed, model), ArgumentError), 'face 1 has no name');
  const long = [{ ...all[0], name: 'x'.repeat(5000) }];
  assert.match(await message(() => packArchive(long, model), ArgumentError), '5000 bytes');
});

test('an unfinished archive gives the same faces as an archive, and becomes the same bytes', async () => {
  const faces = all.map((one, k) => ({ ...one, name: `Gesicht ${k} ✓` }));
  const bytes = packJournal(faces, model);
  const journal = await openFaces(bytesSource(bytes));
  assert.instance(journal, FaceJournal);
  const archive = await openFaces(bytesSource(packArchive(faces, model)));
  assert.instance(archive, FaceArchive);
  assert.equal([journal.count, journal.modelId, journal.named], [archive.count, archive.modelId, true]);
  for (const k of [7, 0, 9, 3]) {
    assert.equal(await journal.face(k, model), await archive.face(k, model));
    assert.is(await journal.name(k), await archive.name(k));
    assert.equal(await journal.entry(k), await archive.entry(k));
    assert.is(await journal.find(`Gesicht ${k} ✓`), k);
  }
  assert.is(await journal.find('nobody'), undefined);
  assert.match(await message(() => journal.face(10, model), ArgumentError), 'must be 0 to 9');
  assert.match(await message(() => journal.face(3, other), ModelMismatchError), 'written by model');
  const pieces: Uint8Array[] = [];
  for await (const piece of (journal as FaceJournal).archive()) pieces.push(piece);
  assert.equal(new Uint8Array(Buffer.concat(pieces)), packArchive(faces, model));
});

test('an unfinished archive gives its intact faces despite a torn end or damage, and refuses other data', async () => {
  const bytes = packJournal(
    all.map((one, k) => ({ ...one, name: `${k}` })),
    model,
  );
  const open = (changed: Uint8Array) => FaceJournal.open(bytesSource(changed));
  const { settings, intact } = await open(bytes);
  assert.equal(settings, { modelId: model.idText, encoderVersion: ENCODER_VERSION, maxBytes: 500, headerBytes: 7 });
  assert.equal([intact.faces, intact.end], [10, bytes.length]);
  const ends: number[] = [];
  for (let length = 20; length <= bytes.length; length++) {
    const { count, damage } = await open(bytes.subarray(0, length));
    if (count > ends.length) ends.push(length);
    const torn = length - (ends.at(-1) ?? 20);
    assert.equal(damage, torn === 0 ? [] : [{ offset: ends.at(-1) ?? 20, bytes: torn }]);
  }
  assert.is(ends.length, 10);
  // Whichever byte of the third face is wrong, only this face is lost, and the work would continue after the second one.
  for (let place = ends[1]; place < ends[2]; place++) {
    const journal = await open(edited(bytes, place, bytes[place] ^ 1));
    assert.equal([journal.count, journal.intact.faces, journal.intact.end], [9, 2, ends[1]]);
    assert.equal(journal.damage, [{ offset: ends[1], bytes: ends[2] - ends[1] }]);
    assert.equal(await journal.face(2, model), all[3]);
    await rejection(() => journal.archive().next(), FormatError);
  }
  assert.match(await message(() => open(packFaceFile(all[0], model)), FormatError), 'not an unfinished archive');
  assert.match(await message(() => open(bytes.subarray(0, 19)), FormatError), 'truncated: 19 bytes');
  assert.match(await message(() => open(edited(bytes, 4, 2)), FormatError), 'version 2 of unfinished archives');
  for (let place = 5; place < 20; place++) {
    assert.match(
      await message(() => open(edited(bytes, place, bytes[place] ^ 4)), FormatError),
      'header does not match',
    );
  }
});

test.run();
