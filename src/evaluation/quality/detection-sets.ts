import { join } from 'node:path';
import type { Unreadable } from '../../data/faces/face-listing.js';
import { type LabelledFace, type LabelledPhoto, listLabelledPhotos } from '../../data/faces/labelled-photos.js';
import { parseLandmarkLines, parsePairs } from '../../data/faces/lfw.js';
import { readPhotos } from '../../data/faces/photo-folder.js';
import { readText } from '../../data/files/read-file.js';
import type { KnownFace } from '../../detection/face-matches.js';
import { DETECTION_VARIANTS } from './detection-variants.js';
import { faceless, texture } from './faceless.js';
import { type KnownPicture, knownFace } from './measure-detection.js';

/** Sets of pictures that a detector can be tried on. */
export const DETECTION_SETS = ['photos', 'variants', 'faceless', 'lfw'] as const;
export type DetectionSet = (typeof DETECTION_SETS)[number];

/** A picture, and the row of the report that it counts for. */
export interface SetPicture extends KnownPicture {
  readonly row: string;
}

/** Number of textures. */
const TEXTURES = 100;

/** Number of pictures of a list, spread evenly over it. */
function spread<T>(list: readonly T[], limit: number): T[] {
  const count = Math.min(limit, list.length);
  return Array.from({ length: count }, (_, k) => list[Math.floor((k * list.length) / count)]);
}

type BoxedFace = LabelledFace & { box: NonNullable<LabelledFace['box']> };
const boxed = ({ faces }: LabelledPhoto): BoxedFace[] =>
  faces.flatMap(({ box, ...face }) => (box ? [{ ...face, box }] : []));

/** Photographs of a split of a folder's `photos`, or of the folder itself. @throws FileError, FormatError */
export async function photosOfSplit(folder: string, split: string, limit: number): Promise<LabelledPhoto[]> {
  return spread(
    (await listLabelledPhotos(folder)).filter((photo) => photo.split === split),
    limit,
  );
}

/**
 * The pictures of photographs that the sets ask for: as they are, made harder, and their parts without a face.
 * @param leftOut called for each that cannot be read
 */
export async function* photoPictures(
  folder: string,
  photos: readonly LabelledPhoto[],
  sets: ReadonlySet<DetectionSet>,
  leftOut: (photo: Unreadable) => void,
): AsyncGenerator<SetPicture> {
  for await (const { photo, image } of readPhotos(folder, photos, leftOut)) {
    const name = photo.path;
    const known = boxed(photo).map(knownFace);
    if (sets.has('photos')) yield { row: 'photographs', name, image, known };
    const main = mainFace(known);
    if (sets.has('variants') && main) {
      for (const [row, change] of Object.entries(DETECTION_VARIANTS)) {
        const harder = change({ image, box: main, landmarks: main.landmarks });
        // The other faces are in the picture as well, but their places are not tracked, so finding them does not count.
        yield { row, name, image: harder.image, known: [{ ...harder.box, landmarks: harder.landmarks, counts: true }] };
      }
    }
    const part = sets.has('faceless') ? faceless(image, known) : null;
    if (part) yield { row: 'parts of photographs without a face', name, image: part, known: [] };
  }
  if (!sets.has('faceless')) return;
  for (let k = 0; k < TEXTURES; k++) yield { row: 'textures', name: `texture ${k}`, image: texture(k), known: [] };
}

/** The largest face that counts. */
function mainFace(known: readonly KnownFace[]): KnownFace | null {
  const area = ({ left, top, right, bottom }: KnownFace): number => (right - left) * (bottom - top);
  const counting = known.filter(({ counts }) => counts);
  return counting.length > 0 ? counting.reduce((a, b) => (area(b) > area(a) ? b : a)) : null;
}

/** The pictures of LFW's View 2 and their landmarks. @throws FileError, FormatError */
export async function lfwFaces(folder: string, limit: number) {
  const given = parseLandmarkLines(await readText(join(folder, 'landmarks.txt')));
  const { pairs } = parsePairs(await readText(join(folder, 'pairs.txt')));
  const all = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))].sort();
  return spread(all, limit).flatMap((name) => {
    const landmarks = given.get(name);
    return landmarks ? [{ path: name, landmarks }] : [];
  });
}
