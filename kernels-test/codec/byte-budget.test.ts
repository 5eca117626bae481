import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FaceQuantizer, stepsInUnit } from '../../src/codec/byte-budget.js';
import { decodeLatents, encodeLatents, valuesOfSymbols } from '../../src/codec/entropy/latent-stream.js';
import { dependentGain, SymbolChooser } from '../../src/codec/symbol-chooser.js';
import { ArgumentError } from '../../src/common/errors.js';
import { fitLatentModel } from '../../src/training/entropy/fit-latent-model.js';
import { syntheticFaces } from './latent-samples.js';

/** Latents of imaginary faces whose steps are 2^(1/8) apart, as in a face model. */
const STEPS = 56;
const [height, width, channels] = [1, 32, 6];
const gain = Array.from({ length: STEPS }, (_, qIndex) => new Int32Array(channels).fill(qIndex));
// At index 0 most symbols are 0; at the last index they are large.
const training = syntheticFaces(1, 120, height, width, channels);
const others = syntheticFaces(2, 20, height, width, channels);
const latentCount = height * width * channels;
const scaled = (data: Float32Array): Float32Array => data.map((value) => value / 8);

/** Logistic scales of the training values. */
const scales = Float64Array.from({ length: latentCount }, (_, i) => {
  let squares = 0;
  for (let n = 0; n < training.count; n++) squares += (training.data[n * latentCount + i] / 8) ** 2;
  return (Math.sqrt(squares / training.count) * Math.sqrt(3)) / Math.PI;
});
/** Encoders with plain and with dependent quantization. */
const quantizers = [false, true].map((dependent) => {
  const chooser = new SymbolChooser(scales, dependent);
  const gains = gain.map((row) => row.map((qIndex) => (dependent ? dependentGain(qIndex) : qIndex)));
  const choose = (values: Float64Array, qIndex: number, order: Int32Array) =>
    chooser.choose(values, 2 ** (gains[qIndex][0] / 8), chooser.defaultLambda, order);
  const latents = fitLatentModel(
    { ...training, data: scaled(training.data) },
    { gain: gains, steps: [8, 20, 32, 44], choice: { dependent, choose } },
  );
  return new FaceQuantizer({ latents, scales });
});
const faces = Array.from({ length: others.count }, (_, n) =>
  scaled(others.data.subarray(n * latentCount, (n + 1) * latentCount)),
);

/** Squared error at index 0. */
function errorOf({ model }: FaceQuantizer, values: ArrayLike<number>, symbols: Int16Array, qIndex: number): number {
  const reconstructed = valuesOfSymbols(symbols, model.latents);
  let sum = 0;
  for (let i = 0; i < values.length; i++)
    sum += (values[i] - reconstructed[i] / stepsInUnit(model.latents, qIndex)) ** 2;
  return sum;
}

