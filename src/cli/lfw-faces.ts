import { join } from 'node:path';
import { ArgumentError } from '../common/errors.js';
import { type FacePair, parseLandmarkLines, parsePairs } from '../data/faces/lfw.js';
import { readRegularFile, readText } from '../data/files/read-file.js';
import { type RgbImage, readImage } from '../data/pictures/image.js';
import type { FaceLandmarks } from '../detection/align.js';
import { faceCrop } from '../evaluation/verification/face-crops.js';

const MAX_PICTURE_BYTES = 2 ** 26;
/** Quick mode: number of pairs of each kind in each fold. */
export const QUICK_PAIRS = 30;

/** The pairs of LFW's View 2, and their faces as the codecs get them. */
export interface LfwFaces {
  pairs: FacePair[];
  folds: number;
  /**
   * Aligned crops of 112×96 by picture, made without loss from the original pictures.
   * @param wanted of the names of all pictures, those to read; all when absent
   * @throws ArgumentError for a picture without landmarks, ImageError for one without a face, FileError for one that cannot be read
   */
  crops(
    onProgress: (done: number, total: number) => void,
    wanted?: (names: readonly string[]) => readonly string[],
  ): Promise<Map<string, Uint8Array>>;
}

/** Whose picture it is: LFW has a folder a person. */
export const lfwPerson = (name: string): string => name.split('/')[0];

/** Finds the face of a picture. */
export type FindLandmarks = (picture: RgbImage, name: string) => Promise<FaceLandmarks>;

/**
 * @param folder with images/, pairs.txt and, unless `find` is given, landmarks.txt
 * @throws FileError, FormatError for lists that cannot be read
 */
export async function openLfwFaces(
  folder: string,
  { quick = false, find }: { quick?: boolean; find?: FindLandmarks } = {},
): Promise<LfwFaces> {
  const all = parsePairs(await readText(join(folder, 'pairs.txt')), 'pairs.txt');
  const landmarks = find ? null : parseLandmarkLines(await readText(join(folder, 'landmarks.txt')), 'landmarks.txt');
  const pairs = quick ? quickPairs(all.pairs) : all.pairs;
  return {
    pairs,
    folds: all.folds,
    async crops(onProgress, wanted = (every) => every) {
      const faces = new Map<string, Uint8Array>();
      const names = wanted([...new Set(pairs.flatMap(({ a, b }) => [a, b]))]);
      for (const name of names) {
        const given = landmarks?.get(name);
        if (landmarks && !given) throw new ArgumentError(`landmarks.txt has no landmarks for ${name}`);
        const picture = await readRegularFile(join(folder, 'images', name), MAX_PICTURE_BYTES);
        const points = given ?? (await find?.(await readImage(picture, { name }), name));
        faces.set(name, await faceCrop(picture, name, '96x112', points));
        onProgress(faces.size, names.length);
      }
      return faces;
    },
  };
}

/** The first pairs of each kind of each fold. */
export function quickPairs(pairs: readonly FacePair[]): FacePair[] {
  const taken = new Map<string, number>();
  return pairs.filter(({ fold, same }) => {
    const key = `${fold} ${same}`;
    taken.set(key, (taken.get(key) ?? 0) + 1);
    return taken.get(key)! <= QUICK_PAIRS;
  });
}
