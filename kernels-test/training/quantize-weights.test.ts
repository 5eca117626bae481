// suite: long
// adapters: once
import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { modelIdOf, readableIdsOf } from '../../src/codec/autoencoder-codec.js';
import { readKlt, tablesOf, writeKlt } from '../../src/codec/codec-weights.js';
import { QUANTIZED_FROM } from '../../src/codec/quantized-from.js';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { sizeOf } from '../../src/common/shapes.js';
import { Autoencoder } from '../../src/models/autoencoder.js';
import { readAutoencoder, writeAutoencoder } from '../../src/models/model-file.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../../src/nn/safetensors.js';
import { COMPONENT_DEFAULTS, quantizeWeights } from '../../src/training/quantize-weights.js';

const trained = await readFile(new URL('../../models/face-mse.safetensors', import.meta.url));

/** Tensors of an architecture with values of a normal distribution. */
function randomTensors(entries: ReadonlyMap<string, { readonly shape: readonly number[] }>): HostTensors {
  const random = new CounterRandom(1);
  return new Map(
    [...entries].map(([name, { shape }]) => [
      name,
      { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => 0.1 * random.normal()) },
    ]),
  );
}

test("the codec's components lose so little as was asked for, its tables nothing, and its faces are still read", () => {
  const before = readKlt(trained);
  const small = quantizeWeights(trained, { bits: 8 });
  assert.ok(small.length < 0.53 * trained.length, `${small.length} bytes of ${trained.length}`);
  const after = readKlt(small);
  const [old, now] = [tablesOf(before), tablesOf(after)];
  assert.equal(now.model.fields, old.model.fields);
  assert.equal(now.order, old.order);
  assert.equal(now.model.ids, [now.model.id, old.model.id]);
  assert.not.equal(now.model.id, old.model.id);
  const deviations = before.tensors.get('logScale')!.data.map((log) => (Math.exp(log) * Math.PI) / Math.sqrt(3));
  let start = 0;
  for (const name of ['symmetric', 'antisymmetric']) {
    const [was, is] = [before.tensors.get(name)!, after.tensors.get(name)!];
    const [rows, columns] = was.shape;
    for (let k = 0; k < columns; k++) {
      const column = ({ data }: typeof was) => Array.from({ length: rows }, (_, row) => data[row * columns + k]);
      const [given, found] = [column(was), column(is)];
      const most = Math.max(...given.map((value, row) => Math.abs(value - found[row])));
      const largest = Math.max(...given.map(Math.abs));
      const step = Math.max(COMPONENT_DEFAULTS.componentStep / deviations[start + k], largest / 127);
      const allowed = k < COMPONENT_DEFAULTS.leading ? 0 : 0.51 * step;
      assert.ok(most <= allowed, `${name}, component ${k}: off by ${most}, allowed ${allowed}`);
    }
    start += columns;
  }
  for (const [name, { shape, data }] of before.tensors) {
    if (shape.length < 2) assert.equal(after.tensors.get(name)!.data, data, name);
  }
});

test('weights that are read and written again are a model of their own, not marked as quantised from another', () => {
  const file = readKlt(quantizeWeights(trained, { bits: 8 }));
  assert.ok(file.metadata.has(QUANTIZED_FROM));
  const again = readKlt(writeKlt(file.config, file.tensors, Object.fromEntries(file.metadata), file.tables));
  assert.not.ok(again.metadata.has(QUANTIZED_FROM));
  assert.is(tablesOf(again).model.ids.length, 1);
});

