import type { FaceLandmarks } from '../../common/face-landmarks.js';
import type { RgbImage } from '../../common/rgb-image.js';
import { textPixels } from './bitmap-font.js';

/** A face as it is drawn into a picture. */
export interface DrawnFace {
  /** In pixels from the picture's corner. */
  box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  landmarks: FaceLandmarks;
  /** What stands above the box. */
  label: string;
}

type Colour = readonly [number, number, number];
const BOX: Colour = [0, 255, 80];
const POINT: Colour = [255, 40, 200];
const SHADE: Colour = [0, 0, 0];
/** Width of a line, as a share of the picture's longer side. */
const LINES = 500;

/** A copy of a picture with the boxes, landmarks and labels of its faces. */
export function drawFaces(image: RgbImage, faces: readonly DrawnFace[]): RgbImage {
  const copy = { ...image, data: image.data.slice() };
  const line = Math.max(1, Math.round(Math.max(image.width, image.height) / LINES));
  for (const { box, landmarks, label } of faces) {
    const { x, y, width, height } = box;
    fill(copy, x - line, y - line, width + 2 * line, line, BOX);
    fill(copy, x - line, y + height, width + 2 * line, line, BOX);
    fill(copy, x - line, y, line, height, BOX);
    fill(copy, x + width, y, line, height, BOX);
    for (const [u, v] of landmarks) fill(copy, u + 0.5 - 1.5 * line, v + 0.5 - 1.5 * line, 3 * line, 3 * line, POINT);
    const above = y - 11 * line < 0 ? y + line : y - 11 * line;
    for (const [shift, colour] of [
      [line, SHADE],
      [0, BOX],
    ] as const) {
      for (const [u, v] of textPixels(label)) {
        fill(copy, x + u * line + shift, above + v * line + shift, line, line, colour);
      }
    }
  }
  return copy;
}

/** Fills a rectangle, as far as it lies in the picture; its corner goes to the nearest pixel. */
function fill({ width, height, data }: RgbImage, x: number, y: number, w: number, h: number, colour: Colour): void {
  const [left, top] = [Math.round(x), Math.round(y)];
  const [right, bottom] = [Math.min(width, left + Math.round(w)), Math.min(height, top + Math.round(h))];
  for (let v = Math.max(0, top); v < bottom; v++) {
    for (let u = Math.max(0, left); u < right; u++) data.set(colour, (v * width + u) * 3);
  }
}
