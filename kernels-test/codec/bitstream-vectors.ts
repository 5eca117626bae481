/**
 * Writes the files that bitstream-vectors.test.ts decodes: a small frozen model, streams, and their symbols. Only a new
 * version of the format may change them: npx tsx kernels-test/codec/bitstream-vectors.ts
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { packArchive } from '../../src/codec/container/face-archive.js';
import { packFaceBare } from '../../src/codec/container/face-bare.js';
import { packFaceFile } from '../../src/codec/container/face-file.js';
import { LatentModel, MAX_DEAD_ZONE, SHAPE_BANDS } from '../../src/codec/entropy/latent-model.js';
import { encodeLatents } from '../../src/codec/entropy/latent-stream.js';
import { SCALE_COUNT, SHAPE_ENTRIES } from '../../src/codec/entropy/symbol-distribution.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { fitLatentModel } from '../../src/training/entropy/fit-latent-model.js';
import { toHex } from './bitstream-fixture.js';
import { symbolsAt, syntheticFaces } from './latent-samples.js';

const samples = syntheticFaces(7, 400, 4, 3, 5);
const fitted = fitLatentModel(samples, { gain: samples.gain, steps: [1, 4, 8] });
// With half of the shapes there is still more than one class, and the fixture is half as large.
const model = new LatentModel({
  ...fitted.fields,
  shapeClass: fitted.fields.shapeClass.map((k) => k >> 1),
  shapes: fitted.fields.shapes.slice(0, 2 * SHAPE_BANDS * SHAPE_ENTRIES),
});

const faces = samples.gain.map((_, qIndex) => ({
  symbols: symbolsAt(samples, 11 * qIndex, qIndex),
  qIndex,
  grey: qIndex % 3 === 0,
}));
// These symbols need escapes.
faces[4].symbols.set([32767, -32767, 0, 1500, -90]);
const plain = {
  model: model.idText,
  faces: faces.map((face) => ({
    qIndex: face.qIndex,
    grey: face.grey,
    symbols: [...face.symbols],
    code: toHex(encodeLatents(face.symbols, face.qIndex, model)),
    bare: toHex(packFaceBare(face, model)),
    file: toHex(packFaceFile(face, model)),
  })),
  archive: toHex(
    packArchive(
      faces.map((face, k) => ({ ...face, name: `face ${k}` })),
      model,
    ),
  ),
};
const deadZone = Int32Array.from({ length: 2 * SCALE_COUNT }, (_, k) => (5 * k) % (MAX_DEAD_ZONE + 1));
const dead = new LatentModel({ ...model.fields, deadZone });
// Twice as many borders, because dependent quantization has two quantizers.
const turned = Int32Array.from(
  { length: 4 * SCALE_COUNT },
  (_, k) => [k % 5, 3, (k % 7) - 7, -7][Math.floor(k / SCALE_COUNT)],
);
const expected = [0, 1].flatMap((quantizer) => [...model.fields.magnitudeExpected].map((value) => value >> quantizer));
const dependent = new LatentModel({
  ...model.fields,
  deadZone: turned,
  magnitudeExpected: Int32Array.from(expected),
});
const vectors = {
  ...plain,
  // This model differs only in its dead zones.
  dead: {
    model: dead.idText,
    deadZone: [...deadZone],
    codes: faces.map((face) => toHex(encodeLatents(face.symbols, face.qIndex, dead))),
  },
  dependent: {
    model: dependent.idText,
    deadZone: [...turned],
    magnitudeExpected: expected,
    codes: faces.map((face) => toHex(encodeLatents(face.symbols, face.qIndex, dependent))),
  },
};
const to = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
writeFileSync(to('bitstream-vectors.safetensors'), writeSafetensors(model.toTensors()));
writeFileSync(to('bitstream-vectors.json'), `${JSON.stringify(vectors)}\n`);
