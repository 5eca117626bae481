import { join } from 'node:path';
import { CameoError, FormatError } from '../../common/errors.js';
import { parseProgramJson } from '../../common/program-json.js';
import { readText } from '../files/read-file.js';
import { alignFace, type FaceLandmarks, type Point } from '../pictures/align.js';
import { readImage } from '../pictures/image.js';
import type { FaceEntry, Unreadable } from './face-listing.js';
import type { PackedFace } from './face-pack.js';

/** A whole photograph of a person, and where the main face is. */
export interface IdentityPhoto {
  /** The face's path, identity and split; its source is the name of the set. */
  entry: FaceEntry;
  /** The detector's score of the main face, and its five points. */
  score: number;
  points: FaceLandmarks;
}

/** Values of a face in a manifest: score, x, y, width, height, five points; or score and five points. */
const WITH_BOX = 15;
const WITHOUT_BOX = 11;

/** How large a face is: the area of its box, or of the box about its points. */
function sizeOf(face: readonly number[]): number {
  if (face.length === WITH_BOX) return face[3] * face[4];
  const [x, y] = [0, 1].map((k) => face.slice(1).filter((_, i) => i % 2 === k));
  return (Math.max(...x) - Math.min(...x)) * (Math.max(...y) - Math.min(...y));
}

/**
 * Parses the manifest of a set of photographs with identities: tab-separated, columns path, identity, split and faces, the
 * latter as JSON, a list a face. The main face is the largest; photographs without a face are left out.
 * @param source what the faces' entries say
 * @throws FormatError that names the line
 */
export function parsePhotoManifest(text: string, source: string, name = 'manifest.tsv'): IdentityPhoto[] {
  const lines = text.split('\n');
  const header = lines[0].split('\t');
  const missing = ['path', 'identity', 'split', 'faces'].filter((column) => !header.includes(column));
  if (missing.length > 0) throw new FormatError(`${name}, line 1: column "${missing[0]}" is missing`);
  return lines.slice(1).flatMap((line, k): IdentityPhoto[] => {
    if (line.trim() === '') return [];
    const cells = line.split('\t');
    const cell = (column: string): string => cells[header.indexOf(column)] ?? '';
    const bad = (what: string): FormatError => new FormatError(`${name}, line ${k + 2}: ${what}`);
    if (cells.length !== header.length) throw bad(`${cells.length} columns; expected ${header.length}`);
    let faces: unknown;
    try {
      faces = parseProgramJson(cell('faces'), 'faces');
    } catch {
      throw bad('the faces are no JSON');
    }
    const isFace = (face: unknown): face is number[] =>
      Array.isArray(face) && [WITH_BOX, WITHOUT_BOX].includes(face.length) && face.every(Number.isFinite);
    if (!Array.isArray(faces) || !faces.every(isFace)) {
      throw bad(`expected faces of ${WITH_BOX} numbers (score, box, five points) or ${WITHOUT_BOX} (score, points)`);
    }
    if (faces.length === 0) return [];
    const main = faces.reduce((best, face) => (sizeOf(face) > sizeOf(best) ? face : best));
    const flat = main.slice(-10);
    const points = Array.from({ length: 5 }, (_, i): Point => [flat[2 * i], flat[2 * i + 1]]);
    const entry = { path: cell('path'), identity: cell('identity'), source, split: cell('split'), sex: '', race: '' };
    if (entry.path.split(/[\\/]/).includes('..')) throw bad(`path "${entry.path}" leads out of the folder`);
    return [{ entry, score: main[0], points: points as unknown as FaceLandmarks }];
  });
}

/** Reads `manifest.tsv` of a folder of photographs. @throws FileError, FormatError */
export async function listPhotos(folder: string, source: string): Promise<IdentityPhoto[]> {
  const manifest = join(folder, 'manifest.tsv');
  return parsePhotoManifest(await readText(manifest), source, manifest);
}

/**
 * The main faces of photographs, aligned to 112×96, in their order. Paths get the source in front.
 * @param leftOut told of each whose score is below `leastScore`, or that cannot be read or aligned
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
