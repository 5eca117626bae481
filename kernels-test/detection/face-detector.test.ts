import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { parseLandmarkLines } from '../../src/data/faces/lfw.js';
import { readImage } from '../../src/data/pictures/image.js';
import { alignmentTransform } from '../../src/detection/align.js';
import { type DetectOptions, FaceDetector, type RgbImage } from '../../src/detection/index.js';
import { landmarkError } from '../../src/evaluation/metrics/landmarks.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { findData } from '../helpers/data-available.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { THOROUGH } from '../helpers/thorough.js';
import { inventedWeights } from '../models/mtcnn-fixture.js';

const test = gpuSuite('face-detector');

const picture = (width: number, height: number, value = 100): RgbImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});

/** The places of the five landmarks that the fixed networks give, as fractions of the window. */
const POINTS = { x: [0.25, 0.75, 0.5, 0.375, 0.625], y: [0.25, 0.375, 0.5, 0.75, 0.875] };

/**
 * A detector whose networks give the same result for every window, whatever it shows.
 * @param logits of a face, by network; that of none is 0
 */
async function fixedDetector(logits: readonly [number, number, number]): Promise<FaceDetector> {
  const weights = inventedWeights(3);
  for (const { data } of weights.values()) data.fill(0);
  ['pnet.conv4_1', 'rnet.dense5_1', 'onet.dense6_1'].forEach((name, k) => {
    weights.get(`${name}.bias`)!.data[1] = logits[k];
  });
  weights.get('onet.dense6_3.bias')!.data.set([...POINTS.x, ...POINTS.y]);
  return FaceDetector.fromWeights(await testGpu(), writeSafetensors(weights));
}

async function refusal(run: () => unknown): Promise<Error> {
  try {
    await run();
  } catch (error) {
    return error as Error;
  }
  return assert.unreachable('nothing was thrown') as never;
}

test('a window becomes a face with the score, box and landmarks that the networks give', async () => {
  const detector = await fixedDetector([3, 3, 2]);
  for (const [width, height, factor] of [
    [64, 64, 1],
    [31, 31, 1],
    // A picture of more than 4 megapixels is searched at half its size.
    [2300, 2300, 2],
  ]) {
    const faces = await detector.detect(picture(width, height), { minFace: Math.min(width, height) });
    assert.is(faces.length, 1);
    const [{ score, box, landmarks }] = faces;
    assert.ok(Math.abs(score - 1 / (1 + Math.exp(-2))) < 1e-6, `score ${score}`);
    const close = (actual: number, expected: number, what: string): void =>
      assert.ok(Math.abs(actual - expected) < 0.01 * factor, `${width}×${height}, ${what}: ${actual}, not ${expected}`);
    for (const [key, expected] of Object.entries({ x: 0, y: 0, width, height })) {
      close(box[key as keyof typeof box], expected, key);
    }
    landmarks.forEach(([x, y], k) => {
      close(x, POINTS.x[k] * width - 0.5, `x of point ${k}`);
      close(y, POINTS.y[k] * height - 0.5, `y of point ${k}`);
    });
  }
  detector.dispose();
});

test('windows cover the whole picture, and the returned ones hardly overlap, the best first', async () => {
  const detector = await fixedDetector([3, 3, 2]);
  const faces = await detector.detect(picture(110, 70), { minFace: 24 });
  assert.ok(faces.length > 4);
  const right = Math.max(...faces.map(({ box }) => box.x + box.width));
  const bottom = Math.max(...faces.map(({ box }) => box.y + box.height));
  assert.ok(right > 90 && right < 111 && bottom > 52 && bottom < 71, `up to ${right}, ${bottom}`);
  assert.is((await detector.detect(picture(110, 70), { minFace: 24, maxFaces: 3 })).length, 3);
  assert.equal(await detector.detect(picture(110, 70), { threshold: 0.9 }), [], 'a score of 0.88 is below 0.9');
  detector.dispose();
});

test('without a face the list is empty, whichever network rejects the windows', async () => {
  for (const logits of [
    [-3, 3, 3],
    [3, -3, 3],
    [3, 3, -3],
  ] as const) {
    const detector = await fixedDetector(logits);
    assert.equal(await detector.detect(picture(60, 45)), []);
    detector.dispose();
  }
  const detector = await fixedDetector([3, 3, 3]);
  for (const [width, height] of [
    [1, 1],
    [11, 300],
    [19, 19],
  ]) {
    assert.equal(await detector.detect(picture(width, height)), [], `${width}×${height}: no window fits`);
  }
  detector.dispose();
});

