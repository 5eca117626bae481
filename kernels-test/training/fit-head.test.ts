import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inverse, Matrix } from 'ml-matrix';
import * as assert from 'uvu/assert';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { writePng } from '../../src/data/pictures/image.js';
import { CameoFace, type CameoFaceConfig } from '../../src/models/cameo-face.js';
import { writeUnitPixels } from '../../src/models/unit-pixels.js';
import { saveState } from '../../src/nn/state.js';
import { flip } from '../../src/ops/strided.js';
import { keep, scope, Tensor } from '../../src/tensor/tensor.js';
import { FeatureProducts } from '../../src/training/components/feature-products.js';
import { fitHead, withFullHead } from '../../src/training/components/fit-head.js';
import { solvePositive } from '../../src/training/components/solve-positive.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('a head in closed form');
const folder = mkdtempSync(join(tmpdir(), 'cameo-head-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const [HEIGHT, WIDTH, FACES, DIMENSION, RIDGE] = [112, 96, 21, 3, 0.2];
const CONFIG: CameoFaceConfig = {
  width: WIDTH,
  height: HEIGHT,
  dimension: DIMENSION,
  channels: [4, 4, 4, 5],
  units: [0, 1, 0, 0],
};
/** Of the last map. */
const SIZE = 7 * 6 * 5;

async function faces() {
  mkdirSync(join(folder, 'p0'), { recursive: true });
  for (let k = 0; k < FACES; k++) {
    const data = Uint8Array.from(randomValues(HEIGHT * WIDTH * 3, k), (value) => 128 + 100 * value);
    await writePng(join(folder, 'p0', `${k}.png`), { width: WIDTH, height: HEIGHT, data });
  }
  return openFaceFolder(folder);
}

test('is the ridge regression of embeddings on the map, of faces and their mirror images', async () => {
  const gpu = await testGpu();
  const set = await faces();
  const indices = await set.readable();
  assert.is(indices.length, FACES);
  const source = new CameoFace(CONFIG).initialize(gpu, 7);
  const model = withFullHead(gpu, CONFIG, await saveState(source));
  const targets = randomValues(FACES * DIMENSION, 3);
  // Faces of several sets count as those of one.
  const [first, rest] = [indices.slice(0, 9), indices.slice(9)];
  const parts = [
    { faces: set, indices: first, targets: targets.subarray(0, 9 * DIMENSION) },
    { faces: set, indices: rest, targets: targets.subarray(9 * DIMENSION) },
  ];
  await fitHead(gpu, model, parts, RIDGE);

  const pixels = new Float32Array(FACES * HEIGHT * WIDTH * 3);
  writeUnitPixels(await set.batch(indices), pixels);
  const x = keep(Tensor.from(gpu, pixels, [FACES, HEIGHT, WIDTH, 3]));
  const read = async (make: () => Tensor): Promise<Float32Array> => {
    const tensor = scope(gpu, make);
    const values = await tensor.read();
    tensor.dispose();
    return values;
  };
  const [plain, mirrored] = [await read(() => model.features(x)), await read(() => model.features(flip(x, [2])))];
  const rows = new Matrix(2 * FACES, SIZE);
  const wanted = new Matrix(2 * FACES, DIMENSION);
  for (let n = 0; n < 2 * FACES; n++) {
    const own = n < FACES ? plain : mirrored;
    for (let i = 0; i < SIZE; i++) rows.set(n, i, own[(n % FACES) * SIZE + i]);
    for (let d = 0; d < DIMENSION; d++) wanted.set(n, d, targets[(n % FACES) * DIMENSION + d]);
  }
  rows.center('column');
  wanted.center('column');
  const covariance = rows
    .transpose()
    .mmul(rows)
    .div(2 * FACES);
  const ridge = (RIDGE * covariance.trace()) / SIZE;
  const weight = inverse(Matrix.add(covariance, Matrix.eye(SIZE).mul(ridge))).mmul(
    rows
      .transpose()
      .mmul(wanted)
      .div(2 * FACES),
  );
  const expected = rows.mmul(weight);
  const found = [await read(() => model.embed(x)), await read(() => model.embed(flip(x, [2])))];
  let error = 0;
  for (let n = 0; n < 2 * FACES; n++) {
    for (let d = 0; d < DIMENSION; d++) {
      const value = found[n < FACES ? 0 : 1][(n % FACES) * DIMENSION + d];
      error = Math.max(error, Math.abs(value - expected.get(n, d)));
    }
  }
  assert.ok(expected.max() > 0.1, 'the embeddings say something');
  assert.ok(error < 1e-3, `error ${error}`);
  // With the statistics of a batch, as in training, embeddings are about the same.
  model.fullHead!.norm.train();
  const trained = await read(() => model.embed(x));
  const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const correlation = dot(found[0], trained) / Math.sqrt(dot(found[0], found[0]) * dot(trained, trained));
  assert.ok(correlation > 0.9, `correlation ${correlation}`);
  for (const one of [x, source, model]) one.dispose();
});

test('sums of products are the covariances, however the faces are cut into products', async () => {
  const gpu = await testGpu();
  const [faces, size, dimension] = [23, 37, 2];
  const features = randomValues(faces * size, 5);
  const targets = randomValues(faces * dimension, 6);
  const products = new FeatureProducts(gpu, size, dimension, 8, 16);
  for (let first = 0; first < faces; first += 5) {
    const end = Math.min(faces, first + 5);
    products.add(features.subarray(first * size, end * size), targets.subarray(first * dimension, end * dimension));
  }
  const found = await products.read();
  products.dispose();
  const [x, y] = [new Matrix(faces, size), new Matrix(faces, dimension)];
  for (let n = 0; n < faces; n++) {
    for (let i = 0; i < size; i++) x.set(n, i, features[n * size + i]);
    for (let d = 0; d < dimension; d++) y.set(n, d, targets[n * dimension + d]);
  }
  const mean = x.mean('column');
  x.center('column');
  y.center('column');
  const near = (a: Float64Array, b: readonly number[]): void =>
    a.forEach((value, i) => {
      assert.ok(Math.abs(value - b[i]) < 1e-6, `${i}: ${value}, expected ${b[i]}`);
    });
  near(found.mean, mean);
  near(found.covariance, x.transpose().mmul(x).div(faces).to1DArray());
  near(found.crossed, x.transpose().mmul(y).div(faces).to1DArray());
});

test('refuses another head, no ridge and targets of another size', async () => {
  const gpu = await testGpu();
  const set = await faces();
  const other = new CameoFace(CONFIG).initialize(gpu, 1);
  const model = withFullHead(gpu, CONFIG, await saveState(other));
  const fit = (one: CameoFace, size: number, ridge: number) => () =>
    fitHead(gpu, one, [{ faces: set, indices: [0, 1], targets: new Float32Array(size) }], ridge);
  const complains = async (run: () => Promise<void>, complaint: RegExp) => {
    let message = '';
    await run().catch((error: Error) => {
      message = error.message;
    });
    assert.match(message, complaint);
  };
  await complains(fit(other, 6, 1), /no head "full"/);
  await complains(fit(model, 6, 0), /ridge is 0; expected a number above 0/);
  await complains(() => fitHead(gpu, model, [], 1), /0 faces; expected at least 2/);
  await complains(fit(model, 5, 1), /5 values of targets for 2 faces/);
  for (const one of [other, model]) one.dispose();
  assert.throws(() => new CameoFace({ head: 'none' as never }), /head is "none"; expected depthwise or full/);
});

test('solves equations of any size, and refuses a matrix that is not positive definite', () => {
  for (const n of [1, 2, 7, 8, 9, 33]) {
    const random = Matrix.from1DArray(n, n, [...randomValues(n * n, n)]);
    const a = random.mmul(random.transpose()).add(Matrix.eye(n).mul(0.5));
    const b = randomValues(n * 2, 99);
    const found = solvePositive(Float64Array.from(a.to1DArray()), n, Float64Array.from(b), 2);
    const product = a.mmul(Matrix.from1DArray(n, 2, [...found])).to1DArray();
    assert.ok(
      product.every((value, i) => Math.abs(value - b[i]) < 1e-9),
      `${n}`,
    );
  }
  assert.throws(
    () => solvePositive(Float64Array.of(1, 2, 2, 1), 2, Float64Array.of(1, 1), 1),
    /not positive definite \(row 1\)/,
  );
});

test.run();
