import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError } from '../../src/common/errors.js';
import type { OpenRecognizer } from '../../src/data/checkpoints/recognizer-source.js';
import { writePng } from '../../src/data/pictures/image.js';
import { type EmbedOptions, embedPictures } from '../../src/evaluation/verification/embed-pictures.js';
import { computedBy, EmbeddingCache } from '../../src/evaluation/verification/embedding-cache.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('embed pictures');
const folder = mkdtempSync(join(tmpdir(), 'cameo-embed-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const pictures = Promise.all(
  ['a', 'b', 'c'].map(async (name, k) => {
    const path = join(folder, `${name}.png`);
    const data = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => (i * (k + 3)) % 251);
    await writePng(path, { width: 96, height: 112, data });
    return { name, path };
  }),
);

/** An untrained network, in the form of an opened recogniser. */
function openTiny(gpu: Gpu, modelId = 'tiny'): OpenRecognizer {
  const recognizer = new CameoFace({ dimension: 8, channels: [4, 4, 4, 8], units: [0, 0, 0, 0] }).initialize(gpu, 3);
  recognizer.eval();
  return { name: 'tiny', modelId, recognizer, dispose: () => recognizer.dispose() };
}

async function withTiny<T>(body: (gpu: Gpu, opened: OpenRecognizer) => Promise<T>): Promise<T> {
  const gpu = await testGpu();
  const opened = openTiny(gpu);
  try {
    return await body(gpu, opened);
  } finally {
    opened.dispose();
  }
}

/** The lines that `run` writes with `console.error`. */
async function told(run: () => Promise<unknown>): Promise<string[]> {
  const lines: string[] = [];
  const { error } = console;
  console.error = (line: string) => lines.push(line);
  try {
    await run();
  } finally {
    console.error = error;
  }
  return lines;
}

test('an embedding that is not finite is an error that names the picture, and is not kept', async () => {
  await withTiny(async (gpu, opened) => {
    const cache = join(folder, 'nan.safetensors');
    const [name, tensor] = [...opened.recognizer.parameters()].at(-1)!;
    tensor.write(new Float32Array(tensor.size).fill(Number.NaN));
    const error = await rejection(
      async () => embedPictures(gpu, opened, await pictures, { cache, batch: 2 }),
      ArgumentError,
    );
    assert.match(error.message, /^a: tiny gives an embedding that is not finite/, name);
    // The picture is not at fault, so it is not left out.
    const unusable: string[] = [];
    const onUnusable = (picture: string): unknown => unusable.push(picture);
    await rejection(async () => embedPictures(gpu, opened, await pictures, { onUnusable }), ArgumentError);
    assert.equal(unusable, []);
  });
});

test('a cache that cannot be written gives one warning, and neither stops the run nor hides its error', async () => {
  await withTiny(async (gpu, opened) => {
    writeFileSync(join(folder, 'file'), '');
    const cache = join(folder, 'file', 'below', 'cache.safetensors');
    let found = new Map<string, Float32Array>();
    const lines = await told(async () => {
      found = await embedPictures(gpu, opened, await pictures, { cache, batch: 1 });
    });
    assert.equal([...found.keys()], ['a', 'b', 'c']);
    assert.is(lines.length, 1, lines.join('\n'));
    assert.match(lines[0], /^cameo: embeddings are not kept for later runs: cannot make the folder .*below/);
    const missing = { name: 'missing', path: join(folder, 'missing.png') };
    const options: EmbedOptions = { cache, batch: 1 };
    await told(async () => {
      const error = await rejection(
        async () => embedPictures(gpu, opened, [...(await pictures), missing], options),
        ImageError,
      );
      assert.match(error.message, /^missing: cannot be read/);
    });

    const direct = await EmbeddingCache.open(cache);
    const twice = await told(async () => {
      for (const key of ['x', 'y']) {
        await direct.set(key, Float32Array.of(1));
        await direct.save();
      }
    });
    assert.is(twice.length, 1);
  });
});

test('embeddings of another device or precision are computed anew', async () => {
  await withTiny(async (gpu, opened) => {
    const cache = join(folder, 'devices.safetensors');
    const dispatches = async (): Promise<number> => {
      const before = gpu.dispatches;
      await embedPictures(gpu, opened, await pictures, { cache });
      return gpu.dispatches - before;
    };
    const [fresh, known] = [await dispatches(), await dispatches()];
    assert.ok(known < fresh, `${known} dispatches with every embedding known, ${fresh} without`);
    const { description, limits } = gpu;
    try {
      Object.assign(gpu, { description: { ...description, description: 'another driver' } });
      assert.is(await dispatches(), fresh);
      assert.is(await dispatches(), known);
    } finally {
      Object.assign(gpu, { description });
    }
    assert.is(await dispatches(), known);
    const half = computedBy({ description, limits: { ...limits, precision: 'f16' } });
    assert.is.not(half, computedBy(gpu));
  });
});

test('a batch size that is not a positive integer is refused', async () => {
  await withTiny(async (gpu, opened) => {
    for (const batch of [0, -1, 1.5, Number.NaN]) {
      const error = await rejection(async () => embedPictures(gpu, opened, await pictures, { batch }), ArgumentError);
      assert.match(error.message, new RegExp(`batch is ${batch}; expected a positive integer`));
    }
  });
});

test.run();