test('wrong arguments are refused by name', async () => {
  const detector = await fixedDetector([3, 3, 3]);
  const cases: [unknown, unknown, RegExp][] = [
    [null, {}, /the picture is null; expected an RgbImage/],
    [{ width: 2, height: 2, data: [1, 2] }, {}, /the picture's data is the array \[1,2\]; expected a Uint8Array/],
    [{ ...picture(4, 4), width: 5 }, {}, /a picture of 5×4 with 48 bytes; expected 60 \(RGB\)/],
    [{ ...picture(4, 4), height: 0 }, {}, /a picture of 4×0; expected positive integers/],
    [picture(4, 4), { minFace: 11 }, /minFace is the number 11; expected a number of pixels, at least 12/],
    [picture(4, 4), { minFace: Number.NaN }, /minFace/],
    [picture(4, 4), { maxFaces: 0 }, /maxFaces is the number 0; expected a positive integer/],
    [picture(4, 4), { maxFaces: 1.5 }, /maxFaces/],
    [picture(4, 4), { threshold: 1.1 }, /threshold is the number 1.1; expected a number from 0 to 1/],
    [picture(4, 4), { threshold: 'high' }, /threshold is "high"/],
    [picture(4, 4), { scale: 2 }, /there is no option "scale"; expected minFace, maxFaces, threshold/],
  ];
  for (const [given, options, pattern] of cases) {
    const error = await refusal(() => detector.detect(given as RgbImage, options as DetectOptions));
    assert.instance(error, ArgumentError);
    assert.match(error.message, pattern);
  }
  detector.dispose();
  const gpu = await testGpu();
  assert.instance(await refusal(() => FaceDetector.fromWeights(gpu, new Uint8Array(9))), CheckpointError);
  assert.match(
    (await refusal(() => FaceDetector.fromWeights({} as never, new Uint8Array()))).message,
    /expected a Gpu/,
  );
  const text = await refusal(() => FaceDetector.fromWeights(gpu, 'mtcnn.safetensors' as never));
  assert.match(text.message, /the weights is "mtcnn.safetensors"; expected a Uint8Array/);
});

const weightsFile = findData('weights/mtcnn.safetensors');
const lfw = findData('lfw/images');
const missing = [weightsFile, lfw].flatMap((part) => ('missing' in part ? [part.missing] : []));
if (missing.length > 0) console.log(`SKIP published weights on LFW: ${missing[0]}`);
const withData = missing.length === 0 ? test : test.skip;

withData('published weights find the faces of LFW, with the landmarks that are given', async () => {
  const gpu = await testGpu();
  const images = (lfw as { path: string }).path;
  const detector = FaceDetector.fromWeights(gpu, readFileSync((weightsFile as { path: string }).path));
  const given = parseLandmarkLines(readFileSync(join(images, '..', 'landmarks.txt'), 'utf8'));
  const names = readFileSync(join(images, '..', 'pairs.txt'), 'utf8')
    .split('\n')
    .map((line) => line.split('\t'))
    .filter((fields) => fields.length >= 3)
    .filter((_, k) => k % (THOROUGH ? 59 : 590) === 0)
    .map(([name, number]) => `${name}/${name}_${number.padStart(4, '0')}.jpg`);
  assert.ok(names.length >= (THOROUGH ? 100 : 10), `only ${names.length} pictures`);
  const errors: number[] = [];
  for (const name of names) {
    const faces = await detector.detect(await readImage(join(images, name)), { minFace: 60 });
    const expected = given.get(name)!;
    const best = Math.min(...faces.map(({ landmarks }) => landmarkError(landmarks, expected)));
    assert.ok(best < 0.25, `${name}: ${best} of the distance of the eyes`);
    for (const { landmarks } of faces) alignmentTransform(landmarks); // alignment accepts the landmarks without changes
    errors.push(best);
  }
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  assert.ok(mean < 0.045, `mean error ${mean} of the distance of the eyes`);
  detector.dispose();
});

test.run();
