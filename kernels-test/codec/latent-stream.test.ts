import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LatentModel, type LatentModelFields } from '../../src/codec/entropy/latent-model.js';
import {
  codeLength,
  codingPlaces,
  decodeLatents,
  encodeLatents,
  valuesOfSymbols,
} from '../../src/codec/entropy/latent-stream.js';
import { SCALE_COUNT } from '../../src/codec/entropy/symbol-distribution.js';
import { squaredError } from '../../src/codec/rate-distortion.js';
import { SymbolChooser } from '../../src/codec/symbol-chooser.js';
import { ArgumentError, CheckpointError, FormatError, ShapeError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { readSafetensors, writeSafetensors } from '../../src/nn/safetensors.js';
import { type FitOptions, fitLatentModel } from '../../src/training/entropy/fit-latent-model.js';
import { rejection } from '../helpers/rejection.js';
import { staticModel, symbolsAt, syntheticFaces } from './latent-samples.js';

const TEST_FACES = 20;
const training = syntheticFaces(1, 300, 7, 6, 12);
const faces = syntheticFaces(2, TEST_FACES, 7, 6, 12);
const steps = training.gain.length;
const fit = (options: Partial<FitOptions> = {}) =>
  fitLatentModel(training, { gain: training.gain, steps: [1, 4, 7], faces: 60, ...options });
const model = fit();

test('symbols are decoded at every qIndex, from hardly more bytes than their code length', () => {
  for (let qIndex = 0; qIndex < steps; qIndex++) {
    let actual = 0;
    let ideal = 0;
    for (let face = 0; face < TEST_FACES; face++) {
      const symbols = symbolsAt(faces, face, qIndex);
      const bits = codeLength(symbols, model, qIndex);
      const bytes = encodeLatents(symbols, qIndex, model);
      assert.equal(decodeLatents(bytes, qIndex, model), symbols, `face ${face} at index ${qIndex}`);
      assert.ok(bytes.length < 1.005 * (bits / 8) + 4, `${bytes.length} bytes, ideal ${bits / 8}`);
      actual += bytes.length;
      ideal += bits / 8;
    }
    assert.ok(actual < 1.005 * ideal + 1.2 * TEST_FACES, `index ${qIndex}: ${actual} bytes, ideal ${ideal}`);
  }
});

test('files are clearly smaller than those of a static model of each channel', () => {
  const savings = Array.from({ length: steps }, (_, qIndex) => {
    const bits = staticModel(training, qIndex);
    let ourBits = 0;
    let theirs = 0;
    for (let face = 0; face < TEST_FACES; face++) {
      const symbols = symbolsAt(faces, face, qIndex);
      ourBits += 8 * encodeLatents(symbols, qIndex, model).length;
      theirs += bits(symbols);
    }
    return 1 - ourBits / theirs;
  });
  assert.ok(Math.min(...savings) > 0.1, `saved by index: ${savings.map((s) => s.toFixed(3)).join(' ')}`);
});

test('references and context each make files smaller', () => {
  const total = (of: LatentModel): number => {
    let bits = 0;
    for (let face = 0; face < TEST_FACES; face++) bits += codeLength(symbolsAt(faces, face, 4), of, 4);
    return bits;
  };
  const full = total(model);
  const alone = total(fit({ references: 0 }));
  const contextTable = new Int32Array(model.fields.contextTable.length);
  const withoutContext = total(new LatentModel({ ...model.fields, contextTable }));
  assert.ok(full < 0.95 * alone, `${full} bits, without references ${alone}`);
  assert.ok(full < 0.98 * withoutContext, `${full} bits, without context ${withoutContext}`);
});

/** Rounds like an encoder that prefers small magnitudes: a magnitude is rounded up only from 0.8 of a step on. */
const roundDown = (value: number): number => Math.sign(value) * Math.floor(Math.abs(value) + 0.2);
const rounded = fit({ choice: { dependent: false, choose: (values) => Int16Array.from(values, roundDown) } });

test('dead zones fit an encoder that rounds down, and make its files smaller', () => {
  assert.ok(model.fields.deadZone.every((width) => width === 0));
  const { deadZone } = rounded.fields;
  // 0.3 of a step are 4.8 sixteenths. Which scales occur depends on the faces.
  const inner = [...deadZone.subarray(0, SCALE_COUNT)].sort((a, b) => a - b)[SCALE_COUNT >> 1];
  assert.ok(inner >= 3 && inner <= 6, `${inner}/16`);
  const flat = new LatentModel({ ...rounded.fields, deadZone: new Int32Array(2 * SCALE_COUNT) });
  let [full, without] = [0, 0];
  for (let face = 0; face < TEST_FACES; face++) {
    for (const qIndex of [1, 4]) {
      const symbols = symbolsAt(faces, face, qIndex, roundDown);
      const bytes = encodeLatents(symbols, qIndex, rounded);
      assert.equal(decodeLatents(bytes, qIndex, rounded), symbols);
      full += bytes.length;
      without += encodeLatents(symbols, qIndex, flat).length;
    }
  }
  assert.ok(full < 0.98 * without, `${full} bytes, without dead zones ${without}`);
});

test('symbols of dependent quantization are decoded to the right values, and have a smaller error at the same bytes', () => {
  const qIndex = 4;
  const count = model.latents;
  const scaled = (data: Float32Array, face: number, coarser: number): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => {
      const gain = training.gain[qIndex][i % training.channels] - coarser;
      return data[face * count + i] * 2 ** (gain / 8);
    });
  const scales = new Float64Array(count);
  for (let face = 0; face < training.count; face++) {
    scaled(training.data, face, 0).forEach((value, i) => {
      scales[i] += Math.abs(value) / training.count / (2 * Math.LN2);
    });
  }
  const [plain, trellis] = [false, true].map((dependent) => new SymbolChooser(scales, dependent));
  const figures = [
    { chooser: plain, coarser: 0 },
    { chooser: trellis, coarser: 4 },
  ].map(({ chooser, coarser }) => {
    const gain = training.gain.map((row) => row.map((value) => value - coarser));
    const finer = 2 ** (-coarser / 8);
    const choose = (values: Float64Array, _: number, order: Int32Array) =>
      chooser.choose(values, finer, chooser.defaultLambda, order);
    const fitted = fit({ gain, steps: [qIndex], choice: { dependent: chooser.dependent, choose } });
    assert.is(fitted.quantizers, chooser.dependent ? 2 : 1);
    const back = LatentModel.fromTensors(readSafetensors(writeSafetensors(fitted.toTensors())).tensors);
    assert.is(back.id, fitted.id);
    let [bytes, error] = [0, 0];
    for (let face = 0; face < TEST_FACES; face++) {
      const values = scaled(faces.data, face, coarser);
      const symbols = choose(values, qIndex, codingPlaces(fitted));
      const code = encodeLatents(symbols, qIndex, fitted);
      assert.equal(decodeLatents(code, qIndex, back), symbols);
      bytes += code.length;
      error += squaredError(values, valuesOfSymbols(symbols, fitted)) / finer ** 2;
    }
    return { bytes, error };
  });
  const [before, after] = figures;
  // One per cent of the bytes is worth some three per cent of the error.
  const fair = before.error * (before.bytes / after.bytes) ** 3;
  assert.ok(after.error < 0.95 * fair, JSON.stringify(figures));
});

