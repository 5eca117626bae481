import { ArgumentError } from '../common/errors.js';
import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import { type PictureWindow, reducePicture } from '../common/reduce-picture.js';
import { checkImage, type RgbImage } from '../common/rgb-image.js';

export type { FaceLandmarks, Point } from '../common/face-landmarks.js';

export const LANDMARK_NAMES = ['left eye', 'right eye', 'nose', 'left mouth corner', 'right mouth corner'] as const;

/** Width × height of an aligned crop. */
export type FaceSize = '96x112' | '112x112' | '150x150';

export const FACE_WIDTH = 96;
export const FACE_HEIGHT = 112;

/** Where alignment brings the five landmarks in a crop 96 wide and 112 high. */
export const FACE_TEMPLATE: FaceLandmarks = [
  [30.2946, 51.6963],
  [65.5318, 51.5014],
  [48.0252, 71.7366],
  [33.5493, 92.3655],
  [62.7299, 92.2041],
];

/**
 * Where dlib's face chips of 150×150 have the five landmarks: its mean face shape (eyes and mouth corners; the eyes as the
 * means of their six points), with a quarter of the shape's size around it.
 */
const DLIB_TEMPLATE: FaceLandmarks = (
  [
    [0.2255, 0.216],
    [0.7548, 0.216],
    [0.4901, 0.5156],
    [0.2541, 0.7802],
    [0.7261, 0.7802],
  ] as const
).map(([x, y]): Point => [((0.25 + x) / 1.5) * 150, ((0.25 + y) / 1.5) * 150]) as unknown as FaceLandmarks;

/** A crop 112 wide is the crop 96 wide with 8 more columns on either side. */
const WIDE_MARGIN = 8;

/** The map (x, y) → (a·x − b·y + tx, b·x + a·y + ty): scale √(a² + b²), rotation atan2(b, a), then a shift. */
export interface Similarity {
  a: number;
  b: number;
  tx: number;
  ty: number;
}

/**
 * The similarity transform (rotation, uniform scale, shift; no reflection) that brings points `from` closest to
 * points `to` in the least-squares sense. Umeyama 1991, "Least-squares estimation of transformation parameters
 * between two point patterns", eqs. 40–42: in two dimensions its singular value decomposition has this closed form.
 *
 * @throws ArgumentError for fewer than two points, sets of unequal length, coordinates that are not finite, or
 *   points that all coincide
 */
export function fitSimilarity(from: readonly Point[], to: readonly Point[]): Similarity {
  if (from.length !== to.length || from.length < 2) {
    throw new ArgumentError(
      `fitSimilarity: ${from.length} and ${to.length} points; expected as many of each, at least 2`,
    );
  }
  const [fromX, fromY] = centroid(from);
  const [toX, toY] = centroid(to);
  let dot = 0;
  let cross = 0;
  let square = 0;
  for (let i = 0; i < from.length; i++) {
    const x = from[i][0] - fromX;
    const y = from[i][1] - fromY;
    const u = to[i][0] - toX;
    const v = to[i][1] - toY;
    dot += x * u + y * v;
    cross += x * v - y * u;
    square += x * x + y * y;
  }
  if (!Number.isFinite(dot + cross + square)) throw new ArgumentError('fitSimilarity: a coordinate is not finite');
  if (square === 0) throw new ArgumentError('fitSimilarity: all points to map from coincide');
  const a = dot / square;
  const b = cross / square;
  return { a, b, tx: toX - (a * fromX - b * fromY), ty: toY - (b * fromX + a * fromY) };
}

export function applySimilarity({ a, b, tx, ty }: Similarity, [x, y]: Point): [number, number] {
  return [a * x - b * y + tx, b * x + a * y + ty];
}

export function invertSimilarity({ a, b, tx, ty }: Similarity, [x, y]: Point): [number, number] {
  const norm = a * a + b * b;
  return [(a * (x - tx) + b * (y - ty)) / norm, (a * (y - ty) - b * (x - tx)) / norm];
}

/** Root of the mean squared distance between the mapped `from` and `to`, in pixels of `to`. */
export function fitResidual(transform: Similarity, from: readonly Point[], to: readonly Point[]): number {
  let sum = 0;
  for (let i = 0; i < from.length; i++) {
    const [x, y] = applySimilarity(transform, from[i]);
    sum += (x - to[i][0]) ** 2 + (y - to[i][1]) ** 2;
  }
  return Math.sqrt(sum / from.length);
}

/**
 * The transform from a picture's pixels to those of the aligned crop.
 * @throws ArgumentError for landmarks that cannot be those of a face: not five finite points, coinciding or on one
 *   line, or so far from a face's proportions that they must be wrong or in another order
 */
