import type { RgbImage } from '../src/common/rgb-image.js';
import {
  applySimilarity,
  FACE_HEIGHT,
  FACE_TEMPLATE,
  FACE_WIDTH,
  type FaceLandmarks,
  fitSimilarity,
  type Point,
  type Similarity,
} from '../src/data/pictures/align.js';
import { withAlpha } from './picture.js';

/** What the Shape Detection API finds (https://wicg.github.io/shape-detection-api/); few browsers have it. */
interface DetectedFace {
  boundingBox: { x: number; y: number; width: number; height: number };
  landmarks?: { type: string; locations: { x: number; y: number }[] }[] | null;
}
type FaceDetectorApi = new (options: {
  maxDetectedFaces: number;
  fastMode: boolean;
}) => {
  detect(source: ImageData): Promise<DetectedFace[]>;
};

/** How much of a picture the aligned crop takes where nothing says where the face is. */
const DEFAULT_SHARE = 0.7;

export interface FoundLandmarks {
  points: FaceLandmarks;
  /** Whether the browser found a face, or the points are only a place to begin. */
  found: boolean;
}

/** Five points by the browser's own face detector; where it has none or finds no face, a face in the picture's middle. */
export async function findLandmarks({ width, height, data }: RgbImage): Promise<FoundLandmarks> {
  const Detector = (globalThis as { FaceDetector?: FaceDetectorApi }).FaceDetector;
  if (Detector) {
    try {
      const [face] = await new Detector({ maxDetectedFaces: 1, fastMode: false }).detect(
        new ImageData(withAlpha(data), width, height),
      );
      if (face) return { points: pointsOf(face), found: true };
    } catch {
      // A browser may have the interface without the service behind it.
    }
  }
  return { points: centred(width, height), found: false };
}

/** The template, moved by a similarity transform. */
const placed = (map: Similarity): FaceLandmarks =>
  FACE_TEMPLATE.map((point) => applySimilarity(map, point)) as unknown as FaceLandmarks;

/** A face in the middle of a picture. */
export function centred(width: number, height: number): FaceLandmarks {
  const a = DEFAULT_SHARE * Math.min(width / FACE_WIDTH, height / FACE_HEIGHT);
  return placed({ a, b: 0, tx: (width - a * FACE_WIDTH) / 2, ty: (height - a * FACE_HEIGHT) / 2 });
}

const middle = (points: readonly Point[]): Point => [
  points.reduce((sum, [x]) => sum + x, 0) / points.length,
  points.reduce((sum, [, y]) => sum + y, 0) / points.length,
];

/** Detectors tell the eyes and the middle of the mouth, or only a box around the face. */
function pointsOf({ boundingBox, landmarks }: DetectedFace): FaceLandmarks {
  const of = (type: string): Point[] =>
    (landmarks ?? [])
      .filter((landmark) => landmark.type === type && landmark.locations.length > 0)
      .map(({ locations }) => middle(locations.map(({ x, y }): Point => [x, y])));
  const eyes = of('eye').sort(([a], [b]) => a - b);
  const [mouth] = of('mouth');
  if (eyes.length === 2) {
    const from = [FACE_TEMPLATE[0], FACE_TEMPLATE[1], ...(mouth ? [middle([FACE_TEMPLATE[3], FACE_TEMPLATE[4]])] : [])];
    return placed(fitSimilarity(from, [...eyes, ...(mouth ? [mouth] : [])]));
  }
  // Boxes usually go from the brows to the chin: rows 38 to 112 of the aligned face.
  const { x, y, width, height } = boundingBox;
  const a = height / 74;
  return placed({ a, b: 0, tx: x + width / 2 - (a * FACE_WIDTH) / 2, ty: y - 38 * a });
}