test('a model without dead zones has the format of before, and one with them keeps them', () => {
  const tensors = model.toTensors();
  assert.not.ok(tensors.has('deadZone'));
  assert.equal(LatentModel.fromTensors(tensors).fields.deadZone, new Int32Array(2 * SCALE_COUNT));
  const back = LatentModel.fromTensors(readSafetensors(writeSafetensors(rounded.toTensors())).tensors);
  assert.equal([back.id, back.fields.deadZone], [rounded.id, rounded.fields.deadZone]);
  // Dependent quantization is stored whatever the dead zones are.
  const magnitudeExpected = Int32Array.from([...model.fields.magnitudeExpected, ...model.fields.magnitudeExpected]);
  const dependent = new LatentModel({ ...model.fields, magnitudeExpected, deadZone: new Int32Array(4 * SCALE_COUNT) });
  const read = LatentModel.fromTensors(dependent.toTensors());
  assert.equal([read.id, read.quantizers], [dependent.id, 2]);
  assert.is.not(dependent.id, model.id);
  assert.is.not(rounded.id, new LatentModel({ ...rounded.fields, deadZone: model.fields.deadZone }).id);
});

test('code lengths of single symbols sum up to that of the face', () => {
  const symbols = symbolsAt(faces, 0, 5);
  const bits = new Float64Array(symbols.length);
  const total = codeLength(symbols, model, 5, bits);
  assert.ok(Math.abs(bits.reduce((a, b) => a + b) - total) < 1e-6);
  assert.ok(bits.every((b) => b > 0));
});

