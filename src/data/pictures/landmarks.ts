import { resolve } from 'node:path';
import { ArgumentError, FormatError } from '../../common/errors.js';
import { parseJson } from '../../common/json.js';
import { comparablePath } from '../../common/text.js';
import { type FaceLandmarks, LANDMARK_NAMES, type Point } from '../../detection/align.js';
import { FileError } from '../files/atomic-file.js';
import { isJsonObject, kindOf, readText } from '../files/read-file.js';

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
  const root = parseJson(text, name);
  if (!isJsonObject(root)) throw new FormatError(`${name}: is ${kindOf(root)}; expected an object ${EXAMPLE}`);
  const photos = new Map<string, FaceLandmarks[]>();
  const spellings = new Map<string, string>();
  for (const [photo, faces] of Object.entries(root)) {
    if (photo === NOTE_KEY) {
      if (typeof faces !== 'string')
        throw new FormatError(`${name}: "${NOTE_KEY}" is ${kindOf(faces)}; expected a text`);
      continue;
    }
    const other = spellings.get(comparablePath(photo));
    if (other !== undefined) {
      throw new FormatError(`${name}: the keys "${other}" and "${photo}" name the same file; expected each file once`);
    }
    spellings.set(comparablePath(photo), photo);
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
  const text = await readText(path).catch((error: unknown) => {
    throw error instanceof FileError ? new FormatError(error.message, { cause: error }) : error;
  });
  return parseLandmarks(text, path);
}

/** A picture whose landmarks are looked up. */
export interface NamedPicture {
  path: string;
  /** Its path below the folder that was given, with its extension; undefined for a picture that was given itself. */
  below?: string;
}

/**
 * The faces of each of several pictures, by its path. A key of the landmark file names a picture if it is
 *  1. its path, from the working folder or from the root,
 *  2. its path below the folder that was given,
 *  3. the end of its path: its name, or its name and some folders before it.
 * The first of these that applies decides. '/' and '\\', composed and decomposed letters count as the same.
 */
export class LandmarkIndex {
  /** By key: for each way in which a key can name a picture, the pictures that it names so. */
  readonly #named = new Map<string, [Set<string>, Set<string>, Set<string>]>();
  readonly #faces: ReadonlyMap<string, readonly FaceLandmarks[]>;
  readonly #below = new Map<string, string>();

  /** @param pictures all pictures of the run; a key that names two of them is of no use for either */
  constructor(photos: PhotoLandmarks, pictures: readonly NamedPicture[]) {
    this.#faces = new Map([...photos].map(([key, faces]) => [comparablePath(key), faces]));
    for (const { path, below } of pictures) {
      const full = comparablePath(resolve(path));
      if (below !== undefined) this.#below.set(path, comparablePath(below));
      for (const [key, way] of this.#keysOf(path)) {
        const named = this.#named.get(key) ?? [new Set(), new Set(), new Set()];
        named[way].add(full);
        this.#named.set(key, named);
      }
    }
  }

  /**
   * @returns the faces of a picture; undefined if no key names it
   * @throws ArgumentError if the key that names it names another picture as well
   */
  of(path: string): readonly FaceLandmarks[] | undefined {
    for (const [key, way] of this.#keysOf(path)) {
      const named = this.#named.get(key)!;
      const strongest = named.findIndex((pictures) => pictures.size > 0);
      const [first, second] = named[way];
      if (second !== undefined) {
        throw new ArgumentError(
          `${path}: the key "${key}" of the landmark file names ${first} and ${second}; expected keys with their folders`,
        );
      }
      if (strongest === way) return this.#faces.get(key);
    }
    return undefined;
  }

  /** Keys of the file that can name a picture, and in which way, the best one first. */
  *#keysOf(path: string): Generator<[key: string, way: 0 | 1 | 2]> {
    const full = comparablePath(resolve(path));
    for (const own of new Set([comparablePath(path), full])) if (this.#faces.has(own)) yield [own, 0];
    const below = this.#below.get(path);
    if (below !== undefined && this.#faces.has(below)) yield [below, 1];
    const parts = full.split('/');
    for (let from = 1; from < parts.length; from++) {
      const end = parts.slice(from).join('/');
      if (this.#faces.has(end)) yield [end, 2];
    }
  }
}

/**
 * The faces of one photograph, looked up as by a LandmarkIndex; undefined when not listed.
 */
export function landmarksOf(photos: PhotoLandmarks, path: string): readonly FaceLandmarks[] | undefined {
  return new LandmarkIndex(photos, [{ path }]).of(path);
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
