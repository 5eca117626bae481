// suite: long
import * as assert from 'uvu/assert';
import { readKlt } from '../../src/codec/codec-weights.js';
import { FaceCodec } from '../../src/codec/face-codec.js';
import { psnr } from '../../src/evaluation/metrics/picture-quality.js';
import { demoFaces, smallFaceModel } from '../helpers/budget-fixture.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('face codec with detail layers');
const gpu = await testGpu();
const weights = await smallFaceModel(gpu, 1);
const codec = FaceCodec.fromWeights(gpu, weights);
const faces = (await demoFaces()).slice(0, 10);
// What the codec records for its first faces stays.
await codec.decode(await codec.encode(faces, { maxBytes: 900 }));
await codec.encode(faces, { maxBytes: 300 });
test.after(() => codec.dispose());

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

test('a detail layer improves faces of many bytes, and those of few bytes have none', async () => {
  const quality = async (files: readonly Uint8Array[]): Promise<number> =>
    mean((await codec.decode(files)).map((face, k) => psnr(faces[k], face)));
  const layers = (files: readonly Uint8Array[]): number => files.filter((file) => codec.unpack(file).detail).length;
  for (const maxBytes of [150, 500]) {
    const files = await codec.encode(faces, { maxBytes });
    assert.is(layers(files), 0);
    assert.equal(await codec.encode(faces, { maxBytes, detail: false }), files);
  }
  let last = 0;
  for (const maxBytes of [700, 1000, 2048]) {
    const [without, files] = [
      await codec.encode(faces, { maxBytes, detail: false }),
      await codec.encode(faces, { maxBytes }),
    ];
    assert.is(layers(without), 0);
    assert.ok(layers(files) > faces.length / 2, `${layers(files)} layers`);
    for (const { length } of files) assert.ok(length <= maxBytes, `${length} bytes; at most ${maxBytes}`);
    const [before, after] = [await quality(without), await quality(files)];
    assert.ok(after > before + 0.5 && after > last, `${after} dB, without layers ${before} dB`);
    last = after;
  }
});

test('a face has the same detail layer alone and among others, with symbols chosen on the GPU and on the CPU', async () => {
  const all = await codec.encode(faces.slice(0, 6), { maxBytes: 1000 });
  assert.ok(all.some((file) => codec.unpack(file).detail));
  assert.equal(await codec.encode([faces[4]], { maxBytes: 1000 }), [all[4]]);
  for (const onGpu of [true, false]) {
    const other = FaceCodec.fromKlt(gpu, readKlt(weights), 4, onGpu);
    try {
      assert.equal(await other.encode(faces.slice(0, 6), { maxBytes: 1000 }), all);
    } finally {
      other.dispose();
    }
  }
});

test('a detail layer of a grey picture is grey, and faces with and without one are decoded together', async () => {
  const grey = faces[0].map((_, i) => faces[0][i - (i % 3)]);
  const [[a], [b]] = [
    await codec.encode([grey], { maxBytes: 1500 }),
    await codec.encode([faces[1]], { maxBytes: 200 }),
  ];
  const { detail } = codec.unpack(a);
  assert.is(detail?.symbols.length, 64 * 168);
  const [restored, other] = await codec.decode([a, b]);
  assert.ok(restored.every((value, i) => value === restored[i - (i % 3)]));
  assert.ok(psnr(grey, restored) > 30, `${psnr(grey, restored)} dB`);
  assert.equal([other], await codec.decode([b]));
  assert.equal([restored], await codec.decode([a]));
});

test.run();
