import type { LabelledFace } from '../../data/faces/labelled-photos.js';

/** RGB bytes of one size of a photograph. */
interface Level {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A photograph with its copies of 1/2, 1/4, … the size, so that small faces are sampled without aliasing. */
export interface TrainingPhoto {
  readonly levels: readonly Level[];
  readonly faces: readonly LabelledFace[];
}

/** Copies are made down to this many pixels across. */
const SMALLEST = 8;

/** @param data RGB bytes */
export function trainingPhoto(first: Level, faces: readonly LabelledFace[]): TrainingPhoto {
  const levels = [first];
  for (let last = first; Math.min(last.width, last.height) >= 2 * SMALLEST; ) {
    last = halved(last);
    levels.push(last);
  }
  return { levels, faces };
}

/** Means of 2×2 pixels; an odd last row or column is left out. */
function halved({ width, height, data }: Level): Level {
  const [columns, rows] = [width >> 1, height >> 1];
  const half = new Uint8Array(3 * columns * rows);
  for (let y = 0, to = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const at = 3 * (2 * y * width + 2 * x);
      const below = at + 3 * width;
      for (let c = 0; c < 3; c++, to++) {
        half[to] = (data[at + c] + data[at + 3 + c] + data[below + c] + data[below + 3 + c] + 2) >> 2;
      }
    }
  }
  return { width: columns, height: rows, data: half };
}
