import { NoAdapterError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { applySimilarity, FACE_HEIGHT, FACE_TEMPLATE, FACE_WIDTH, type FaceLandmarks } from '../src/detection/align.js';
import type { DetectedFace } from '../src/detection/face-detector.js';
import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { explain } from './dom.js';
import { detectorOn } from './models.js';

/** Pixels of the smallest face that is looked for. */
const MIN_FACE = 20;
/** The smallest face over the longer side of a picture: at a first look, and at a second where the first finds none. */
const SMALLEST = { first: 1 / 40, second: 1 / 120 };
/** The same in the camera, where a face is near. */
const SMALLEST_NEAR = 1 / 14;
/** More boxes than this could not be told apart. */
const MAX_FACES = 60;
/** How much of a picture the aligned crop takes where nothing says where the face is. */
const DEFAULT_SHARE = 0.7;

/** Finds faces on the page's device, in one picture after the other. */
export class PageDetector {
  #before: Promise<unknown> = Promise.resolve();

  constructor(private readonly device: DeviceKeeper) {}

  /**
   * The faces of a picture, the largest first. Where there seems to be none, it is looked at for smaller ones too.
   * @throws what `detectorOn` and the device throw
   */
  async inPicture(picture: RgbImage): Promise<DetectedFace[]> {
    const side = Math.max(picture.width, picture.height);
    const [first, second] = [SMALLEST.first, SMALLEST.second].map((share) => Math.max(MIN_FACE, share * side));
    const faces = await this.#find(picture, first);
    return faces.length === 0 && second < first ? this.#find(picture, second) : faces;
  }

  /** The faces of a frame of the camera, the largest first; small ones in the background are not looked for. */
  inFrame(frame: RgbImage): Promise<DetectedFace[]> {
    return this.#find(frame, Math.max(MIN_FACE, SMALLEST_NEAR * Math.max(frame.width, frame.height)));
  }

  #find(picture: RgbImage, minFace: number): Promise<DetectedFace[]> {
    const found = this.#before.then(() =>
      this.device.run(async (gpu) => (await detectorOn(gpu)).detect(picture, { minFace, maxFaces: MAX_FACES })),
    );
    this.#before = found.catch(() => {});
    return found.then((faces) => [...faces].sort((a, b) => areaOf(b) - areaOf(a)));
  }
}

const areaOf = ({ box }: DetectedFace): number => box.width * box.height;

/** Why the page finds no faces, to a person. */
export const whyNoFaces = (error: unknown): string =>
  `Faces cannot be found here: ${error instanceof NoAdapterError ? 'that needs a GPU' : explain(error)}.`;

/** A face in the middle of a picture: the template, scaled and moved. */
export function centred(width: number, height: number): FaceLandmarks {
  const a = DEFAULT_SHARE * Math.min(width / FACE_WIDTH, height / FACE_HEIGHT);
  const map = { a, b: 0, tx: (width - a * FACE_WIDTH) / 2, ty: (height - a * FACE_HEIGHT) / 2 };
  return FACE_TEMPLATE.map((point) => applySimilarity(map, point)) as unknown as FaceLandmarks;
}
