import { ArgumentError, ImageError } from '../../common/errors.js';
import { type RgbImage, readImage } from '../../data/pictures/image.js';
import {
  alignFace,
  FACE_HEIGHT,
  FACE_TEMPLATE,
  FACE_WIDTH,
  type FaceLandmarks,
  type FaceSize,
} from '../../detection/align.js';
import type { Recognizer } from '../../models/recognizer.js';

/** As the crops that published recognisers were trained on: see AlignOptions. */
const SUBPIXELS = 32;

const SIZES: readonly FaceSize[] = ['96x112', '112x112', '150x150'];

/** The crop that a recogniser takes. @throws ArgumentError for an input size without a known alignment */
export function cropSize({ width, height }: Recognizer): FaceSize {
  const size = SIZES.find((known) => known === `${width}x${height}`);
  if (!size)
    throw new ArgumentError(`no alignment is known for faces of ${width}×${height}; known: ${SIZES.join(', ')}`);
  return size;
}

/**
 * The crop of a face, RGB bytes: by its landmarks in the picture, or, without them, from a picture that is an aligned
 * face of 96×112 already; a larger crop is filled up with its mirror image.
 *
 * @param bytes of a picture's file
 * @throws ImageError for a picture that cannot be read, has another size and no landmarks, or cannot be aligned
 */
export async function faceCrop(
  bytes: Uint8Array,
  name: string,
  size: FaceSize,
  landmarks: FaceLandmarks | undefined,
): Promise<Uint8Array> {
  const image = await readImage(bytes, { name });
  const aligned = image.width === FACE_WIDTH && image.height === FACE_HEIGHT;
  if (!landmarks && !aligned) {
    throw new ImageError(
      `${name}: ${image.width}×${image.height} pixels and no landmarks; expected landmarks, or an aligned face of ${FACE_WIDTH}×${FACE_HEIGHT}`,
    );
  }
  if (!landmarks) return alignedFaceCrop(image.data, size);
  try {
    return photoCrop(image, size, landmarks);
  } catch (cause) {
    if (cause instanceof ArgumentError) throw new ImageError(`${name}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** The crop of a face in a picture, RGB bytes. @throws ArgumentError for landmarks that cannot be those of a face */
export const photoCrop = (image: RgbImage, size: FaceSize, landmarks: FaceLandmarks): Uint8Array =>
  alignFace(image, landmarks, size, { subpixels: SUBPIXELS }).data;

/** The crop of an aligned face of 96×112, RGB bytes: a larger crop is filled up with its mirror image. */
export function alignedFaceCrop(data: Uint8Array, size: FaceSize): Uint8Array {
  if (size === '96x112') return data;
  const image = { width: FACE_WIDTH, height: FACE_HEIGHT, data };
  return alignFace(image, FACE_TEMPLATE, size, { subpixels: SUBPIXELS }).data;
}
