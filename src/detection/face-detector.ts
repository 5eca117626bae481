import { refuse, withDefaults } from '../common/arguments.js';
import type { FaceLandmarks, Point } from '../common/face-landmarks.js';
import { reducePicture } from '../common/reduce-picture.js';
import { checkImage, type RgbImage } from '../common/rgb-image.js';
import { Gpu } from '../gpu/gpu.js';
import { type LandmarkRefiner, loadRefiner } from '../models/landmark-refiner.js';
import { loadMtcnn, WINDOWS } from '../models/mtcnn.js';
import { isSingleShot, loadSingleShot, type SingleShotDetector } from '../models/single-shot.js';
import { findFaces } from './cascade.js';
import type { FoundFace } from './cells.js';
import { GpuPicture } from './gpu-picture.js';
import { refineFaces, scoreBefore } from './refine-landmarks.js';
import { findFacesAtOnce, singleShotTiles } from './single-shot-faces.js';

/** What `detect` looks for. */
export interface DetectOptions {
  /**
   * Side of the smallest face in pixels, at least 12; default 20, and in pictures more than 1,280 pixels wide or high a 64th of
   * that. Half of it is four times the time. In pictures of more than MAX_DETECTION_PIXELS, which are made smaller first,
   * faces of less than 12 pixels after that are not found.
   */
  minFace?: number;
  /** Most faces to return, the best ones; default all. */
  maxFaces?: number;
  /** Score that a face needs, from 0 to 1; default 0.7 for MTCNN, and 0.75 for our own network, chosen on held-out photographs. */
  threshold?: number;
}

/** A face in a picture. */
export interface DetectedFace {
  /** From the threshold to 1: how sure the detector is that it is a face. */
  readonly score: number;
  /** In pixels; (0, 0) is the corner of the picture. The box may reach over the border. */
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** As `alignFace` takes them. */
  readonly landmarks: FaceLandmarks;
}

/** Pictures of more pixels than this are made smaller by a whole factor first, which bounds memory and time. */
export const MAX_DETECTION_PIXELS = 4_000_000;

/** Options with all values; the threshold may be the network's own. */
type CheckedOptions = Required<Omit<DetectOptions, 'threshold'>> & Pick<DetectOptions, 'threshold'>;

/** What finds faces in a picture on the GPU. */
export interface Finder {
  /** Score that a face needs where nobody says. */
  readonly threshold: number;
  find(picture: GpuPicture, seen: RgbImage, options: Required<DetectOptions>): Promise<FoundFace[]>;
  dispose(): void;
}

function finderOf(gpu: Gpu, bytes: Uint8Array): Finder {
  if (isSingleShot(bytes)) {
    const refiner = loadRefiner(gpu, bytes);
    const network = loadBeside(refiner, gpu, bytes);
    const tiles = singleShotTiles(network);
    return {
      threshold: 0.75,
      find: async (picture, seen, options) => {
        if (!refiner) return findFacesAtOnce(tiles, picture, seen, options);
        const wanted = { ...options, threshold: scoreBefore(options.threshold), maxFaces: Number.POSITIVE_INFINITY };
        return refineFaces(refiner, network, picture, await findFacesAtOnce(tiles, picture, seen, wanted), options);
      },
      dispose: () => {
        network.dispose();
        refiner?.dispose();
      },
    };
  }
  const networks = loadMtcnn(gpu, bytes);
  return {
    threshold: 0.7,
    find: (picture, seen, { minFace, threshold }) => findFaces(networks, picture, seen, minFace, threshold),
    dispose: () => networks.dispose(),
  };
}

/** Frees the refiner where the detector's own part of the file is damaged. */
function loadBeside(refiner: LandmarkRefiner | null, gpu: Gpu, bytes: Uint8Array): SingleShotDetector {
  try {
    return loadSingleShot(gpu, bytes);
  } catch (error) {
    refiner?.dispose();
    throw error;
  }
}

/** Finds faces and their landmarks in pictures of any size. */
export class FaceDetector {
  private constructor(
    readonly gpu: Gpu,
    private readonly finder: Finder,
  ) {}

