import type { FaceLandmarks, Point } from '../../common/face-landmarks.js';
import type { RgbImage } from '../../common/rgb-image.js';
import type { FaceBox } from '../../detection/boxes.js';

/** A picture with one face in it that a detector is to find. */
export interface PictureOfFace {
  readonly image: RgbImage;
  readonly box: FaceBox;
  readonly landmarks: FaceLandmarks;
}

/** How pictures are made harder, by name. */
export const DETECTION_VARIANTS: Readonly<Record<string, (picture: PictureOfFace) => PictureOfFace>> = {
  'turned by 30° to the left': (picture) => turned(picture, -30),
  'turned by 30° to the right': (picture) => turned(picture, 30),
  'half the light': halfTheLight,
  'face of 20 pixels': (picture) => reducedTo(picture, 20),
  'sunglasses painted on': (picture) => painted(picture, overEyes, [25, 25, 28]),
  'mask painted on': (picture) => painted(picture, overMouth, [150, 190, 215]),
};

/** Turned about the face's centre, clockwise; what comes from beyond the border is black. */
function turned({ image, box, landmarks }: PictureOfFace, degrees: number): PictureOfFace {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const [x0, y0] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const { width, height } = image;
  const data = new Uint8Array(image.data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const [dx, dy] = [x + 0.5 - x0, y + 0.5 - y0];
      sample(image, x0 + cos * dx + sin * dy, y0 - sin * dx + cos * dy, data, to);
    }
  }
  // The box about a turned ellipse, not about a turned box: a face keeps its shape.
  const [a, b] = [(box.right - box.left) / 2, (box.bottom - box.top) / 2];
  const [halfWidth, halfHeight] = [Math.hypot(a * cos, b * sin), Math.hypot(a * sin, b * cos)];
  const turn = ([x, y]: Point): Point => {
    const [dx, dy] = [x + 0.5 - x0, y + 0.5 - y0];
    return [x0 + cos * dx - sin * dy - 0.5, y0 + sin * dx + cos * dy - 0.5];
  };
  return {
    image: { width, height, data },
    box: { left: x0 - halfWidth, top: y0 - halfHeight, right: x0 + halfWidth, bottom: y0 + halfHeight },
    landmarks: landmarks.map(turn) as unknown as FaceLandmarks,
  };
}

/** The picture at a place, between its pixels; black beyond its border. */
function sample({ width, height, data }: RgbImage, x: number, y: number, out: Uint8Array, to: number): void {
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  const [left, top] = [Math.max(0, Math.floor(x - 0.5)), Math.max(0, Math.floor(y - 0.5))];
  const [right, bottom] = [Math.min(width - 1, left + 1), Math.min(height - 1, top + 1)];
  const [fx, fy] = [Math.max(0, x - 0.5 - left), Math.max(0, y - 0.5 - top)];
  for (let c = 0; c < 3; c++) {
    const at = (column: number, row: number): number => data[3 * (row * width + column) + c];
    const upper = at(left, top) * (1 - fx) + at(right, top) * fx;
    out[to + c] = Math.round(upper * (1 - fy) + (at(left, bottom) * (1 - fx) + at(right, bottom) * fx) * fy);
  }
}

function halfTheLight(picture: PictureOfFace): PictureOfFace {
  const { image } = picture;
  return { ...picture, image: { ...image, data: image.data.map((level) => level >> 1) } };
}

/** Reduced by means over areas until the square root of the box's area has this many pixels. */
function reducedTo({ image, box, landmarks }: PictureOfFace, side: number): PictureOfFace {
  const factor = Math.max(1, Math.sqrt((box.right - box.left) * (box.bottom - box.top)) / side);
  const scaled = (value: number): number => value / factor;
  return {
    image: reducedBy(image, factor),
    box: { left: scaled(box.left), top: scaled(box.top), right: scaled(box.right), bottom: scaled(box.bottom) },
    landmarks: landmarks.map(
      ([x, y]): Point => [(x + 0.5) / factor - 0.5, (y + 0.5) / factor - 0.5],
    ) as unknown as FaceLandmarks,
  };
}

/** Each pixel the mean of the pixels whose centres lie in its square. */
function reducedBy({ width, height, data }: RgbImage, factor: number): RgbImage {
  const [columns, rows] = [Math.max(1, Math.floor(width / factor)), Math.max(1, Math.floor(height / factor))];
  const sums = new Float64Array(columns * rows * 3);
  const counts = new Float64Array(columns * rows);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = [Math.floor((x + 0.5) / factor), Math.floor((y + 0.5) / factor)];
      if (column >= columns || row >= rows) continue;
      counts[row * columns + column]++;
      for (let c = 0; c < 3; c++) sums[3 * (row * columns + column) + c] += data[3 * (y * width + x) + c];
    }
  }
  return { width: columns, height: rows, data: Uint8Array.from(sums, (sum, k) => sum / counts[Math.floor(k / 3)]) };
}

/** Whether a point is covered: from the middle of the eyes, x along them, in units of their distance. */
type Cover = (x: number, y: number) => boolean;

const overEyes: Cover = (x, y) =>
  ((Math.abs(x) - 0.5) / 0.42) ** 2 + ((y - 0.05) / 0.34) ** 2 < 1 || (Math.abs(x) < 1.05 && Math.abs(y) < 0.05);
const overMouth: Cover = (x, y) => y > 0.5 + 0.1 * x * x && y < 1.8 && Math.abs(x) < (y < 1.1 ? 0.85 : 1.5 - 0.6 * y);

/** Something painted over the face, along its eyes. */
function painted(picture: PictureOfFace, cover: Cover, colour: readonly number[]): PictureOfFace {
  const { image, landmarks } = picture;
  const [left, right] = landmarks;
  const along = [right[0] - left[0], right[1] - left[1]];
  const squared = along[0] ** 2 + along[1] ** 2;
  const data = image.data.slice();
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const [dx, dy] = [x - (left[0] + right[0]) / 2, y - (left[1] + right[1]) / 2];
      const [u, v] = [(dx * along[0] + dy * along[1]) / squared, (dy * along[0] - dx * along[1]) / squared];
      if (cover(u, v)) data.set(colour, 3 * (y * image.width + x));
    }
  }
  return { ...picture, image: { ...image, data } };
}