test('16 bits keep the layers of a network to 11 bits, and 8 bits to half a step', () => {
  const small = { width: 96, height: 112, stages: [4, 8], latentChannels: 4, residualBlocks: 1, rates: 2 };
  const network = new Autoencoder(small as never);
  const bytes = writeAutoencoder(network.config, randomTensors(network.entries()), { note: 'kept' });
  const before = readAutoencoder(bytes);
  for (const [bits, relative] of [
    [16, 2 ** -11],
    [8, 0.51 / 127],
  ] as const) {
    const after = readAutoencoder(quantizeWeights(bytes, { bits }));
    assert.is(after.metadata.get('note'), 'kept');
    assert.equal(readableIdsOf(after), [modelIdOf(after), modelIdOf(before)]);
    assert.not.equal(modelIdOf(after), modelIdOf(before));
    let changed = 0;
    for (const [name, { shape, data }] of before.tensors) {
      const found = after.tensors.get(name)!.data;
      const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const most = data.reduce((far, value, k) => Math.max(far, Math.abs(value - found[k])), 0);
      const stays = shape.length < 2 || data.length < 512;
      assert.ok(most <= (stays ? 0 : relative * largest), `${bits} bits: ${name} is off by ${most} of ${largest}`);
      if (most > 0) changed++;
    }
    assert.ok(changed > 1, `${changed} tensors changed`);
  }
});

test("the autoencoder's kernel of the whole face has steps in proportion to what its values vary", () => {
  const size = {
    stages: [4, 8, 8, 8],
    latentChannels: 3,
    rates: 2,
    global: { features: 24, blocks: 0, importance: true },
  };
  const network = new Autoencoder(size);
  const tensors = randomTensors(network.entries());
  const channels = 3;
  // The last rate has the deviations: those of a logistic distribution with these scales.
  tensors.get('logGain1')!.data.fill(1);
  tensors.get('logScale1')!.data.set([3, 1, -2]);
  const bytes = writeAutoencoder(network.config, tensors);
  const small = quantizeWeights(bytes, { bits: 8, componentStep: 0.01 });
  assert.ok(small.length < 0.4 * bytes.length, `${small.length} bytes of ${bytes.length}`);
  const after = readAutoencoder(small).tensors;
  const [rows, columns] = network.global!.basis.shape;
  const [was, is] = [tensors.get('global.basis')!.data, after.get('global.basis')!.data];
  for (let channel = 0; channel < channels; channel++) {
    const deviation = (Math.exp([2, 0, -3][channel]) * Math.PI) / Math.sqrt(3);
    for (let k = (channel * columns) / channels; k < ((channel + 1) * columns) / channels; k++) {
      const at = (row: number): number => row * columns + k;
      const all = Array.from({ length: rows }, (_, row) => row);
      const largest = Math.max(...all.map((row) => Math.abs(was[at(row)])));
      const most = Math.max(...all.map((row) => Math.abs(was[at(row)] - is[at(row)])));
      const allowed = channel === 0 ? largest * 2 ** -11 : 0.51 * Math.max(0.02 / deviation, largest / 127);
      assert.ok(most <= allowed, `column ${k}: off by ${most}, allowed ${allowed}`);
    }
  }
  for (const name of ['global.mean', 'global.weight']) {
    const [values, found] = [tensors.get(name)!.data, after.get(name)!.data];
    assert.ok(values.every((value, k) => Math.abs(value - found[k]) <= 2 ** -11 * Math.abs(value) + 1e-7));
  }
});

test('weights that are already quantised, and files without weights, are refused', () => {
  const once = quantizeWeights(trained, { bits: 16 });
  assert.throws(
    () => quantizeWeights(once, { bits: 8 }),
    (error: Error) => error instanceof ArgumentError && /quantised already/.test(error.message),
  );
  assert.throws(
    () => quantizeWeights(new Uint8Array(4), { bits: 8 }),
    (error: Error) => error instanceof CheckpointError,
  );
});

test('files with f16 and with float32 weights are read as before', () => {
  const { tensors, metadata } = readSafetensors(trained);
  const half = new Set(['symmetric', 'antisymmetric']);
  assert.equal(writeSafetensors(tensors, metadata, half), new Uint8Array(trained));
  const single = readSafetensors(writeSafetensors(tensors, metadata)).tensors;
  for (const [name, { data }] of tensors) assert.equal(single.get(name)!.data, data, name);
});

test.run();
