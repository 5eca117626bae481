import type { Point } from '../../common/face-landmarks.js';

/** A face in a mosaic, in pixels from its corner. */
export interface MosaicFace {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Left eye, right eye, nose, left and right corner of the mouth, as seen in the mosaic. */
  readonly landmarks: readonly Point[];
  /** Share of the box that the mosaic shows. */
  readonly visible: number;
  /** The labeller was not sure. */
  readonly doubtful: boolean;
  /** Its box is a guess from the points, as the photographs' labels have none; their points are poor. */
  readonly guessed: boolean;
}

/** A part of a mosaic: pixels from its left and top to before its right and bottom. */
export interface MosaicTile {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** From pixels of a tile's mosaic to those of the photograph: [a b; c d]·(x, y) + (e, f). */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];
