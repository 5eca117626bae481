import { join } from 'node:path';
import { CameoError } from '../../common/errors.js';
import { alignFace, type FaceLandmarks } from '../../detection/align.js';
import { readText } from '../files/read-file.js';
import { readImage } from '../pictures/image.js';
import type { FaceEntry, Unreadable } from './face-listing.js';
import type { PackedFace } from './face-pack.js';
import { type LabelledFace, parseLabelledPhotos } from './labelled-photos.js';

/** A whole photograph of a person, and where the main face is. */
export interface IdentityPhoto {
  /** The face's path, identity and split; its source is the name of the set. */
  entry: FaceEntry;
  /** The detector's score of the main face, and its five points. */
  score: number;
  points: FaceLandmarks;
}

/** Size of a face: the area of its box, or of the box around its points. */
function sizeOf(face: LabelledFace): number {
  if (face.box) return face.box.width * face.box.height;
  const [xs, ys] = [0, 1].map((k) => face.landmarks.map((point) => point[k]));
  return (Math.max(...xs) - Math.min(...xs)) * (Math.max(...ys) - Math.min(...ys));
}

/**
 * Parses the manifest of a set of photographs with identities. The main face is the largest; photographs without a face are left out.
 * @param source of the faces' entries
 * @throws FormatError that names the line
 */
export function parsePhotoManifest(text: string, source: string, name = 'manifest.tsv'): IdentityPhoto[] {
  return parseLabelledPhotos(text, name).flatMap(({ path, identity, split, faces }): IdentityPhoto[] => {
    if (faces.length === 0) return [];
    const { score, landmarks } = faces.reduce((best, face) => (sizeOf(face) > sizeOf(best) ? face : best));
    return [{ entry: { path, identity, source, split, sex: '', race: '' }, score, points: landmarks }];
  });
}

/** Reads `manifest.tsv` of a folder of photographs. @throws FileError, FormatError */
export async function listPhotos(folder: string, source: string): Promise<IdentityPhoto[]> {
  const manifest = join(folder, 'manifest.tsv');
  return parsePhotoManifest(await readText(manifest), source, manifest);
}

/**
 * The main faces of photographs, aligned to 112×96, in their order. Paths get the source in front.
 * @param leftOut called for each whose score is below `leastScore`, or that cannot be read or aligned
 */
export async function* photoCrops(
  folder: string,
  photos: readonly IdentityPhoto[],
  leastScore: number,
  leftOut: (photo: Unreadable) => void,
): AsyncGenerator<PackedFace> {
  for (const { entry, score, points } of photos) {
    const path = `${entry.source}/${entry.path}`;
    if (!(score >= leastScore)) {
      leftOut({ path, reason: `score ${score} is below ${leastScore}` });
      continue;
    }
    try {
      const image = await readImage(join(folder, entry.path), { name: entry.path });
      yield { entry: { ...entry, path }, pixels: alignFace(image, points, '96x112', { smooth: true }).data };
    } catch (error) {
      if (!(error instanceof CameoError)) throw error;
      leftOut({ path, reason: error.message });
    }
  }
}
