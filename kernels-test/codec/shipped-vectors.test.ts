// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packFaceBare, unpackFaceBare } from '../../src/codec/container/face-bare.js';
import { packFaceFile, unpackFaceFile } from '../../src/codec/container/face-file.js';
import { readShippedVectors, shippedModel } from './shipped-vectors.js';

// What users have stored with the shipped model has to be read by every later version, to the same symbols.
const { model } = await shippedModel();
const vectors = await readShippedVectors();

test('the shipped model is the one whose streams are frozen', () => {
  assert.is(model.idText, vectors.model);
});

test('frozen streams of the shipped model give their symbols, and symbols their streams', () => {
  const sizes = vectors.faces.map(({ bare, file, ...face }) => {
    assert.equal(unpackFaceBare(bare, model), face);
    assert.equal(packFaceBare(face, model), bare);
    assert.equal(unpackFaceFile(file, model), face);
    assert.equal(packFaceFile(face, model), file);
    return bare.length;
  });
  assert.ok(Math.min(...sizes) < 150 && Math.max(...sizes) > 1000, `sizes are ${sizes}`);
});

test.run();