for (const quantizer of quantizers) {
  const { latents } = quantizer.model;
  const kind = latents.quantizers > 1 ? 'dependent' : 'plain';

  test(`${kind}: quantize returns the error of its symbols in units of index 0, whatever the index`, () => {
    for (const qIndex of [0, 9, 30, 55]) {
      const { symbols, error } = quantizer.quantize(faces[0], qIndex, quantizer.defaultLambda);
      assert.ok(Math.abs(error / errorOf(quantizer, faces[0], symbols, qIndex) - 1) < 1e-9);
    }
  });

  test(`${kind}: no code is larger than its budget, and nearly all of a budget is used`, () => {
    const least = encodeLatents(new Int16Array(latentCount), 0, latents).length;
    const finest = Math.min(
      ...faces.map((values) => encodeLatents(quantizer.quantize(values, 55, 0).symbols, 55, latents).length),
    );
    let tried = 0;
    for (let bytes = least; bytes < finest; bytes = Math.ceil(bytes * 1.13)) {
      for (const values of faces) {
        const { symbols, qIndex } = quantizer.fit(values, bytes);
        const code = encodeLatents(symbols, qIndex, latents);
        assert.ok(code.length <= bytes, `${code.length} bytes of ${bytes}`);
        // Of a small budget, a byte or two are a large share.
        assert.ok(code.length >= 0.9 * bytes - 4, `only ${code.length} bytes of ${bytes}`);
        assert.equal([...decodeLatents(code, qIndex, latents)], [...symbols]);
        tried++;
      }
    }
    assert.ok(tried > 200, `${tried} budgets tried`);
  });

  test(`${kind}: a larger budget never increases the error by more than a tiny margin`, () => {
    for (const values of faces.slice(0, 6)) {
      let last = Infinity;
      for (const bytes of [12, 20, 35, 60, 100, 160]) {
        const { symbols, qIndex } = quantizer.fit(values, bytes);
        const error = errorOf(quantizer, values, symbols, qIndex);
        assert.ok(error < last, `${bytes} bytes: error ${error} after ${last}`);
        last = error;
      }
    }
  });

  test(`${kind}: the choice is on average as good as the best of all fitting pairs of index and λ`, () => {
    const ratios: number[] = [];
    for (const values of faces.slice(0, 4)) {
      for (const bytes of [25, 80]) {
        const chosen = quantizer.fit(values, bytes);
        const chosenError = errorOf(quantizer, values, chosen.symbols, chosen.qIndex);
        let best = Infinity;
        for (let qIndex = 0; qIndex < STEPS; qIndex++) {
          for (const lambda of [0.02, 0.05, 0.1, 0.16, 0.25, 0.4]) {
            const { symbols, error } = quantizer.quantize(values, qIndex, lambda);
            if (error < best && encodeLatents(symbols, qIndex, latents).length <= bytes) best = error;
          }
        }
        // With few symbols, each has a large share of the error.
        assert.ok(chosenError < 1.25 * best, `${bytes} bytes: error ${chosenError}; ${best} is possible`);
        ratios.push(Math.log(chosenError / best));
      }
    }
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length);
    assert.ok(mean < 1.06, `errors are ${mean} of what is possible`);
  });

  test(`${kind}: a budget above the size at the finest index gives that size, and zeros take the fewest bytes`, () => {
    const { qIndex } = quantizer.fit(faces[0], 5000);
    assert.is(qIndex, STEPS - 1);
    const nothing = new Int16Array(latentCount);
    const least = encodeLatents(nothing, 0, latents).length;
    for (const values of faces)
      assert.ok(encodeLatents(quantizer.fit(values, least).symbols, 0, latents).length <= least);
    if (least > 0) {
      assert.throws(
        () => quantizer.fit(faces[0], least - 1),
        (error: Error) =>
          error instanceof ArgumentError && /takes at least \d+ bytes; \d+ are allowed/.test(error.message),
      );
    }
  });

  test(`${kind}: values far out of range are encoded within the budget, too`, () => {
    const wild = Float32Array.from({ length: latentCount }, (_, i) => (i % 7 === 0 ? 300 * (-1) ** i : 0));
    for (const bytes of [30, 100, 400]) {
      const { symbols, qIndex } = quantizer.fit(wild, bytes);
      assert.ok(encodeLatents(symbols, qIndex, latents).length <= bytes);
    }
  });

  test(`${kind}: a search that starts from a slightly wrong expected index ends with an equally good choice`, () => {
    for (const values of faces.slice(0, 5)) {
      for (const bytes of [25, 80]) {
        const finest = quantizer.run(Float32Array.from(values), quantizer.expected(bytes, STEPS >> 1));
        const { symbols, qIndex } = quantizer.fit(values, bytes, finest);
        const error = errorOf(quantizer, values, symbols, qIndex);
        assert.equal(quantizer.fit(values, bytes), { symbols, qIndex });
        for (const near of [Math.max(0, finest - 3), Math.min(STEPS - 1, finest + 3)]) {
          const other = quantizer.fit(values, bytes, near);
          assert.ok(encodeLatents(other.symbols, other.qIndex, latents).length <= bytes);
          assert.ok(
            errorOf(quantizer, values, other.symbols, other.qIndex) < 1.1 * error,
            `${near} in place of ${finest}`,
          );
        }
      }
    }
  });
}

test('dependent quantization has a smaller error at the same bytes', () => {
  for (const bytes of [25, 80]) {
    const [plain, dependent] = quantizers.map((quantizer) =>
      faces.reduce((sum, values) => {
        const { symbols, qIndex } = quantizer.fit(values, bytes);
        return sum + errorOf(quantizer, values, symbols, qIndex);
      }, 0),
    );
    assert.ok(dependent < 0.97 * plain, `${bytes} bytes: ${dependent}; plain ${plain}`);
  }
});

test.run();
