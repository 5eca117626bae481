// adapters: once
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fromHex, readVectors } from '../codec/bitstream-fixture.js';
import { readShippedVectors } from '../codec/shipped-vectors.js';

/*
 * examples/decode-symbols.mjs is written from docs/bitstream.md and imports nothing of Cameo: that it reads what was frozen
 * shows that the page says all that another implementation needs.
 */
const test = suite('bitstream page');

interface Face {
  qIndex: number;
  grey: boolean;
  symbols: Int16Array;
  name?: string;
}
interface Model {
  id: number;
}
interface Decoder {
  readModel(bytes: Uint8Array, other?: Record<string, ArrayLike<number>>): Model;
  decodeCode(code: Uint8Array, qIndex: number, model: Model): Int16Array;
  decodeFace(bytes: Uint8Array, model: Model): Face;
  decodeArchive(bytes: Uint8Array, model: Model): Face[];
}

const program = new URL('../../examples/decode-symbols.mjs', import.meta.url);
const decoder = (await import(program.href)) as Decoder;
const weights = (name: string): Uint8Array => readFileSync(new URL(`../../${name}`, import.meta.url));
const small = weights('kernels-test/codec/bitstream-vectors.safetensors');
const { vectors } = await readVectors();
const faces = vectors.faces.map(({ symbols, qIndex, grey }) => ({ qIndex, grey, symbols: Int16Array.from(symbols) }));
const hex = (id: number): string => id.toString(16).padStart(8, '0');

test('the decoder of the page imports nothing but modules of Node', () => {
  const text = readFileSync(program, 'utf8');
  const imports = [...text.matchAll(/\bfrom '([^']+)'|\bimport\('([^']+)'\)/g)].map(([, a, b]) => a ?? b);
  assert.ok(imports.length > 0 && imports.every((name) => name.startsWith('node:')), `${imports}`);
});

test('it reads the frozen codes, bare faces, files and the archive', () => {
  const model = decoder.readModel(small);
  assert.is(hex(model.id), vectors.model);
  vectors.faces.forEach(({ code, bare, file }, k) => {
    assert.equal(decoder.decodeCode(fromHex(code), faces[k].qIndex, model), faces[k].symbols);
    assert.equal(decoder.decodeFace(fromHex(bare), model), faces[k]);
    assert.equal(decoder.decodeFace(fromHex(file), model), faces[k]);
  });
  const named = faces.map((face, k) => ({ name: `face ${k}`, ...face }));
  assert.equal(decoder.decodeArchive(fromHex(vectors.archive), model), named);
});

test('it reads the frozen codes with dead zones and of dependent quantization', () => {
  for (const { codes, model: id, ...tables } of [vectors.dead, vectors.dependent]) {
    const model = decoder.readModel(small, tables);
    assert.is(hex(model.id), id);
    codes.forEach((code, k) => {
      assert.equal(decoder.decodeCode(fromHex(code), faces[k].qIndex, model), faces[k].symbols);
    });
  }
});

test('it reads the frozen faces of the shipped model', async () => {
  const shipped = await readShippedVectors();
  const model = decoder.readModel(weights('models/face.safetensors'));
  assert.is(hex(model.id), shipped.model);
  for (const { bare, file, ...face } of shipped.faces) {
    assert.equal(decoder.decodeFace(bare, model), face);
    assert.equal(decoder.decodeFace(file, model), face);
  }
});

test('it refuses what is damaged, cut off or padded', () => {
  const model = decoder.readModel(small);
  const file = fromHex(vectors.faces[5].file);
  for (let at = 0; at < file.length; at++) {
    const damaged = file.slice();
    damaged[at] ^= 1 << (at % 8);
    assert.throws(() => decoder.decodeFace(damaged, model), undefined, `byte ${at}`);
  }
  assert.throws(() => decoder.decodeFace(file.slice(0, -1), model));
  assert.throws(() => decoder.decodeFace(Uint8Array.of(...file, 0), model), /byte/);
});

test.run();
