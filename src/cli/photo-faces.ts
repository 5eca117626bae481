import { ArgumentError, ImageError } from '../common/errors.js';
import { decodeText } from '../common/text.js';
import { MAX_PICTURE_BYTES, type RgbImage, readImage } from '../data/pictures/image.js';
import { type LandmarkIndex, type PhotoLandmarks, parseLandmarks, readLandmarks } from '../data/pictures/landmarks.js';
import { FACE_HEIGHT, FACE_WIDTH, type FaceLandmarks } from '../detection/align.js';
import { alignedCrop, type CroppedFace, chosenFaces } from '../detection/crop-faces.js';
import { noteWarning } from './complain.js';
import type { FaceFinder } from './face-finder.js';
import type { FaceOptions } from './face-options.js';
import { stemOf } from './outputs.js';
import { DASH, inputName, readStdin } from './stdin.js';
import { STDIN_NAME } from './terminal.js';

/** A face of a photograph that was listed or found; without score and box where it was listed. */
export type FaceInPhoto = Pick<CroppedFace, 'number' | 'landmarks' | 'crop' | 'problem' | 'notes'> &
  Partial<Pick<CroppedFace, 'score' | 'box'>>;

/** A photograph and its faces. */
export interface ReadPhoto {
  /** What messages call it. */
  input: string;
  image: RgbImage;
  /** All faces, from left to right or as they are listed; null for a picture that is an aligned face. */
  faces: FaceInPhoto[] | null;
}

export interface PhotoFace {
  /** What messages call it: the photograph, with the face's number where it has several. */
  input: string;
  /** For outputs: the photograph's name without extension and folder (but folders below one that was given), then -1, -2, … where it has several. */
  name: string;
  /** RGB, 112·96·3 bytes. */
  pixels: Uint8Array;
  /** Absent for a picture that is an aligned face. */
  landmarks?: FaceLandmarks;
}

/** How the faces of photographs are found. */
export interface PhotoReading {
  /** Where some are listed. */
  landmarks?: LandmarkIndex;
  /** Finds the faces of photographs that are not listed, and which of them to take. */
  finder: FaceFinder;
  /** Called for each face that is taken and cannot be aligned; the others still count. */
  onBadFace: (error: unknown, input: string) => void;
}

const MAX_LANDMARK_BYTES = 2 ** 28;

/** The landmarks of a file, or of standard input for "-". @throws as `readLandmarks` and `readStdin` */
export async function readLandmarkInput(path: string): Promise<PhotoLandmarks> {
  if (path !== DASH) return readLandmarks(path);
  return parseLandmarks(decodeText(await readStdin(MAX_LANDMARK_BYTES), STDIN_NAME), STDIN_NAME);
}

/**
 * Reads a photograph and finds its faces: those whose landmarks are listed for it, in that order; the picture as it is where it
 * has the size of an aligned face and is not listed; otherwise those that the detector finds, from left to right.
 * @throws ImageError for a picture that cannot be read, is not in the list that was given, or shows no face; ArgumentError
 *   where the list for it is empty; FileError if there is no detector
 */
export async function readPhoto(
  path: string,
  { landmarks, finder }: Omit<PhotoReading, 'onBadFace'>,
): Promise<ReadPhoto> {
  const input = inputName(path);
  const listed = landmarks?.of(path);
  const image = await readImage(path === DASH ? await readStdin(MAX_PICTURE_BYTES) : path, { name: input });
  if (listed) {
    if (listed.length === 0) throw new ArgumentError(`${input}: the landmark file lists no face for this picture`);
    const faces = listed.map((points, k) => ({ number: k + 1, landmarks: points, ...alignedCrop(image, points) }));
    return { input, image, faces };
  }
  const { width, height } = image;
  if (width === FACE_WIDTH && height === FACE_HEIGHT) return { input, image, faces: null };
  if (landmarks) {
    throw new ImageError(
      `${input}: the picture is ${width}×${height}, not an aligned face of ${FACE_WIDTH}×${FACE_HEIGHT} (width×height), and the landmark file does not list it`,
    );
  }
  const faces = await finder.find(image, input);
  if (faces.length === 0) throw new ImageError(`${input}: no face found in this picture of ${width}×${height}`);
  return { input, image, faces };
}

/**
 * The faces that the options choose.
 * @param choice which where the options say nothing
 * @throws ArgumentError for a number that no face has
 */
export function takenFaces(
  { input, image, faces }: ReadPhoto,
  { faces: which, face }: FaceOptions,
  choice: 'all' | 'largest',
): FaceInPhoto[] {
  const all = faces ?? [];
  if (face === undefined) return chosenFaces(image, all, which ?? choice).map((k) => all[k]);
  const count = faces ? all.length : 1;
  if (face > count) {
    throw new ArgumentError(
      `${input}: there is no face ${face}: the picture has ${count === 1 ? 'one' : count}, counted from the left`,
    );
  }
  return all.slice(face - 1, face);
}

/** What messages call a face, and what its output is called: a number tells faces of one photograph apart. */
export function nameInPhoto({ input, faces }: ReadPhoto, { number }: FaceInPhoto, stem: string, only = false) {
  const several = faces !== null && faces.length > 1;
  return {
    input: several ? `${input}, face ${number}` : input,
    name: several && !only ? `${stem}-${number}` : stem,
  };
}

/** Warns about what makes a face poor. */
export function warnOfFace({ notes }: FaceInPhoto, input: string): void {
  for (const { kind, text } of notes) noteWarning(input, kind, text);
}

/**
 * The faces of a photograph that are taken, aligned; see `readPhoto` and `takenFaces`. Warns about poor ones.
 * @param stem what the face is called, or its name begins with
 * @throws as `readPhoto` and `takenFaces`
 */
export async function readPhotoFaces(path: string, reading: PhotoReading, stem = stemOf(path)): Promise<PhotoFace[]> {
  const photo = await readPhoto(path, reading);
  const { options } = reading.finder;
  const taken = takenFaces(photo, options, 'all');
  if (!photo.faces) return [{ input: photo.input, name: stem, pixels: photo.image.data }];
  return taken.flatMap((face) => {
    const { input, name } = nameInPhoto(photo, face, stem, options.faces === 'largest');
    if (!face.crop) {
      reading.onBadFace(new ArgumentError(face.problem ?? 'it cannot be aligned'), input);
      return [];
    }
    warnOfFace(face, input);
    return [{ input, name, pixels: face.crop.data, landmarks: face.landmarks }];
  });
}
