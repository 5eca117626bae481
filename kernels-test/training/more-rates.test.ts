// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { Autoencoder } from '../../src/models/autoencoder.js';
import { readAutoencoder, writeAutoencoder } from '../../src/models/model-file.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { withMoreRates } from '../../src/training/more-rates.js';

/** Weights of a small autoencoder, whose gain of channel 1 is unused at rate 0. */
function weights(rates: number): Uint8Array {
  const network = new Autoencoder({ height: 8, width: 8, stages: [4], latentChannels: 2, rates });
  const tensors: HostTensors = new Map(
    [...network.entries()].map(([name, { shape }]) => {
      const data = new Float32Array(shape.reduce((size, extent) => size * extent, 1)).fill(0.5);
      const [, kind, rate] = /^log(Gain|InverseGain|Scale)(\d+)$/.exec(name) ?? [];
      if (kind) data.fill(kind === 'InverseGain' ? -Number(rate) : Number(rate));
      if (kind && rate === '0') data[1] = -14;
      return [name, { shape, data }];
    }),
  );
  return writeAutoencoder(network.config, tensors, { note: 'kept' });
}

test('rates in between have mean gains, and leave out what the lower rate leaves out', () => {
  const { config, tensors, metadata } = readAutoencoder(withMoreRates(weights(3)));
  assert.is(config.rates, 5);
  assert.is(metadata.get('note'), 'kept');
  const of = (name: string): number[][] =>
    Array.from({ length: 5 }, (_, rate) => [...tensors.get(`${name}${rate}`)!.data]);
  assert.equal(of('logGain'), [
    [0, -14],
    [0.5, -14],
    [1, 1],
    [1.5, 1.5],
    [2, 2],
  ]);
  assert.equal(
    of('logInverseGain').map(([first]) => first),
    [-0, -0.5, -1, -1.5, -2],
  );
  const [{ length }] = [new Autoencoder(config).entries()].map((entries) => [...entries.keys()]);
  assert.is(tensors.size, length);
});

test('a file has room for 16 rates: the lowest get rates in between', () => {
  const { config, tensors } = readAutoencoder(withMoreRates(weights(9)));
  assert.is(config.rates, 16);
  const gains = Array.from({ length: 16 }, (_, rate) => tensors.get(`logGain${rate}`)!.data[0]);
  assert.equal(gains, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 8]);
  for (const rates of [1, 16]) {
    assert.throws(
      () => withMoreRates(weights(rates)),
      (error: unknown) => error instanceof ArgumentError && error.message.includes(`${rates} rates`),
    );
  }
});

test.run();
