import { ArgumentError, ImageError } from '../common/errors.js';
import { decodeText } from '../common/text.js';
import { alignFace, FACE_HEIGHT, FACE_WIDTH } from '../data/pictures/align.js';
import { MAX_PICTURE_BYTES, readImage } from '../data/pictures/image.js';
import { type LandmarkIndex, type PhotoLandmarks, parseLandmarks, readLandmarks } from '../data/pictures/landmarks.js';
import { stemOf } from './outputs.js';
import { DASH, inputName, readStdin } from './stdin.js';
import { STDIN_NAME } from './terminal.js';

export interface PhotoFace {
  /** What messages call it: the photograph, with the face's number where it has several. */
  input: string;
  /** For outputs: the photograph's name without extension and folder (but folders below one that was given), then -1, -2, … where it has several. */
  name: string;
  /** RGB, 112·96·3 bytes. */
  pixels: Uint8Array;
}

const MAX_LANDMARK_BYTES = 2 ** 28;

/** The landmarks of a file, or of standard input for "-". @throws as `readLandmarks` and `readStdin` */
export async function readLandmarkInput(path: string): Promise<PhotoLandmarks> {
  if (path !== DASH) return readLandmarks(path);
  return parseLandmarks(decodeText(await readStdin(MAX_LANDMARK_BYTES), STDIN_NAME), STDIN_NAME);
}

/**
 * The faces of a photograph: those whose landmarks are listed for it, in that order, or the picture as it is where it
 * has the size of an aligned face and is not listed.
 *
 * @param stem what the face is called, or its name begins with
 * @param onBadFace told of each listed face that cannot be aligned; the others still count
 * @throws ImageError for a picture that cannot be read, or has another size and no landmarks; ArgumentError where the
 *   list for it is empty
 */
export async function readPhotoFaces(
  path: string,
  landmarks: LandmarkIndex | undefined,
  onBadFace: (error: unknown, input: string) => void,
  stem = stemOf(path),
): Promise<PhotoFace[]> {
  const shown = inputName(path);
  const listed = landmarks?.of(path);
  const image = await readImage(path === DASH ? await readStdin(MAX_PICTURE_BYTES) : path, { name: shown });
  if (!listed) {
    const { width, height, data } = image;
    if (width === FACE_WIDTH && height === FACE_HEIGHT) return [{ input: shown, name: stem, pixels: data }];
    const missing = landmarks ? 'its name is not in the landmark file' : 'give its five landmarks with --landmarks';
    throw new ImageError(
      `${shown}: the picture is ${width}×${height}, not an aligned face of ${FACE_WIDTH}×${FACE_HEIGHT} (width×height), and ${missing}`,
    );
  }
  if (listed.length === 0) throw new ArgumentError(`${shown}: the landmark file lists no face for it`);
  return listed.flatMap((points, k) => {
    const several = listed.length > 1;
    const input = several ? `${shown}, face ${k + 1}` : shown;
    try {
      const name = several ? `${stem}-${k + 1}` : stem;
      return [{ input, name, pixels: alignFace(image, points).data }];
    } catch (error) {
      onBadFace(error, input);
      return [];
    }
  });
}
