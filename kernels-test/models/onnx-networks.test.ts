import * as assert from 'uvu/assert';
import { Autoencoder } from '../../src/models/autoencoder.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { KltAutoencoder } from '../../src/models/klt-autoencoder.js';
import { LandmarkRefiner } from '../../src/models/landmark-refiner.js';
import {
  autoencoderToOnnx,
  detectorToOnnx,
  landmarksToOnnx,
  recognizerToOnnx,
  synthesisToOnnx,
} from '../../src/models/onnx-networks.js';
import { SingleShotDetector } from '../../src/models/single-shot.js';
import type { Module } from '../../src/nn/module.js';
import { affine } from '../../src/ops/unary.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { readOnnxFile } from '../onnx/export/onnx-reader.js';
import { runOnnx } from '../onnx/export/onnxruntime.js';

const test = gpuSuite('networks as ONNX');

/** Fills a module with numbers, so that no layer is one that changes nothing. */
async function withValues<M extends Module>(module: M): Promise<M> {
  const gpu = await testGpu();
  module.initialize(gpu, 3).eval();
  let seed = 0;
  for (const [name, { tensor }] of [...module.entries()].map(([key, parameter]) => [key, parameter] as const)) {
    seed++;
    if (!/(weight|symmetric)$/.test(name)) {
      tensor.write(randomValues(tensor.size, seed, /var$/.test(name) ? [0.5, 1.5] : [-0.1, 0.1]));
    } else if (tensor.shape.length === 4) tensor.write(randomValues(tensor.size, seed, [-0.15, 0.15]));
  }
  return module;
}

/** Compares a file with the engine on these inputs. */
async function check(
  model: Uint8Array,
  shapes: Record<string, readonly number[]>,
  run: (inputs: Record<string, Tensor>) => Tensor,
): Promise<Record<string, string>> {
  const gpu = await testGpu();
  const values = Object.entries(shapes).map(([name, shape], k) => {
    const data = randomValues(
      shape.reduce((a, b) => a * b),
      k + 1,
      [0, 1],
    );
    return { name, shape, data };
  });
  const y = scope(gpu, () =>
    run(Object.fromEntries(values.map(({ name, shape, data }) => [name, Tensor.from(gpu, data, shape)]))),
  );
  const expected = await y.read();
  const [output] = Object.values(await runOnnx(model, Object.fromEntries(values.map((v) => [v.name, v]))));
  assert.equal([...output.shape], [...y.shape]);
  y.dispose();
  const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const difference = expected.reduce((a, b, k) => Math.max(a, Math.abs(b - output.data[k])), 0);
  assert.ok(difference <= 1e-5 * largest, `differs by ${difference} of ${largest}`);
  assert.ok(new Set(expected).size > 3, 'the outputs are not all the same');
  return readOnnxFile(model).metadata;
}

test('a recogniser', async () => {
  const net = await withValues(
    new CameoFace({ width: 32, height: 48, dimension: 6, channels: [4, 4, 8, 8], units: [0, 1, 0, 0] }),
  );
  const model = await recognizerToOnnx(net, { metadata: { weights: '12ab' } });
  const metadata = await check(model, { faces: [2, 48, 32, 3] }, ({ faces }) => net.embed(faces));
  const { scale, ...rest } = metadata;
  assert.equal(rest, {
    weights: '12ab',
    network: 'recognizer',
    width: '32',
    height: '48',
    channels: 'RGB',
    layout: 'nhwc',
    mean: '0',
  });
  assert.is(Number(scale), 1 / 255);
  const read = readOnnxFile(model);
  assert.equal(read.outputs, { embeddings: ['batch', 6] });
  assert.is(read.nodes.filter(({ type }) => type === 'Transpose').length, 1, 'of the picture alone');
  net.dispose();
});

test('a detector and its refiner of landmarks', async () => {
  const net = await withValues(new SingleShotDetector({ stem: [4, 4], width: 4 }));
  const model = await detectorToOnnx(net, [64, 32]);
  const centred = (x: Tensor) => affine(x, 255 / 128, -127.5 / 128);
  const metadata = await check(model, { pictures: [2, 64, 32, 3] }, ({ pictures }) => net.forward(centred(pictures)));
  assert.is(metadata.strides, '8,16,32');
  const refiner = await withValues(new LandmarkRefiner({ widths: [4, 4, 4, 4] }));
  await check(await landmarksToOnnx(refiner), { crops: [2, 64, 64, 3] }, ({ crops }) =>
    refiner.forward(centred(crops)),
  );
  for (const each of [net, refiner]) each.dispose();
});

test('the synthesis of the codec, with an index for each face', async () => {
  const net = await withValues(
    new KltAutoencoder({
      height: 16,
      width: 12,
      band: { luma: [8, 6], chroma: [4, 2] },
      components: [10, 6],
      analysis: { channels: 4, blocks: 0 },
      synthesis: { channels: 4, blocks: 1 },
      steps: 9,
    }),
  );
  const gpu = await testGpu();
  const model = await synthesisToOnnx(net);
  await check(model, { values: [3, 16], q_index: [3, 1] }, ({ values, q_index }) => {
    const fineness = affine(q_index, 2 / 8, -1).view([3, 1, 1, 1]);
    return net.restore(values, { logGain: Tensor.zeros(gpu, [1]), fineness });
  });
  assert.equal(readOnnxFile(model).inputs, { values: ['batch', 16], q_index: ['batch', 1] });
  net.dispose();
});

test("the decoder of the paper's autoencoder at a rate, with channels first", async () => {
  const net = await withValues(
    new Autoencoder({ height: 16, width: 8, stages: [4, 4], latentChannels: 3, residualBlocks: 1, rates: 2 }),
  );
  const metadata = await check(await autoencoderToOnnx(net, 1), { symbols: [2, 4, 2, 3] }, ({ symbols }) =>
    net.restore(symbols, 1),
  );
  assert.is(metadata.rate, '1');
  const first = readOnnxFile(await autoencoderToOnnx(net, 1, { layout: 'nchw' }));
  assert.equal(first.inputs, { symbols: ['batch', 3, 4, 2] });
  assert.equal(first.outputs, { faces: ['batch', 3, 16, 8] });
  assert.is(first.nodes.filter(({ type }) => type === 'Transpose').length, 0);
  net.dispose();
});

test.run();
