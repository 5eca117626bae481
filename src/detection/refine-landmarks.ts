import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import { type LandmarkRefiner, REFINER_SIDE, REFINER_VALUES } from '../models/landmark-refiner.js';
import { keep, scope } from '../tensor/tensor.js';
import type { FoundFace } from './cells.js';
import type { CropWindow, GpuPicture } from './gpu-picture.js';

/** The side of a crop, in root mean square distances of the landmarks from their centre: some 105 of an aligned face's 112 rows. */
const SIDE_OF_SPREAD = 4.5;

/** Crops in a pass: kernels are compiled for one shape alone. */
const BATCH = 4;

/** The square in which a refiner looks for landmarks that are known roughly: its centre and side in pixels, in their coordinates. */
export function refinerSquare(landmarks: readonly Point[]): { centre: Point; side: number } {
  const mean = (axis: 0 | 1): number => landmarks.reduce((sum, point) => sum + point[axis], 0) / landmarks.length;
  const centre: Point = [mean(0), mean(1)];
  const squares = landmarks.map(([x, y]) => (x - centre[0]) ** 2 + (y - centre[1]) ** 2);
  const spread = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / landmarks.length);
  return { centre, side: SIDE_OF_SPREAD * spread };
}

/** Faces with landmarks placed anew by a network that looks at each of them closely. */
export async function refineLandmarks(
  network: LandmarkRefiner,
  picture: GpuPicture,
  faces: readonly FoundFace[],
): Promise<FoundFace[]> {
  const refined: FoundFace[] = [];
  for (let first = 0; first < faces.length; first += BATCH) {
    const some = faces.slice(first, first + BATCH);
    const squares = some.map(({ landmarks }) => refinerSquare(landmarks));
    const windows = squares.map(({ centre, side }): CropWindow => {
      // Landmarks count from the centre of the first pixel, windows from its corner.
      const [left, top] = [centre[0] + 0.5 - side / 2, centre[1] + 0.5 - side / 2];
      return { left, top, step: side / REFINER_SIDE };
    });
    const full = Array.from({ length: BATCH }, (_, k) => windows[Math.min(k, windows.length - 1)]);
    const size = { width: REFINER_SIDE, height: REFINER_SIDE };
    const output = scope(picture.gpu, () => keep(network.forward(picture.crops(full, size))));
    try {
      const values = await output.read();
      some.forEach((face, k) => {
        const { centre, side } = squares[k];
        const at = k * REFINER_VALUES;
        const landmarks = face.landmarks.map((_, p): Point => {
          const [x, y] = [values[at + 2 * p], values[at + 2 * p + 1]];
          return [centre[0] + (x * side) / 2, centre[1] + (y * side) / 2];
        });
        refined.push({ ...face, landmarks: landmarks as unknown as FaceLandmarks });
      });
    } finally {
      output.dispose();
    }
  }
  return refined;
}
