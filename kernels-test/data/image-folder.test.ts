import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError } from '../../src/common/errors.js';
import { ImageFolder } from '../../src/data/pictures/image-folder.js';

// adapters: none
const home = mkdtempSync(join(tmpdir(), 'cameo-image-folder-'));
test.after(() => rmSync(home, { recursive: true, force: true }));

/** Writes a picture of one colour. */
async function picture(path: string, [r, g, b]: number[], width = 6, height = 4): Promise<void> {
  mkdirSync(join(path, '..'), { recursive: true });
  await sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .png()
    .toFile(path);
}

const folder = join(home, 'pictures');
test.before(async () => {
  for (let k = 1; k <= 5; k++) await picture(join(folder, 'red', `${k}.png`), [50 * k, 0, 0]);
  for (let k = 1; k <= 12; k++) await picture(join(folder, 'blue', 'deep', `face ${k}.png`), [0, 0, 20 * k]);
});

const open = () => ImageFolder.open(folder, { width: 3, height: 2 });

test('each folder is a class, and pictures come in natural order', async () => {
  const images = await open();
  assert.equal(images.classes, ['blue', 'red']);
  assert.is(images.count, 17);
  assert.is(images.names[1], 'blue/deep/face 2.png');
  const { shape, labels, images: values } = await images.load([0, 12]);
  assert.equal(shape, [2, 2, 3, 3]);
  assert.equal([...labels], [0, 1]);
  const expected = Float32Array.from([0, 0, 20 / 255, 50 / 255, 0, 0]);
  assert.equal(values.slice(0, 3), expected.subarray(0, 3));
  assert.equal(values.slice(18, 21), expected.subarray(3));
});

test('the batches of an epoch hold each picture once, in an order that the seed gives', async () => {
  const images = await open();
  const all = async (options: object) => {
    const batches: number[][] = [];
    for await (const { indices } of images.batches({ batchSize: 4, ...options })) batches.push(indices);
    return batches;
  };
  const plain = await all({});
  assert.equal(plain.flat(), [...Array(17).keys()]);
  assert.equal(
    plain.map(({ length }) => length),
    [4, 4, 4, 4, 1],
  );
  const shuffled = await all({ seed: 3, epochs: 2 });
  assert.equal(shuffled, await all({ seed: 3, epochs: 2 }));
  for (const epoch of [shuffled.slice(0, 5), shuffled.slice(5)]) {
    assert.equal(
      epoch.flat().sort((a, b) => a - b),
      [...Array(17).keys()],
    );
  }
  assert.not.equal(shuffled.slice(0, 5), shuffled.slice(5));
  assert.equal(await all({ seed: 3, epochs: 2, skip: 7 }), shuffled.slice(7));
  assert.is((await all({ dropLast: true })).length, 4);
});

test('grey pictures have one channel, and cover cuts what is too wide', async () => {
  await picture(join(home, 'wide', 'a.png'), [100, 100, 100], 40, 10);
  const grey = await ImageFolder.open(join(home, 'wide'), { width: 5, height: 5, channels: 1, fit: 'cover' });
  assert.equal(grey.classes, ['.']);
  const { images, shape } = await grey.load([0]);
  assert.equal(shape, [1, 5, 5, 1]);
  assert.ok(images.every((value) => Math.abs(value - 100 / 255) < 1e-6));
});

test('a picture that cannot be read is named where its batch would have come', async () => {
  const broken = join(home, 'broken');
  await picture(join(broken, 'a.png'), [1, 2, 3]);
  writeFileSync(join(broken, 'b.png'), 'no picture');
  const images = await ImageFolder.open(broken, { width: 2, height: 2 });
  const batches = images.batches({ batchSize: 1 });
  assert.equal((await batches.next()).value?.indices, [0]);
  const error = await batches.next().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instance(error, ImageError);
  assert.match((error as Error).message, /b\.png/);
});

test('options out of range, a folder without pictures and indices that do not exist are refused', async () => {
  const images = await open();
  const failing: [() => Promise<unknown>, RegExp, typeof ArgumentError | typeof ImageError][] = [
    [() => ImageFolder.open(folder, { width: 0, height: 2 }), /width is the number 0/, ArgumentError],
    [
      () => ImageFolder.open(folder, { width: 2, height: 2, channels: 4 as 3 }),
      /channels is the number 4/,
      ArgumentError,
    ],
    [() => ImageFolder.open(folder, { width: 2, height: 2, size: 3 } as never), /no option "size"/, ArgumentError],
    [() => images.load([17]), /there is no picture 17; expected 0 to 16/, ArgumentError],
    [() => images.batches({ batchSize: 0 }).next(), /batchSize is the number 0/, ArgumentError],
    [() => images.batches({ batchSize: 1, seed: -1 }).next(), /seed is the number -1/, ArgumentError],
  ];
  mkdirSync(join(home, 'empty'));
  failing.push([() => ImageFolder.open(join(home, 'empty'), { width: 2, height: 2 }), /no pictures/, ImageError]);
  for (const [body, message, type] of failing) {
    const error = await body().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.instance(error, type);
    assert.match((error as Error).message, message);
  }
});

test('workers read the same folder side by side', async () => {
  const program = `
    import { parentPort } from 'node:worker_threads';
    import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))};
    register();
    const { ImageFolder } = await import(${JSON.stringify(new URL('../../src/data/pictures/image-folder.ts', import.meta.url).href)});
    const images = await ImageFolder.open(${JSON.stringify(folder)}, { width: 3, height: 2 });
    let sum = 0;
    for await (const batch of images.batches({ batchSize: 5, seed: 9 })) sum += batch.images.reduce((a, b) => a + b, 0);
    parentPort.postMessage(sum.toFixed(3));`;
  const run = () =>
    new Promise<string>((resolve, reject) => {
      const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
      const worker = new Worker(url);
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  const sums = await Promise.all([run(), run()]);
  assert.is(sums[0], sums[1]);
  assert.ok(Number(sums[0]) > 0);
});

test.run();
