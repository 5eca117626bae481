import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FaceLandmarks } from '../../src/common/face-landmarks.js';
import { CounterRandom } from '../../src/common/random.js';
import { FACE_HEIGHT, FACE_TEMPLATE, FACE_WIDTH } from '../../src/detection/align.js';
import { faceQuality, MIN_EYE_DISTANCE, noseOffset, sharpness } from '../../src/detection/face-quality.js';

const test = suite('face-quality');

/** A crop of blocks of 8×8 pixels, with sharp edges between them. */
const random = new CounterRandom(3);
const blocks = Uint8Array.from({ length: 12 * 14 * 3 }, () => Math.floor(256 * random.uniform()));
const crop: Uint8Array = Uint8Array.from({ length: FACE_WIDTH * FACE_HEIGHT * 3 }, (_, i) => {
  const [x, y] = [Math.floor(i / 3) % FACE_WIDTH, Math.floor(i / (3 * FACE_WIDTH))];
  return blocks[(Math.floor(y / 8) * 12 + Math.floor(x / 8)) * 3 + (i % 3)];
});

/** Replaces each pixel by the mean of 3×3, several times, which is nearly a Gaussian blur. */
function smoothed(pixels: Uint8Array, times: number): Uint8Array {
  if (times === 0) return pixels;
  const clamp = (value: number, end: number): number => Math.max(0, Math.min(end - 1, value));
  const mean = pixels.map((_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % FACE_WIDTH, Math.floor(i / (3 * FACE_WIDTH)), i % 3];
    let sum = 0;
    for (let v = -1; v <= 1; v++) {
      const row = clamp(y + v, FACE_HEIGHT) * FACE_WIDTH;
      for (let u = -1; u <= 1; u++) sum += pixels[(row + clamp(x + u, FACE_WIDTH)) * 3 + c];
    }
    return Math.round(sum / 9);
  });
  return smoothed(mean, times - 1);
}

/** The points of the template, enlarged and moved, with the nose moved in the direction of the eyes by a fraction of their distance. */
function face(scale: number, x: number, y: number, nose = 0): FaceLandmarks {
  const points = FACE_TEMPLATE.map(([u, v]) => [x + scale * u, y + scale * v]);
  points[2][0] += nose * scale * 35.24;
  return points as unknown as FaceLandmarks;
}

const size = { width: 300, height: 300 };
const kinds = (landmarks: FaceLandmarks, pixels = crop): string[] =>
  faceQuality(size, landmarks, pixels).map(({ kind }) => kind);

test('a good face has no notes', () => assert.equal(kinds(face(1, 100, 100)), []));

test('each fault has its note', () => {
  const small = faceQuality(size, face(0.4, 100, 100), crop);
  assert.equal(
    small.map(({ kind }) => kind),
    ['small'],
  );
  assert.is(small[0].text, `the face is small: its eyes are 14 pixels apart, wanted are ${MIN_EYE_DISTANCE}`);
  assert.equal(kinds(face(1, 100, 100, 0.7)), ['turned']);
  const [turned] = faceQuality(size, face(1, 100, 100, -0.7), crop);
  assert.is(turned.text, 'the face is turned far to the left');
  assert.equal(kinds(face(1, 100, 100), smoothed(crop, 5)), ['blurred']);
  assert.equal(kinds(face(0.4, 100, 100), smoothed(crop, 5)), ['small'], 'a small face is not called blurred as well');
  const [cut] = faceQuality(size, face(1, -48, 100), crop);
  assert.is(cut.text, "the picture's border cuts the face: 50 % of the crop lies outside");
});

test('the nose of a turned face is off the middle, at any tilt of the head', () => {
  for (const angle of [0, 0.5, -1.2, 3]) {
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const tilted = face(2, 0, 0, 0.3).map(([x, y]) => [c * x - s * y, s * x + c * y]) as unknown as FaceLandmarks;
    assert.ok(Math.abs(noseOffset(tilted) - 0.3) < 0.01, `${noseOffset(tilted)} at ${angle}`);
  }
});

test('sharpness depends neither on contrast nor on brightness, and falls with blur', () => {
  const sharp = sharpness(crop);
  const pale = sharpness(crop.map((value) => 100 + value / 4));
  assert.ok(Math.abs(pale / sharp - 1) < 0.05, `${pale} and ${sharp}`);
  const blurred = [1, 2, 3].map((times) => sharpness(smoothed(crop, times)));
  assert.ok(sharp > blurred[0] && blurred[0] > blurred[1] && blurred[1] > blurred[2], blurred.join());
  assert.is(sharpness(new Uint8Array(crop.length).fill(90)), 0);
});

test.run();