test('symbols far from their expected values are decoded, too', () => {
  const random = new CounterRandom(5);
  for (const most of [1, 40, 3000, 32767]) {
    const symbols = Int16Array.from({ length: model.latents }, () => random.int(2 * most + 1) - most);
    for (const qIndex of [0, 9])
      assert.equal(decodeLatents(encodeLatents(symbols, qIndex, model), qIndex, model), symbols);
  }
  const extremes = Int16Array.from({ length: model.latents }, (_, i) => (i % 2 === 0 ? 32767 : -32767));
  assert.equal(decodeLatents(encodeLatents(extremes, 3, model), 3, model), extremes);
  const bytes = Int8Array.from({ length: model.latents }, (_, i) => i);
  assert.equal(decodeLatents(encodeLatents(bytes, 3, model), 3, model), Int16Array.from(bytes));
});

test('the model passes through safetensors and keeps its id', () => {
  const tensors = readSafetensors(writeSafetensors(model.toTensors())).tensors;
  const back = LatentModel.fromTensors(tensors);
  assert.is(back.id, model.id);
  const symbols = symbolsAt(faces, 1, 6);
  assert.equal(encodeLatents(symbols, 6, back), encodeLatents(symbols, 6, model));
  // Every field counts.
  for (const [name, value] of Object.entries(model.fields)) {
    if (!(value instanceof Int32Array)) continue;
    const changed = value.slice();
    const at = name === 'shapes' ? 1023 : 0;
    if (name === 'order') [changed[0], changed[1]] = [changed[1], changed[0]];
    else if (name === 'references') changed[0] = value[0] === 0 ? 1 : 0;
    else if (name === 'referenceCount')
      continue; // changing this field would contradict the references
    else changed[at] += name === 'shapes' && changed[at] > 0 ? -1 : 1;
    try {
      assert.is.not(new LatentModel({ ...model.fields, [name]: changed }).id, model.id, name);
    } catch (error) {
      // One model has a shape with an entry of 0, one a reference to a later latent.
      assert.instance(error, CheckpointError);
      assert.ok(['shapes', 'references', 'contextTable'].includes(name), `${error}`);
    }
  }
});

test('an invalid model is refused, and the error says what is wrong', async () => {
  const wrong = async (change: Partial<LatentModelFields>, message: string) =>
    assert.match(
      (await rejection(() => new LatentModel({ ...model.fields, ...change }), CheckpointError)).message,
      message,
    );
  const { fields } = model;
  const edited = (field: Int32Array, at: number, value: number) => field.map((old, i) => (i === at ? value : old));
  await wrong({ height: 65 }, 'latent height is 65');
  await wrong({ steps: 65 }, '65 quantization indices');
  await wrong({ steps: 3 }, 'gain has 120 values, must have 36');
  await wrong({ mean: edited(fields.mean, 3, 1 << 23) }, 'mean[3] is 8388608');
  await wrong({ order: edited(fields.order, 0, fields.order[1]) }, 'order must name each of 12 channels once');
  await wrong({ references: edited(fields.references, 0, 503) }, 'refers to 503, which is not before it');
  await wrong({ referenceCount: edited(fields.referenceCount, 400, 0) }, 'but counts sum up to');
  await wrong({ shapeClass: edited(fields.shapeClass, 0, 5) }, 'class 5 needs 24');
  await wrong({ shapes: edited(fields.shapes, 5, 1 << 19) }, 'shape 0 entry 5');
  await wrong({ shapes: fields.shapes.subarray(1) }, 'shapes has');
  await wrong({ deadZone: edited(fields.deadZone, 9, 16) }, 'deadZone[9] is 16, must be from -8 to 15');
  await wrong({ deadZone: edited(fields.deadZone, 9, -8) }, 'deadZone[9] is -8, and 0 beyond; borders cross');
  await wrong({ deadZone: edited(edited(fields.deadZone, 9, 9), 105, -7) }, 'deadZone[9] is 9, and -7 beyond');
  const doubled = Int32Array.from([...fields.magnitudeExpected, ...fields.magnitudeExpected]);
  await wrong(
    { deadZone: new Int32Array(6 * SCALE_COUNT), magnitudeExpected: doubled },
    'deadZone has 576 values, must have 384',
  );
  await wrong({ deadZone: new Int32Array(4 * SCALE_COUNT) }, 'magnitudeExpected has');

  const tensors = model.toTensors();
  const mean = tensors.get('mean')!;
  const fromTensors = () => LatentModel.fromTensors(tensors);
  tensors.set('mean', { ...mean, data: mean.data.map((v, i) => (i === 7 ? Number.NaN : v)) });
  assert.match((await rejection(fromTensors, CheckpointError)).message, 'mean[7] is NaN');
  tensors.delete('mean');
  assert.match((await rejection(fromTensors, CheckpointError)).message, 'lacks "mean"');
});

