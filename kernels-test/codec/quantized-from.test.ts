// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { packFaceBare, unpackFaceBare } from '../../src/codec/container/face-bare.js';
import { packFaceFile, unpackFaceFile } from '../../src/codec/container/face-file.js';
import { FaceJournal } from '../../src/codec/container/face-journal.js';
import { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { QUANTIZED_FROM, quantizedFrom } from '../../src/codec/quantized-from.js';
import { CheckpointError, FormatError, ModelMismatchError } from '../../src/common/errors.js';
import { packJournal, readVectors } from './bitstream-fixture.js';

// A model with quantised weights reads the faces of the model that it was quantised from, and of no third model.
const { model, vectors } = await readVectors();
const TRAINED = 0x12345678;
const trained = new LatentModel(model.fields, TRAINED);
const quantised = new LatentModel(model.fields, 0x9abcdef0, [TRAINED]);
const stranger = new LatentModel(model.fields, 0x12345679);
const faces = vectors.faces.map(({ symbols, qIndex, grey }, k) => {
  return { symbols: Int16Array.from(symbols), qIndex, grey, name: `face ${k}` };
});
const { name: _, ...face } = faces[3];

test('the quantised model has an id of its own, and knows that of the trained model', () => {
  assert.equal(quantised.ids, [quantised.id, trained.id]);
  assert.equal(trained.ids, [trained.id]);
  assert.ok(quantised.id !== trained.id);
  assert.not.ok(quantised.ids.includes(stranger.id) || trained.ids.includes(quantised.id));
});

test('the quantised model reads files and bare faces of the trained one, but not the other way round', () => {
  for (const [pack, unpack] of [
    [packFaceFile, unpackFaceFile],
    [packFaceBare, unpackFaceBare],
  ] as const) {
    assert.equal(unpack(pack(face, trained), quantised), face);
    assert.equal(unpack(pack(face, quantised), quantised), face);
    assert.throws(
      () => unpack(pack(face, quantised), trained),
      (error: Error) => error instanceof ModelMismatchError,
    );
    assert.throws(
      () => unpack(pack(face, stranger), quantised),
      (error: Error) => error instanceof ModelMismatchError && error.message.includes(quantised.idText),
    );
    // The id in the header is part of the checksum, so replacing it by the other id is detected.
    const mixed = pack(face, trained);
    const requantised = pack(face, quantised);
    mixed.set(
      pack === packFaceFile ? requantised.subarray(6, 10) : requantised.subarray(2, 4),
      pack === packFaceFile ? 6 : 2,
    );
    assert.throws(
      () => unpack(mixed, quantised),
      (error: Error) => error instanceof FormatError && /checksum/.test(error.message),
    );
  }
});

test('the quantised model reads archives and journals of the trained one', async () => {
  const archive = await FaceArchive.open(bytesSource(packArchive(faces, trained)));
  const journal = await FaceJournal.open(bytesSource(packJournal(faces, trained)));
  for (const collection of [archive, journal]) {
    assert.is(collection.modelId, trained.idText);
    assert.equal(await collection.face(3, quantised), face);
    await collection.face(3, stranger).then(
      () => assert.unreachable(),
      (error) => assert.instance(error, ModelMismatchError),
    );
  }
});

test('the id of the weights that it was quantised from must have eight digits', () => {
  assert.equal(quantizedFrom(new Map()), []);
  assert.equal(quantizedFrom(new Map([[QUANTIZED_FROM, '12345678']])), [TRAINED]);
  for (const text of ['', '1234567', 'ABCDEF00', '0x123456', '123456789']) {
    assert.throws(
      () => quantizedFrom(new Map([[QUANTIZED_FROM, text]])),
      (error: Error) => error instanceof CheckpointError && error.message.includes('eight hexadecimal digits'),
    );
  }
});

test.run();
