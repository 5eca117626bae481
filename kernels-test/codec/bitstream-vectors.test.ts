import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { packFaceBare, unpackFaceBare } from '../../src/codec/container/face-bare.js';
import { packFaceFile, unpackFaceFile } from '../../src/codec/container/face-file.js';
import { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { decodeLatents, encodeLatents } from '../../src/codec/entropy/latent-stream.js';
import { fromHex, readVectors } from './bitstream-fixture.js';

// Files that were ever written must stay readable, and the same symbols must give the same bytes on every machine and in every later version.
const { model, vectors } = await readVectors();
const faces = vectors.faces.map(({ symbols, qIndex, grey }) => ({ symbols: Int16Array.from(symbols), qIndex, grey }));

test('the frozen model has its id', () => {
  assert.is(model.idText, vectors.model);
  assert.is(faces.length, model.fields.steps);
});

test('frozen streams decode to their symbols, and the symbols encode to the same streams', () => {
  vectors.faces.forEach(({ code, bare, file }, k) => {
    const face = faces[k];
    assert.equal(decodeLatents(fromHex(code), face.qIndex, model), face.symbols);
    assert.equal(encodeLatents(face.symbols, face.qIndex, model), fromHex(code));
    assert.equal(unpackFaceBare(fromHex(bare), model), face);
    assert.equal(packFaceBare(face, model), fromHex(bare));
    assert.equal(unpackFaceFile(fromHex(file), model), face);
    assert.equal(packFaceFile(face, model), fromHex(file));
  });
});

test('frozen streams of models with dead zones, and of dependent quantization, decode to their symbols', () => {
  const { dead, dependent } = vectors;
  const magnitudeExpected = Int32Array.from(dependent.magnitudeExpected);
  for (const [{ deadZone, codes, model: id }, more] of [
    [dead, {}],
    [dependent, { magnitudeExpected }],
  ] as const) {
    const variant = new LatentModel({ ...model.fields, ...more, deadZone: Int32Array.from(deadZone) });
    assert.is(variant.idText, id);
    codes.forEach((code, k) => {
      const { symbols, qIndex } = faces[k];
      assert.equal(decodeLatents(fromHex(code), qIndex, variant), symbols);
      assert.equal(encodeLatents(symbols, qIndex, variant), fromHex(code));
    });
  }
});

test('the frozen archive gives its faces and names', async () => {
  const bytes = fromHex(vectors.archive);
  const archive = await FaceArchive.open(bytesSource(bytes));
  for (const [k, face] of faces.entries()) {
    assert.equal(await archive.face(k, model), face);
    assert.is(await archive.name(k), `face ${k}`);
  }
  const named = faces.map((face, k) => ({ ...face, name: `face ${k}` }));
  assert.equal(packArchive(named, model), bytes);
});

test.run();
