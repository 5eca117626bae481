import { named } from '../data/checkpoints/weights-file.js';
import type { RgbImage } from '../data/pictures/image.js';
import { type CroppedFace, cropFaces } from '../detection/crop-faces.js';
import { FaceDetector } from '../detection/face-detector.js';
import { DeviceKeeper, type DeviceKeeperOptions } from '../gpu/device-keeper.js';
import { type DetectorFile, readDetector } from './detector-file.js';
import { openDevice } from './device.js';
import { checkFaceOptions, detectOptions, type FaceOptions } from './face-options.js';
import { note } from './terminal.js';

/** Finds the faces of one photograph after the other. Weights are read, and a device opened, when the first one needs them. */
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

  /** The weights. @throws FileError where there are none */
  file(): Promise<DetectorFile> {
    this.#file ??= readDetector(this.options.detector);
    return this.#file;
  }

  /**
   * All faces of a picture, from left to right; one picture at a time, however many are asked for.
   * @throws FileError, CheckpointError for the weights; NoAdapterError
   */
  find(image: RgbImage, input: string): Promise<CroppedFace[]> {
    const found = this.#last.then(() => this.#find(image, input));
    this.#last = found.catch(() => {});
    return found;
  }

  async #find(image: RgbImage, input: string): Promise<CroppedFace[]> {
    const { path, bytes } = await this.file();
    this.#detectorOn ??= this.#keeper.made((gpu) => named(path, () => FaceDetector.fromWeights(gpu, bytes)));
    const detectorOn = this.#detectorOn;
    const asked = detectOptions(this.options);
    const faces = await this.#keeper.run((gpu) => cropFaces(detectorOn(gpu), image, asked));
    if (faces.length === asked.maxFaces) {
      note(`${input}: the best ${faces.length} faces are taken; there may be more, as --max-faces allows`);
    }
    return faces;
  }

  /** Frees the device. */
  close(): void {
    this.#keeper.close();
  }
}
