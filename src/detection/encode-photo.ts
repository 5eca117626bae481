import type { FaceCodec } from '../codec/face-codec.js';
import type { FaceContainer, FaceTarget } from '../codec/face-target.js';
import type { RgbImage } from '../common/rgb-image.js';
import { type CropFacesOptions, type CroppedFace, cropFaces } from './crop-faces.js';
import type { FaceDetector } from './face-detector.js';

/** How `encodePhoto` encodes. */
export interface EncodePhotoOptions extends CropFacesOptions {
  /** Default 'file'. */
  container?: FaceContainer;
}

/** A face of a photograph, aligned and encoded. */
export interface PhotoCode extends CroppedFace {
  /** The compact file; null where the face could not be aligned. */
  readonly file: Uint8Array | null;
}

/**
 * From a photograph to the compact files of its faces: found, aligned and encoded.
 * @param codec of faces of 96×112
 * @param target bytes that a face may take, or how good it is to be
 * @returns faces from left to right; none where none is found
 * @throws as `cropFaces` and `FaceCodec.encode`
 */
export async function encodePhoto(
  detector: FaceDetector,
  codec: FaceCodec,
  picture: RgbImage,
  target: FaceTarget,
  { container = 'file', ...options }: EncodePhotoOptions = {},
): Promise<PhotoCode[]> {
  const faces = await cropFaces(detector, picture, options);
  const crops = faces.flatMap(({ crop }) => crop?.data ?? []);
  const files = await codec.encode(crops, target, container);
  let next = 0;
  return faces.map((face) => ({ ...face, file: face.crop ? files[next++] : null }));
}
