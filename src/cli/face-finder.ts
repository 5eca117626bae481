import { ImageError } from '../common/errors.js';
import type { FaceAligner } from '../data/faces/face-set.js';
import type { RgbImage } from '../data/pictures/image.js';
import type { FaceLandmarks } from '../detection/align.js';
import { type CroppedFace, chosenFaces, cropFaces, type FaceChoice } from '../detection/crop-faces.js';
import type { FaceDetector } from '../detection/face-detector.js';
import { DeviceKeeper, type DeviceKeeperOptions } from '../gpu/device-keeper.js';
import { type DetectorFile, detectorOf, detectorPath, readDetector } from './detector-file.js';
import { openDevice } from './device.js';
import { checkFaceOptions, detectOptions, type FaceOptions } from './face-options.js';
import { note } from './terminal.js';

/** Those whose devices are open. */
const open = new Set<FaceFinder>();

/** Closes devices that a command left open, for example after an error; an open device would keep the process from ending. */
export function closeFinders(): void {
  for (const finder of open) finder.close();
}

/** Finds the faces of one photograph after the other. Weights are read and a device is opened when first needed. */
export class FaceFinder {
  #file: Promise<DetectorFile> | undefined;
  #detectorOn: ((gpu: Awaited<ReturnType<typeof openDevice>>) => FaceDetector) | undefined;
  #last: Promise<unknown> = Promise.resolve();
  readonly #keeper: DeviceKeeper;

  /** @throws ArgumentError for options that contradict each other */
  constructor(
    readonly options: FaceOptions = {},
    device: DeviceKeeperOptions = {},
  ) {
    checkFaceOptions(options);
    const onLost = ({ message }: Error): void => note(`${message}: going on with a new one`);
    this.#keeper = new DeviceKeeper(openDevice, { onLost, ...device });
  }

  /** A finder for the faces of a folder's photographs. @throws FileError for a file that is given and cannot be read */
  static async forFolder(detector: string | undefined): Promise<FaceFinder> {
    const finder = new FaceFinder({ detector });
    if (detector !== undefined) await finder.file();
    return finder;
  }

  /** The weights. @throws FileError if there are none */
  file(): Promise<DetectorFile> {
    this.#file ??= readDetector(this.options.detector);
    return this.#file;
  }

  /**
   * All faces of a picture, from left to right. Concurrent calls wait for each other.
   * @throws FileError, CheckpointError for the weights; NoAdapterError
   */
  find(image: RgbImage, input: string): Promise<CroppedFace[]> {
    const found = this.#last.then(() => this.#find(image, input));
    this.#last = found.catch(() => {});
    return found;
  }

  async #find(image: RgbImage, input: string): Promise<CroppedFace[]> {
    const file = await this.file();
    this.#detectorOn ??= this.#keeper.made((gpu) => detectorOf(gpu, file));
    const detectorOn = this.#detectorOn;
    const asked = detectOptions(this.options);
    open.add(this);
    const faces = await this.#keeper.run((gpu) => cropFaces(detectorOn(gpu), image, asked));
    if (faces.length === asked.maxFaces) {
      note(`${input}: the best ${faces.length} faces are kept; there may be more (see --max-faces)`);
    }
    return faces;
  }

  /**
   * The largest face of a photograph, or the one in its middle, that can be aligned.
   * @throws ImageError if there is none; as `find`
   */
  async findOne(
    photo: RgbImage,
    input: string,
    choice: FaceChoice,
  ): Promise<{ landmarks: FaceLandmarks; crop: RgbImage }> {
    const faces = (await this.find(photo, input)).flatMap(({ landmarks, crop }) => (crop ? [{ landmarks, crop }] : []));
    const [chosen] = chosenFaces(photo, faces, choice);
    if (chosen === undefined) {
      throw new ImageError(`${input}: no face found in this picture of ${photo.width}×${photo.height}`);
    }
    return faces[chosen];
  }

  /** Aligns the largest face of each photograph of a folder; undefined if there is no detector. */
  aligner(): FaceAligner | undefined {
    if (detectorPath(this.options.detector) === undefined) return undefined;
    return async (photo, name) => (await this.findOne(photo, name, 'largest')).crop.data;
  }

  /** Frees the device. */
  close(): void {
    open.delete(this);
    this.#keeper.close();
  }
}