test('damaged models are refused, or still encode and decode faces', () => {
  const random = new CounterRandom(11);
  const names = [...model.toTensors().keys()];
  const symbols = symbolsAt(faces, 0, 4);
  let accepted = 0;
  for (let run = 0; run < 300; run++) {
    const tensors = model.toTensors();
    for (let k = 1 + random.int(4); k > 0; k--) {
      const data = tensors.get(names[random.int(names.length)])!.data;
      const values = [0, 1, -1, 100, -5000, 2 ** 22, 2 ** 40, 0.5, Number.NaN, -Infinity];
      data[random.int(data.length)] = values[random.int(values.length)];
    }
    let damaged: LatentModel;
    try {
      damaged = LatentModel.fromTensors(tensors);
    } catch (error) {
      assert.instance(error, CheckpointError);
      continue;
    }
    accepted++;
    if (damaged.latents !== model.latents) continue;
    assert.equal(decodeLatents(encodeLatents(symbols, 0, damaged), 0, damaged), symbols);
  }
  assert.ok(accepted > 10 && accepted < 290, `${accepted} accepted`);
});

test('codes and symbols that do not fit the model are refused', async () => {
  const symbols = symbolsAt(faces, 0, 4);
  const message = async <E extends Error>(run: () => unknown, type: new (text: string) => E) =>
    (await rejection(run, type)).message;
  assert.match(
    await message(() => encodeLatents(symbols, 10, model), ArgumentError),
    'index is 10, this model has 0 to 9',
  );
  assert.match(await message(() => decodeLatents(new Uint8Array(9), -1, model), ArgumentError), 'index is -1');
  assert.match(await message(() => encodeLatents(symbols.subarray(1), 1, model), ShapeError), '503 symbols');
  const least = symbols.slice().fill(-32768, 3, 4);
  assert.match(await message(() => encodeLatents(least, 1, model), ArgumentError), 'symbol 3 is -32768');
  const long = new Uint8Array(5000).fill(1);
  assert.match(await message(() => decodeLatents(long, 4, model), FormatError), 'need only');
});

test('samples that cannot be fitted are refused', async () => {
  const message = async (run: () => unknown, type: new (text: string) => Error) => (await rejection(run, type)).message;
  assert.match(await message(() => fit({ steps: [] }), ArgumentError), 'no quantization index');
  assert.match(await message(() => fit({ steps: [10] }), ArgumentError), 'index to fit for is 10');
  assert.match(await message(() => fit({ references: 33 }), ArgumentError), '33 references');
  assert.match(await message(() => fit({ gain: [[1, 2]], steps: [0] }), ShapeError), 'must be 12');
  assert.match(
    await message(() => fit({ gain: [new Array(12).fill(0.5)], steps: [0] }), ArgumentError),
    'gain[0][0] is 0.5',
  );
  const broken = { ...training, data: training.data.map((v, i) => (i === 506 ? Number.NaN : v)) };
  const options = { gain: training.gain, steps: [1] };
  assert.match(await message(() => fitLatentModel(broken, options), ArgumentError), 'latent 2 of face 1 is not finite');
  assert.match(await message(() => fitLatentModel({ ...training, count: 5 }, options), ShapeError), 'are not 5 faces');
});

test('channels and faces that never change can be fitted', () => {
  const flat = { ...training, count: 20, data: new Float32Array(20 * 504) };
  const flatModel = fitLatentModel(flat, { gain: training.gain, steps: [2], faces: 20 });
  const zeros = new Int16Array(504);
  assert.ok(encodeLatents(zeros, 2, flatModel).length <= 1);
  const symbols = symbolsAt(faces, 0, 2);
  assert.equal(decodeLatents(encodeLatents(symbols, 2, flatModel), 2, flatModel), symbols);
});

test.run();