export function alignmentTransform(landmarks: FaceLandmarks, size: FaceSize = '96x112'): Similarity {
  checkLandmarks(landmarks);
  const margin = size === '112x112' ? WIDE_MARGIN : 0;
  const template = size === '150x150' ? DLIB_TEMPLATE : FACE_TEMPLATE.map(([x, y]): Point => [x + margin, y]);
  const transform = fitSimilarity(landmarks, template);
  const residual = fitResidual(transform, landmarks, template);
  // A face is half as large again in the largest crop, and so are its deviations.
  const max = size === '150x150' ? 1.5 * MAX_RESIDUAL : MAX_RESIDUAL;
  if (residual > max) {
    throw new ArgumentError(
      `landmarks: ${residual.toFixed(1)} pixels (r.m.s., in the crop) from the proportions of a face, at most ${max} are accepted; expected the order ${LANDMARK_NAMES.join(', ')}, left and right as seen in the picture`,
    );
  }
  return transform;
}

/**
 * Cuts out a face, turned, scaled and shifted so that its landmarks lie as closely as possible on FACE_TEMPLATE.
 *
 * Sampling is bilinear. A picture that is reduced by a factor of 2 or more is first reduced by a power of two, to means of whole
 * blocks of pixels; what is left, a factor below 2, takes the mean of 2×2 samples a pixel. Single samples would skip pixels
 * and alias. Beyond its border the picture is continued by its mirror image, without repeating the border pixels.
 *
 * @param landmarks in pixels of the picture
 * @param size width × height of the crop: '96x112' (the codec's), or '112x112' and '150x150' (some recognition networks')
 * @throws ArgumentError for landmarks as in alignmentTransform, or farther outside the picture than half its size
 */
export function alignFace(
  image: RgbImage,
  landmarks: FaceLandmarks,
  size: FaceSize = '96x112',
  { subpixels, smooth }: AlignOptions = {},
): RgbImage {
  checkImage(image);
  const transform = alignmentTransform(landmarks, size);
  checkInside(image, landmarks);
  const [width, height] = size.split('x').map(Number);
  const reduced = reduceAround(image, transform, { width, height });
  return warp(reduced, { width, height }, subpixels, smooth);
}

export interface AlignOptions {
  /**
   * Sample the picture at whole multiples of 1/subpixels of a pixel, as OpenCV's warpAffine does with 32: recognisers are
   * trained on, and compared by, crops that it made. Exactly where they are wanted without.
   */
  subpixels?: number;
  /** Also where the picture is reduced by less than 2, a pixel is the mean of 2×2 samples. */
  smooth?: boolean;
}

/** Landmarks of real faces, profiles included, stay below; with the eyes or all sides exchanged they are above. */
const MAX_RESIDUAL = 14;
/** Spread across the line through the points, over that along it; a face seen from the side has about 0.4. */
const MIN_ASPECT = 0.05;

function checkLandmarks(landmarks: FaceLandmarks): void {
  if (!Array.isArray(landmarks) || landmarks.length !== 5) {
    throw new ArgumentError(`landmarks: expected five points (${LANDMARK_NAMES.join(', ')})`);
  }
  landmarks.forEach((point, i) => {
    if (!Array.isArray(point) || point.length !== 2 || !point.every(Number.isFinite)) {
      throw new ArgumentError(`landmarks: the ${LANDMARK_NAMES[i]} is ${JSON.stringify(point)}; expected [x, y]`);
    }
  });
  const [cx, cy] = centroid(landmarks);
  let xx = 0;
  let xy = 0;
  let yy = 0;
  for (const [x, y] of landmarks) {
    xx += (x - cx) ** 2;
    xy += (x - cx) * (y - cy);
    yy += (y - cy) ** 2;
  }
  // Eigenvalues of the covariance: squared spreads along and across the main axis.
  const half = Math.hypot((xx - yy) / 2, xy);
  const along = (xx + yy) / 2 + half;
  const across = Math.max(0, (xx + yy) / 2 - half);
  if (along < 1) throw new ArgumentError('landmarks: all five points lie within one pixel');
  if (across < MIN_ASPECT ** 2 * along) throw new ArgumentError('landmarks: all five points lie on one line');
}

function checkInside(image: RgbImage, landmarks: FaceLandmarks): void {
  const { width, height } = image;
  landmarks.forEach(([x, y], i) => {
    if (x < -width / 2 || x > 1.5 * width || y < -height / 2 || y > 1.5 * height) {
      throw new ArgumentError(
        `landmarks: the ${LANDMARK_NAMES[i]} at (${x}, ${y}) is far outside the picture of ${width}×${height}`,
      );
    }
  });
}

