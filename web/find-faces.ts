import { NoAdapterError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { applySimilarity, FACE_HEIGHT, FACE_TEMPLATE, FACE_WIDTH, type FaceLandmarks } from '../src/detection/align.js';
import type { DetectedFace } from '../src/detection/face-detector.js';
import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { explain } from './dom.js';
import { detectorOn } from './models.js';

/** The smallest face that is searched for, in pixels. */
const MIN_FACE = 20;
/** The smallest face as a share of a picture's longer side: in the first search, and in a second one if the first finds no face. */
const SMALLEST = { first: 1 / 40, second: 1 / 120 };
/** The same for the camera, to which a face is near. */
const SMALLEST_IN_FRAME = 1 / 14;
/** The most faces of a picture; more boxes could not be told apart. */
const MAX_FACES = 60;
/** The share of a picture that the aligned crop takes at first if no face is found. */
const DEFAULT_SHARE = 0.7;

/** Finds faces on the page's device. Searches run one after the other. */
export class PageDetector {
  #before: Promise<unknown> = Promise.resolve();

  constructor(private readonly device: DeviceKeeper) {}

  /**
   * The faces of a picture, the largest first. If the first search finds none, a second one looks for smaller faces.
   * @throws as `detectorOn` and the device
   */
  async inPicture(picture: RgbImage): Promise<DetectedFace[]> {
    const side = Math.max(picture.width, picture.height);
    const [first, second] = [SMALLEST.first, SMALLEST.second].map((share) => Math.max(MIN_FACE, share * side));
    const faces = await this.#find(picture, first);
    return faces.length === 0 && second < first ? this.#find(picture, second) : faces;
  }

  /** The faces of a frame of the camera, the largest first, without small ones in the background. */
  inFrame(frame: RgbImage): Promise<DetectedFace[]> {
    return this.#find(frame, Math.max(MIN_FACE, SMALLEST_IN_FRAME * Math.max(frame.width, frame.height)));
  }

  #find(picture: RgbImage, minFace: number): Promise<DetectedFace[]> {
    const search = this.#before.then(() =>
      this.device.run(async (gpu) => (await detectorOn(gpu)).detect(picture, { minFace, maxFaces: MAX_FACES })),
    );
    this.#before = search.catch(() => {});
    return search.then((faces) => [...faces].sort((a, b) => areaOf(b) - areaOf(a)));
  }
}

const areaOf = ({ box }: DetectedFace): number => box.width * box.height;

/** A sentence for the user that says why the page cannot search for faces. */
export const whyNoFaces = (error: unknown): string =>
  `Faces cannot be found here: ${error instanceof NoAdapterError ? 'that needs a GPU' : explain(error)}.`;

/** Landmarks of a face in the middle of a picture: the template, scaled and moved. */
export function centred(width: number, height: number): FaceLandmarks {
  const a = DEFAULT_SHARE * Math.min(width / FACE_WIDTH, height / FACE_HEIGHT);
  const map = { a, b: 0, tx: (width - a * FACE_WIDTH) / 2, ty: (height - a * FACE_HEIGHT) / 2 };
  return FACE_TEMPLATE.map((point) => applySimilarity(map, point)) as unknown as FaceLandmarks;
}
