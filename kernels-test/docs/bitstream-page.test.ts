// adapters: once
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { encodeLatents } from '../../src/codec/entropy/latent-stream.js';
import { CounterRandom } from '../../src/common/random.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { fitLatentModel } from '../../src/training/entropy/fit-latent-model.js';
import { fromHex, readVectors } from '../codec/bitstream-fixture.js';
import { syntheticFaces } from '../codec/latent-samples.js';
import { readEarlierVectors, readShippedVectors } from '../codec/shipped-vectors.js';

/*
 * examples/decode-symbols.mjs was written from docs/bitstream.md alone, by someone who had seen no other file. That it reads
 * the frozen files shows that the page has everything that another implementation needs.
 */
const test = suite('bitstream page');

interface Face {
  qIndex: number;
  grey: boolean;
  symbols: Int16Array;
  name?: string;
}
interface Model {
  ids: number[];
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
const samples = syntheticFaces(3, 100, 4, 4, 6);
const fitted = fitLatentModel(samples, { gain: samples.gain, steps: [1, 4, 8] });
const faces = vectors.faces.map(({ symbols, qIndex, grey }) => ({ qIndex, grey, symbols: Int16Array.from(symbols) }));
const hex = (id: number): string => id.toString(16).padStart(8, '0');

test('decode-symbols.mjs imports only modules of Node', () => {
  const text = readFileSync(program, 'utf8');
  const imports = [...text.matchAll(/\bfrom '([^']+)'|\bimport\('([^']+)'\)/g)].map(([, a, b]) => a ?? b);
  assert.ok(imports.length > 0 && imports.every((name) => name.startsWith('node:')), `${imports}`);
});

test('decode-symbols.mjs reads the frozen codes, bare faces, files and the archive', () => {
  const model = decoder.readModel(small);
  assert.is(hex(model.ids[0]), vectors.model);
  vectors.faces.forEach(({ code, bare, file }, k) => {
    assert.equal(decoder.decodeCode(fromHex(code), faces[k].qIndex, model), faces[k].symbols);
    assert.equal(decoder.decodeFace(fromHex(bare), model), faces[k]);
    assert.equal(decoder.decodeFace(fromHex(file), model), faces[k]);
  });
  const named = faces.map((face, k) => ({ name: `face ${k}`, ...face }));
  assert.equal(decoder.decodeArchive(fromHex(vectors.archive), model), named);
});

test('decode-symbols.mjs reads the frozen codes with dead zones and of dependent quantization', () => {
  for (const { codes, model: id, ...tables } of [vectors.dead, vectors.dependent]) {
    const model = decoder.readModel(small, tables);
    assert.is(hex(model.ids[0]), id);
    codes.forEach((code, k) => {
      assert.equal(decoder.decodeCode(fromHex(code), faces[k].qIndex, model), faces[k].symbols);
    });
  }
});

test('decode-symbols.mjs reads the frozen faces of the shipped model', async () => {
  const shipped = await readShippedVectors();
  const model = decoder.readModel(weights('models/face.safetensors'));
  assert.is(hex(model.ids[0]), shipped.model);
  for (const { bare, file, ...face } of shipped.faces) {
    assert.equal(decoder.decodeFace(bare, model), face);
    assert.equal(decoder.decodeFace(file, model), face);
  }
});

test('decode-symbols.mjs reads the frozen faces of the model that the shipped one was quantised from', async () => {
  const earlier = await readEarlierVectors();
  const model = decoder.readModel(weights('models/face.safetensors'));
  assert.equal(model.ids.map(hex), [(await readShippedVectors()).model, earlier.model]);
  for (const { bare, file, ...face } of earlier.faces) {
    assert.equal(decoder.decodeFace(bare, model), face);
    assert.equal(decoder.decodeFace(file, model), face);
  }
});

/** A model whose tables reach their limits, which the frozen small model does not. */
function variedModel(seed: number): LatentModel {
  const random = new CounterRandom(seed, 5);
  const between = (low: number, high: number): number => low + random.int(high - low + 1);
  const { fields } = fitted;
  const { height, width, channels, steps } = fields;
  const filled = (count: number, low: number, high: number): Int32Array =>
    Int32Array.from({ length: count }, () => between(low, high));
  const order = Int32Array.from({ length: channels }, (_, k) => k);
  for (let k = channels - 1; k > 0; k--) {
    const other = random.int(k + 1);
    [order[k], order[other]] = [order[other], order[k]];
  }
  const latents = height * width * channels;
  return new LatentModel({
    ...fields,
    order,
    gain: filled(steps * channels, -60, 60),
    unit: filled(channels, -60, 60),
    mean: filled(latents, -(2 ** between(1, 22)), 2 ** between(1, 22)),
    scale: filled(latents, -128, 128),
    predictionGain: filled(steps * channels, 0, 256),
    scaleShift: filled(steps * channels, -128, 128),
    contextWeights: filled(channels * 4, -1024, 1024),
    contextPrior: filled(4, 1, 2 ** 20),
    contextTable: filled(12 * 49, -96, 96),
    magnitudeWeight: filled(96, 0, 2 ** 20),
    magnitudeExpected: filled(2 * 96 * 9, 0, 8192),
    deadZone: filled(2 * 2 * 96, -7, 8),
  });
}

test('decode-symbols.mjs reads faces of a model with tables at their limits, reordered channels and an even width', () => {
  for (let seed = 0; seed < 40; seed++) {
    const model = variedModel(seed);
    const read = decoder.readModel(writeSafetensors(model.toTensors()));
    assert.is(hex(read.ids[0]), model.idText);
    const random = new CounterRandom(seed, 6);
    for (const qIndex of [0, 4, 9]) {
      const size = 2 ** random.int(15);
      const symbols = Int16Array.from({ length: model.latents }, () => Math.round(size * (2 * random.uniform() - 1)));
      assert.equal(decoder.decodeCode(encodeLatents(symbols, qIndex, model), qIndex, read), symbols, `seed ${seed}`);
    }
  }
});

test('decode-symbols.mjs refuses faces that are damaged, cut off or padded', () => {
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
