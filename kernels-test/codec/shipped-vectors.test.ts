// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packFaceBare, unpackFaceBare } from '../../src/codec/container/face-bare.js';
import { FILE_HEADER_BYTES, packFaceFile, unpackFaceFile } from '../../src/codec/container/face-file.js';
import { formatModelId } from '../../src/codec/entropy/latent-model.js';
import { readEarlierVectors, readShippedVectors, shippedModel } from './shipped-vectors.js';

// Every later version must decode what users have stored with the shipped model to the same symbols.
const { model } = await shippedModel();
const vectors = await readShippedVectors();

test('the shipped model is the one whose streams are frozen', () => {
  assert.is(model.idText, vectors.model);
});

test('frozen streams of the shipped model decode to their symbols, and the symbols encode to the same streams', () => {
  const sizes = vectors.faces.map(({ bare, file, ...face }) => {
    assert.equal(unpackFaceBare(bare, model), face);
    assert.equal(packFaceBare(face, model), bare);
    assert.equal(unpackFaceFile(file, model), face);
    assert.equal(packFaceFile(face, model), file);
    return bare.length;
  });
  assert.ok(Math.min(...sizes) < 150 && Math.max(...sizes) > 1000, `sizes are ${sizes}`);
});

test('frozen streams of the model that the shipped one was quantised from decode to the same symbols', async () => {
  const earlier = await readEarlierVectors();
  assert.is(earlier.model, 'ff7b0a36');
  assert.equal(model.ids.map(formatModelId), [vectors.model, earlier.model]);
  earlier.faces.forEach(({ bare, file, ...face }, k) => {
    assert.equal(unpackFaceBare(bare, model), face);
    assert.equal(unpackFaceFile(file, model), face);
    // A file that is written now names the present model; its code is the same.
    const repacked = packFaceFile(face, model);
    assert.not.equal(repacked, file);
    assert.equal(repacked.subarray(FILE_HEADER_BYTES), file.subarray(FILE_HEADER_BYTES), `face ${k}`);
  });
});

test.run();