  /**
   * @param bytes a safetensors file of our own network, as `cameo train detector` writes it; or of MTCNN: parts `pnet`, `rnet` and
   * `onet`, in PyTorch's layouts
   * @throws CheckpointError for a file that is damaged or of another network
   */
  static fromWeights(gpu: Gpu, bytes: Uint8Array): FaceDetector {
    if (!(gpu instanceof Gpu)) refuse('FaceDetector', 'gpu', gpu, 'a Gpu');
    if (!(bytes instanceof Uint8Array)) refuse('FaceDetector', 'the weights', bytes, 'a Uint8Array');
    return new FaceDetector(gpu, finderOf(gpu, bytes));
  }

  /** @internal With networks of another kind; see `onnxFaceDetector`. */
  static of(gpu: Gpu, finder: Finder): FaceDetector {
    return new FaceDetector(gpu, finder);
  }

  /**
   * Finds the faces of a picture.
   * @param picture RGB bytes with width and height, of any size
   * @returns faces by falling score; none where there is no face
   * @throws ArgumentError for a picture whose bytes do not fit its size, and for options out of range
   */
  async detect(picture: RgbImage, options?: DetectOptions): Promise<DetectedFace[]> {
    checkPicture(picture);
    const { minFace: least, maxFaces, threshold = this.finder.threshold } = checkedOptions(options, picture);
    const factor = Math.ceil(Math.sqrt((picture.width * picture.height) / MAX_DETECTION_PIXELS));
    const seen = reducePicture(picture, factor);
    const minFace = Math.max(least / factor, WINDOWS.proposal);
    if (minFace > Math.min(seen.width, seen.height)) return [];
    const onGpu = new GpuPicture(this.gpu, seen);
    try {
      const faces = await this.finder.find(onGpu, seen, { minFace, maxFaces, threshold });
      return faces.slice(0, maxFaces).map(({ score, left, top, right, bottom, landmarks }) => ({
        score,
        box: { x: left * factor, y: top * factor, width: (right - left) * factor, height: (bottom - top) * factor },
        landmarks: landmarks.map(
          ([x, y]): Point => [(x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5],
        ) as unknown as FaceLandmarks,
      }));
    } finally {
      onGpu.dispose();
    }
  }

  /** Frees the networks. */
  dispose(): void {
    this.finder.dispose();
  }
}

function checkPicture(picture: unknown): asserts picture is RgbImage {
  if (picture === null || typeof picture !== 'object') refuse('detect', 'the picture', picture, 'an RgbImage');
  const { data } = picture as Partial<RgbImage>;
  const isBytes = data instanceof Uint8Array || (data as unknown) instanceof Uint8ClampedArray;
  if (!isBytes) refuse('detect', "the picture's data", data, 'a Uint8Array');
  checkImage(picture as RgbImage);
}

/** Pictures have this many of the smallest faces beside each other, where nobody says how small faces may be. */
const FACES_ACROSS = 64;
const MIN_FACE = 20;

function checkedOptions(options: DetectOptions | undefined, { width, height }: RgbImage): CheckedOptions {
  const all = withDefaults<CheckedOptions>('detect', options, {
    minFace: Math.max(MIN_FACE, Math.max(width, height) / FACES_ACROSS),
    maxFaces: Number.POSITIVE_INFINITY,
    threshold: undefined,
  });
  const { minFace, maxFaces, threshold } = all;
  if (!(minFace >= WINDOWS.proposal && minFace < Number.POSITIVE_INFINITY)) {
    refuse('detect', 'minFace', minFace, `a number of pixels, at least ${WINDOWS.proposal}`);
  }
  if (!(maxFaces >= 1 && (Number.isInteger(maxFaces) || maxFaces === Number.POSITIVE_INFINITY))) {
    refuse('detect', 'maxFaces', maxFaces, 'a positive integer');
  }
  if (threshold !== undefined && !(threshold >= 0 && threshold <= 1))
    refuse('detect', 'threshold', threshold, 'a number from 0 to 1');
  return all;
}
