import * as assert from 'uvu/assert';
import { FaceDetector, type RgbImage } from '../../src/detection/index.js';
import { writeSingleShot } from '../../src/models/single-shot.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { fixedDetectorWeights, SMALL_DETECTOR } from '../models/single-shot-fixture.js';

const test = gpuSuite('single-shot faces');

const picture = (width: number, height: number): RgbImage => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(100),
});

/** A detector whose every cell reports a face of one stride at its centre. @param logit of its score */
async function fixedDetector(logit: number): Promise<FaceDetector> {
  const values = [logit, 0, 0, 0, 0, -0.25, -0.25, 0.25, -0.25, 0, 0, -0.25, 0.25, 0.25, 0.25];
  return FaceDetector.fromWeights(await testGpu(), writeSingleShot(SMALL_DETECTOR, fixedDetectorWeights(values)));
}

test('faces are returned in pixels of the picture, at whatever size it is searched', async () => {
  const detector = await fixedDetector(2);
  // Pixels of the picture per pixel of the network, which sees minFace as 20 pixels.
  for (const [width, minFace, step] of [
    [60, 20, 1],
    [1024, 40, 2],
    [60, 12, 0.6],
    // One input of the network holds the whole picture, so it is not reduced further for larger faces.
    [60, 50, 1],
  ]) {
    const faces = await detector.detect(picture(width, 50), { minFace });
    const [{ score, box, landmarks }] = faces;
    assert.ok(Math.abs(score - 1 / (1 + Math.exp(-2))) < 1e-6, `score ${score}`);
    const widths = new Set(faces.map((face) => Math.round((100 * face.box.width) / step)));
    assert.ok(widths.has(800), `faces of a fine cell among ${[...widths]}`);
    for (const faceWidth of widths) assert.ok([800, 1600, 3200].includes(faceWidth), `width ${faceWidth}`);
    const close = (actual: number, expected: number): void =>
      assert.ok(Math.abs(actual - expected) < 1e-3 * step, `${actual}, not ${expected}`);
    close(landmarks[2][0] + 0.5, box.x + box.width / 2);
    close(landmarks[2][1] + 0.5, box.y + box.height / 2);
    close(landmarks[1][0] - landmarks[0][0], box.width / 2);
  }
  detector.dispose();
});

test('a picture slightly larger than the input of the network is made smaller, and a much larger one is divided into tiles', async () => {
  const detector = await fixedDetector(2);
  for (const [width, step] of [
    [160, 160 / 128],
    [700, 1],
  ]) {
    const faces = await detector.detect(picture(width, 30));
    const fine = faces.filter(({ box }) => Math.abs(box.width - 8 * step) < 0.01).map(({ box }) => box.x);
    for (let x = 0; x < width - 10; x += 8) {
      assert.ok(
        fine.some((left) => Math.abs(left - x) <= 8 * step),
        `no face near ${x} of ${width}`,
      );
    }
  }
  assert.is((await detector.detect(picture(160, 30), { maxFaces: 3 })).length, 3);
  detector.dispose();
});

test('without a face the list is empty, and the default threshold is 0.75', async () => {
  const unsure = await fixedDetector(1);
  assert.equal(await unsure.detect(picture(60, 45)), []);
  assert.ok((await unsure.detect(picture(60, 45), { threshold: 0.7 })).length > 0);
  unsure.dispose();
  const sure = await fixedDetector(3);
  for (const [width, height] of [
    [1, 1],
    [19, 300],
  ]) {
    assert.equal(await sure.detect(picture(width, height)), [], `${width}×${height}: no face fits`);
  }
  sure.dispose();
});

test('a picture of more than MAX_DETECTION_PIXELS is searched at a smaller size', async () => {
  const detector = await fixedDetector(2);
  const [{ box }] = await detector.detect(picture(2300, 2300), { minFace: 2300 });
  // The picture is reduced by 2 and then fitted into 512 pixels; the next smaller size is a quarter of that.
  const cell = (box.width * 512) / 2300 / (box.width > 150 ? 4 : 1);
  assert.ok(
    [8, 16, 32].some((stride) => Math.abs(cell - stride) < 0.01),
    `a cell of ${cell} pixels`,
  );
  detector.dispose();
});

test.run();
