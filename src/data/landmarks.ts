import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { FormatError } from '../common/errors.js';
import { type FaceLandmarks, LANDMARK_NAMES, type Point } from './align.js';
import { fileErrorReason } from './atomic-file.js';

/** The faces of each photograph, by its name in the landmark file. */
export type PhotoLandmarks = ReadonlyMap<string, readonly FaceLandmarks[]>;

/** This key holds a remark (where the figures come from), not a photograph. */
const NOTE_KEY = '$note';
const EXAMPLE = '{ "photo.jpg": [ [[x, y], …five points], …faces ] }';

/**
 * Parses a landmark file:
 *
 *     { "photo.jpg": [ [[x, y], [x, y], [x, y], [x, y], [x, y]], …one list of five points for each face ], … }
 *
 * The points are left eye, right eye, tip of the nose, left and right corner of the mouth, left and right as seen in
 * the picture, in pixels of the picture turned upright (x to the right, y downwards). Keys are file names, with or
 * without folders. The optional key "$note" holds a text.
 *
 * @param name what errors call the file
 * @throws FormatError that names the place and says what was expected there
 */
export function parseLandmarks(text: string, name = 'landmarks'): PhotoLandmarks {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${name}: not JSON (${(error as Error).message.split('\n')[0]})`, { cause: error });
  }
  if (typeof root !== 'object' || root === null || Array.isArray(root)) {
    throw new FormatError(`${name}: is ${kindOf(root)}; expected an object ${EXAMPLE}`);
  }
  const photos = new Map<string, FaceLandmarks[]>();
  for (const [photo, faces] of Object.entries(root)) {
    if (photo === NOTE_KEY) {
      if (typeof faces !== 'string')
        throw new FormatError(`${name}: "${NOTE_KEY}" is ${kindOf(faces)}; expected a text`);
      continue;
    }
    if (!Array.isArray(faces)) {
      throw new FormatError(`${name}: "${photo}" is ${kindOf(faces)}; expected a list of faces ${EXAMPLE}`);
    }
    photos.set(
      photo,
      faces.map((face, i) => checkFace(face, `${name}: "${photo}" face ${i + 1}`)),
    );
  }
  if (photos.size === 0) throw new FormatError(`${name}: names no photograph; expected ${EXAMPLE}`);
  return photos;
}

/**
 * Reads a landmark file; for its form see parseLandmarks.
 * @throws FormatError for a file that cannot be read or is not of this form
 */
export async function readLandmarks(path: string): Promise<PhotoLandmarks> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new FormatError(`${path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  }
  return parseLandmarks(text, path);
}

/** The faces of a photograph, looked up by its path as given, then by its file name; undefined when not listed. */
export function landmarksOf(photos: PhotoLandmarks, path: string): readonly FaceLandmarks[] | undefined {
  return photos.get(path) ?? photos.get(path.replaceAll('\\', '/')) ?? photos.get(basename(path));
}

function checkFace(face: unknown, place: string): FaceLandmarks {
  if (!Array.isArray(face) || face.length !== 5) {
    throw new FormatError(`${place}: is ${kindOf(face)}; expected five points [x, y] (${LANDMARK_NAMES.join(', ')})`);
  }
  face.forEach((point: unknown, i) => {
    const isPoint = Array.isArray(point) && point.length === 2 && point.every((v) => Number.isFinite(v));
    if (!isPoint) {
      throw new FormatError(`${place}: ${LANDMARK_NAMES[i]} is ${JSON.stringify(point)}; expected two numbers [x, y]`);
    }
  });
  return face as unknown as readonly [Point, Point, Point, Point, Point];
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value === null) return 'null';
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value)}`;
}
