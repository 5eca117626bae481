import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { AutoencoderCodec } from '../../src/codec/autoencoder-codec.js';
import { FaceCodec } from '../../src/codec/face-codec.js';
import { NotFiniteError } from '../../src/common/errors.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { Embedder } from '../../src/models/embedder.js';
import type { Module } from '../../src/nn/module.js';
import { temporaryFolder, writeTinyModel } from '../cli/cli-fixture.js';
import { demoFaces, shrunk, smallFaceModel, TINY } from '../helpers/budget-fixture.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

/*
 * Embeddings, symbols and pixels that are not finite are errors, not results. Readers of weights refuse NaN, so these tests
 * put it into networks that are already loaded, as if a device computed wrongly.
 */

const test = gpuSuite('results are finite');

/** Fills the first parameter with NaN and calls `body`, then does the same with the last one. */
async function withNan(module: Module, body: (name: string) => Promise<void>): Promise<void> {
  const all = [...module.parameters()];
  for (const [name, tensor] of [all[0], all[all.length - 1]]) {
    const values = await tensor.read();
    tensor.write(new Float32Array(values.length).fill(Number.NaN));
    await body(name);
    tensor.write(values);
  }
}

test('an embedding that is not finite is an error', async () => {
  const gpu = await testGpu();
  const recognizer = new CameoFace({ dimension: 8, channels: [4, 4, 4, 8], units: [0, 0, 0, 0] }).initialize(gpu, 3);
  recognizer.eval();
  const embedder = new Embedder(gpu, recognizer, 2);
  const pixels = new Uint8Array(3 * recognizer.height * recognizer.width * 3).fill(77);
  await withNan(recognizer, async (name) => {
    const error = await rejection(() => embedder.embed(pixels), NotFiniteError);
    assert.match(
      error.message,
      /^Embedder: the values of the embedding of face 0 are not finite \(value 0 is NaN\)/,
      name,
    );
    assert.match(error.message, /weights are damaged, or the device computes wrongly/);
  });
  assert.ok((await embedder.embed(pixels)).every(Number.isFinite));
  embedder.dispose();
  recognizer.dispose();
});

test('symbols and pixels of the codec that are not finite are errors', async () => {
  const gpu = await testGpu();
  const codec = FaceCodec.fromWeights(gpu, await smallFaceModel(gpu, 1, TINY));
  const face = shrunk((await demoFaces())[0], codec.faceSize);
  const files = await codec.encode([face], { maxBytes: 200 });
  let [encoding, decoding] = [0, 0];
  await withNan(codec.model, async (name) => {
    const outcomes = [codec.encode([face], { maxBytes: 200 }), codec.decode(files)];
    for (const [k, outcome] of (await Promise.allSettled(outcomes)).entries()) {
      if (outcome.status === 'fulfilled') continue;
      assert.instance(outcome.reason, NotFiniteError, name);
      assert.match(
        outcome.reason.message,
        k === 0 ? /^encode: the symbols of face 0/ : /^decode: the pixels of face 0/,
      );
      if (k === 0) encoding++;
      else decoding++;
    }
  });
  assert.ok(encoding > 0 && decoding > 0, `${encoding} parameters of the analysis, ${decoding} of the synthesis`);
  assert.equal(await codec.encode([face], { maxBytes: 200 }), files);
  codec.dispose();
});

test('symbols and pixels of the autoencoder that are not finite are errors', async () => {
  const gpu = await testGpu();
  const codec = AutoencoderCodec.fromWeights(gpu, readFileSync(writeTinyModel(join(temporaryFolder(), 'tiny'), 1)));
  const face = new Uint8Array(codec.faceSize.bytes).map((_, i) => (i * 7) % 256);
  const files = await codec.encode([face], 0);
  const failed = new Set<string>();
  await withNan(codec.model, async () => {
    for (const run of [() => codec.encode([face], 0), () => codec.decode(files)]) {
      const error = await run().then(
        () => null,
        (reason: Error) => reason,
      );
      if (error) assert.instance(error, NotFiniteError);
      if (error) failed.add(error.message.split(' of face')[0]);
    }
  });
  assert.equal([...failed].sort(), ['decode: the pixels', 'encode: the symbols']);
  codec.dispose();
});

test.run();
