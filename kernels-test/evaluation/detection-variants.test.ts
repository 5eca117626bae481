import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FaceLandmarks, Point } from '../../src/common/face-landmarks.js';
import type { RgbImage } from '../../src/common/rgb-image.js';
import { DETECTION_VARIANTS, type PictureOfFace } from '../../src/evaluation/quality/detection-variants.js';
import { faceless, texture } from '../../src/evaluation/quality/faceless.js';
import { detectionFigures, knownFace } from '../../src/evaluation/quality/measure-detection.js';

const LANDMARKS: FaceLandmarks = [
  [60, 50],
  [80, 50],
  [70, 62],
  [62, 72],
  [78, 72],
];

/** A grey picture with a red dot at each landmark. */
function picture(): PictureOfFace {
  const [width, height] = [150, 120];
  const data = new Uint8Array(width * height * 3).fill(100);
  for (const [x, y] of LANDMARKS) {
    for (let v = -2; v <= 2; v++) for (let u = -2; u <= 2; u++) data.set([250, 0, 0], 3 * ((y + v) * width + x + u));
  }
  return { image: { width, height, data }, box: { left: 50, top: 30, right: 90, bottom: 85 }, landmarks: LANDMARKS };
}

const colourAt = ({ width, data }: RgbImage, [x, y]: Point): number[] => {
  const at = 3 * (Math.round(y) * width + Math.round(x));
  return [...data.subarray(at, at + 3)];
};

test('landmarks of turned and reduced pictures are at the points of the face', () => {
  for (const name of ['turned by 30° to the left', 'turned by 30° to the right', 'face of 20 pixels']) {
    const { image, landmarks, box } = DETECTION_VARIANTS[name](picture());
    for (const point of landmarks) {
      const [red, green] = colourAt(image, point);
      assert.ok(red > green + 50, `${name}: ${red}, ${green} at ${point}`);
      assert.ok(point[0] > box.left && point[0] < box.right && point[1] > box.top && point[1] < box.bottom);
    }
  }
  const left = DETECTION_VARIANTS['turned by 30° to the left'](picture()).landmarks;
  assert.ok(left[1][1] < left[0][1], 'turned to the left, the right eye is higher');
  const { box, image } = DETECTION_VARIANTS['face of 20 pixels'](picture());
  assert.ok(Math.abs(Math.sqrt((box.right - box.left) * (box.bottom - box.top)) - 20) < 1e-9);
  assert.equal([image.width, image.height], [63, 51]);
});

test('a dark picture has half of each level, and covers hide only the eyes, or mouth and nose', () => {
  const { image } = picture();
  const dark = DETECTION_VARIANTS['half the light'](picture()).image;
  assert.ok(dark.data.every((level, k) => level === image.data[k] >> 1));
  const [eye, otherEye, nose, corner, otherCorner] = LANDMARKS;
  for (const [name, covered, free] of [
    ['sunglasses painted on', [eye, otherEye], [nose, corner]],
    ['mask painted on', [nose, corner, otherCorner], [eye, otherEye]],
  ] as const) {
    const painted = DETECTION_VARIANTS[name](picture()).image;
    for (const point of covered) assert.not.equal(colourAt(painted, point), [250, 0, 0], name);
    for (const point of free) assert.equal(colourAt(painted, point), [250, 0, 0], name);
    assert.equal(colourAt(painted, [5, 5]), [100, 100, 100]);
  }
});

test('the part without a face is the largest one, and there is none if a face fills the picture', () => {
  const { image } = picture();
  const part = faceless(image, [{ left: 10, top: 40, right: 30, bottom: 60 }]);
  // The part is to the right of 30 + 10.
  assert.equal([part?.width, part?.height], [110, 120]);
  assert.equal(part?.data.length, 110 * 120 * 3);
  assert.is(colourAt(part!, [20, 50])[0], 250, 'the left eye, 40 pixels further left than in the picture');
  assert.is(faceless(image, [{ left: 40, top: 20, right: 110, bottom: 100 }]), null);
  assert.equal(texture(7), texture(7));
  assert.not.equal(texture(7), texture(12));
});

test('labels are relative to the corner, faces count by score and size, and figures are sums and quantiles', () => {
  const box = { x: 1, y: 2, width: 30, height: 40 };
  const label = { score: 0.8, box, landmarks: LANDMARKS };
  const { counts, right, landmarks } = knownFace(label);
  assert.equal([counts, right, landmarks[0][0]], [true, 31, 59.5]);
  assert.not(knownFace({ ...label, score: 0.79 }).counts);
  assert.not(knownFace({ ...label, box: { ...box, width: 23 } }).counts);
  const result = { name: 'a', faces: 2, found: 1, wrong: 3, errors: [0.5], milliseconds: 4 };
  const figures = detectionFigures('row', [result, { ...result, wrong: 0, errors: [0.1, 0.3], milliseconds: 2 }]);
  assert.equal(figures, {
    name: 'row',
    pictures: 2,
    faces: 4,
    found: 2,
    wrong: 3,
    nme: { mean: 0.3, median: 0.3, high: 0.5 },
    milliseconds: { median: 4, fast: 2 },
  });
  assert.is(detectionFigures('row', [{ ...result, errors: [] }]).nme, null);
});

test.run();
