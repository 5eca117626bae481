// suite: long
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { weightsPath } from '../../src/cli/weights.js';
import { AutoencoderCodec } from '../../src/codec/autoencoder-codec.js';
import { readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import { alignFace } from '../../src/detection/align.js';
import { psnr } from '../../src/evaluation/metrics/picture-quality.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { listAdapters, openFound } from '../../src/gpu/node/adapters.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS } from '../helpers/data-available.js';

// adapters: once

/*
 * Files are encoded on one adapter and decoded on the other: the shipped model on real faces, on SwiftShader and on lavapipe. The
 * files must be equal to the byte, and the pictures to one level per value.
 */
const test = suite('codec story');

const weights = readFileSync(weightsPath());
const found = await listAdapters();
const adapters = new Map<string, { gpu: Gpu; codec: AutoencoderCodec }>();
for (const kind of ['swiftshader', 'lavapipe']) {
  const adapter = found.find((candidate) => candidate.kind === kind);
  const gpu = adapter && (await openFound(adapter).catch(() => undefined));
  if (gpu) adapters.set(kind, { gpu, codec: AutoencoderCodec.fromWeights(gpu, weights) });
  else console.log(`SKIP the codec on ${kind}: ${adapter ? 'this machine’s is refused' : 'not installed'}`);
}
const [one, other] = [...adapters.values()];
const needs = (count: number) => (adapters.size >= count ? test : test.skip);

const all: Uint8Array[] = [];
for (const [photo, list] of await readLandmarks(DEMO_LANDMARKS)) {
  const image = await readImage(join(DEMO_PHOTOS, photo));
  for (const points of list) all.push(alignFace(image, points).data);
}
/** The faces: all of them if there are two adapters to compare; every third if there is only one. */
const faces = adapters.size > 1 ? all : all.filter((_, k) => k % 3 === 0);

/** The files of all faces at each rate, as the first adapter encodes them. */
const files: Uint8Array[][] = [];

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

// When a codec first uses a rate, it records its passes and allocates their memory.
for (const { codec } of adapters.values()) {
  for (let rate = 0; rate < codec.rates; rate++) await codec.decode(await codec.encode([faces[0]], rate));
}

/** Fails if a test leaves an error on a device, or a tensor. */
async function checked(body: () => Promise<void>): Promise<void> {
  const live = [...adapters.values()].map(({ gpu }) => gpu.pool.liveBytes);
  await body();
  for (const { gpu } of adapters.values()) await gpu.sync();
  assert.equal(
    [...adapters.values()].map(({ gpu }) => gpu.pool.liveBytes),
    live,
    'tensors were left behind',
  );
}

needs(1)('real faces become files of a few hundred bytes and come back', () =>
  checked(async () => {
    assert.is(all.length, 20);
    let last = 0;
    for (let rate = 0; rate < one.codec.rates; rate++) {
      files[rate] = await one.codec.encode(faces, rate);
      const restored = await one.codec.decode(files[rate]);
      const bytes = files[rate].reduce((sum, file) => sum + file.length, 0) / faces.length;
      const quality = restored.reduce((sum, face, k) => sum + psnr(faces[k], face), 0) / faces.length;
      console.log(`rate ${rate}: ${bytes.toFixed(1)} bytes, ${quality.toFixed(2)} dB`);
      assert.ok(bytes > last && bytes < 1500, `rate ${rate} takes ${bytes} bytes`);
      // The mean of all faces, the best picture that an empty file could give, has about 14 dB.
      assert.ok(quality > 20, `rate ${rate} has ${quality} dB`);
      last = bytes;
    }
  }),
);

needs(1)('a face has the same file alone and among others', () =>
  checked(async () => {
    for (const k of [0, 3, 6]) assert.equal(await one.codec.encode([faces[k]], 0), [files[0][k]]);
    assert.equal(await one.codec.encode([], 0), []);
    assert.equal(await one.codec.decode([]), []);
  }),
);

needs(1)('files of several rates in one batch come back in their order', () =>
  checked(async () => {
    const mixed = [files[1][3], files[0][4], files[1][5]];
    const alone: Uint8Array[] = [];
    for (const file of mixed) alone.push(...(await one.codec.decode([file])));
    assert.equal(await one.codec.decode(mixed), alone);
  }),
);

needs(2)('both adapters make the same files', () =>
  checked(async () => {
    for (const [rate, expected] of files.entries()) {
      const actual = await other.codec.encode(faces, rate);
      actual.forEach((file, k) => {
        assert.equal(file, expected[k], `face ${k} at rate ${rate}`);
      });
    }
  }),
);

needs(2)('what one adapter encoded, both decode to within one level a pixel', () =>
  checked(async () => {
    let largest = 0;
    for (const [rate, all] of files.entries()) {
      const [here, there] = [await one.codec.decode(all), await other.codec.decode(all)];
      here.forEach((face, k) => {
        const difference = largestDifference(face, there[k]);
        assert.ok(difference <= 1, `face ${k} at rate ${rate}: ${difference} levels`);
        largest = Math.max(largest, difference);
      });
    }
    console.log(`${files.flat().length} files: largest difference of a pixel ${largest}`);
  }),
);

test.after(() => {
  for (const { gpu, codec } of adapters.values()) {
    codec.dispose();
    gpu.destroy();
  }
});

test.run();
