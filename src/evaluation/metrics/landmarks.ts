import type { FaceLandmarks, Point } from '../../common/face-landmarks.js';

const distance = ([x, y]: Point, [u, v]: Point): number => Math.hypot(x - u, y - v);

/** The mean distance of five landmarks from the true ones, over the true distance of the eyes: "normalised mean error". */
export function landmarkError(found: FaceLandmarks, truth: FaceLandmarks): number {
  const mean = found.reduce((sum, point, k) => sum + distance(point, truth[k]), 0) / found.length;
  return mean / distance(truth[0], truth[1]);
}