interface Size {
  width: number;
  height: number;
}

/** A picture, or a reduced part of one, and how it comes into the crop. */
interface Source {
  image: RgbImage;
  transform: Similarity;
  /** Whether it was reduced. */
  reduced: boolean;
}

/** Picture pixels in one of the crop, along each axis. */
const reductionOf = ({ a, b }: Similarity): number => 1 / Math.hypot(a, b);

/** The part of a picture that a crop shows, reduced by the power of two that leaves a factor of 1 to 2. */
function reduceAround(image: RgbImage, transform: Similarity, size: Size): Source {
  const factor = 2 ** Math.floor(Math.log2(reductionOf(transform)));
  if (factor < 2) return { image, transform, reduced: false };
  const window = partShown(image, transform, size, factor);
  const { a, b } = transform;
  // Where the centre of the reduced part's first pixel comes to lie.
  const [x, y] = applySimilarity(transform, [window.left + (factor - 1) / 2, window.top + (factor - 1) / 2]);
  const scaled = { a: a * factor, b: b * factor, tx: x, ty: y };
  return { image: reducePicture(image, factor, window), transform: scaled, reduced: true };
}

/** What a crop shows of a picture, from whole blocks of `block` pixels on; along an axis where it reaches over the border, all. */
function partShown(image: RgbImage, transform: Similarity, size: Size, block: number): PictureWindow {
  const corners = [-1, size.width].flatMap((x) => [-1, size.height].map((y) => invertSimilarity(transform, [x, y])));
  const along = (axis: 0 | 1, extent: number): [number, number] => {
    const low = Math.floor(Math.min(...corners.map((corner) => corner[axis])) / block - 1) * block;
    const high = Math.ceil(Math.max(...corners.map((corner) => corner[axis])) / block + 1) * block;
    return low < 0 || high > extent ? [0, extent] : [low, high];
  };
  const [left, right] = along(0, image.width);
  const [top, bottom] = along(1, image.height);
  return { left, top, width: right - left, height: bottom - top };
}

function warp(
  { image, transform: { a, b, tx, ty }, reduced }: Source,
  { width, height }: Size,
  subpixels?: number,
  smooth = false,
): RgbImage {
  const snap = (value: number): number => (subpixels ? Math.round(value * subpixels) / subpixels : value);
  const norm = a * a + b * b;
  // The inverse map, from the crop to the picture; 1/√norm picture pixels go into one of the crop.
  const ia = a / norm;
  const ib = -b / norm;
  const factor = 1 / Math.sqrt(norm);
  // A tenth above a whole number does not alias visibly, and more samples would blur.
  const samples = smooth || reduced ? Math.max(1, Math.ceil(factor - 0.1)) : 1;
  const data = new Uint8Array(width * height * 3);
  const sum = [0, 0, 0];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      sum.fill(0);
      for (let j = 0; j < samples; j++) {
        const v = y + (j + 0.5) / samples - 0.5 - ty;
        for (let i = 0; i < samples; i++) {
          const u = x + (i + 0.5) / samples - 0.5 - tx;
          addBilinear(image, snap(ia * u - ib * v), snap(ib * u + ia * v), sum);
        }
      }
      for (let c = 0; c < 3; c++) data[at + c] = Math.round(sum[c] / (samples * samples));
    }
  }
  return { width, height, data };
}

function addBilinear({ width, height, data }: RgbImage, x: number, y: number, sum: number[]): void {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const fx = x - left;
  const fy = y - top;
  const x0 = mirror(left, width) * 3;
  const x1 = mirror(left + 1, width) * 3;
  const y0 = mirror(top, height) * width * 3;
  const y1 = mirror(top + 1, height) * width * 3;
  for (let c = 0; c < 3; c++) {
    const upper = data[y0 + x0 + c] * (1 - fx) + data[y0 + x1 + c] * fx;
    const lower = data[y1 + x0 + c] * (1 - fx) + data[y1 + x1 + c] * fx;
    sum[c] += upper * (1 - fy) + lower * fy;
  }
}

/** Index i of an endless sequence 0 1 … n−1 n−2 … 1 0 1 …, for any integer i. */
function mirror(i: number, n: number): number {
  if (i >= 0 && i < n) return i;
  if (n === 1) return 0;
  const period = 2 * (n - 1);
  const rest = ((i % period) + period) % period;
  return rest < n ? rest : period - rest;
}

function centroid(points: readonly Point[]): [number, number] {
  let x = 0;
  let y = 0;
  for (const point of points) {
    x += point[0] / points.length;
    y += point[1] / points.length;
  }
  return [x, y];
}
