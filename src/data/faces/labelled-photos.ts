import { join } from 'node:path';
import { FormatError } from '../../common/errors.js';
import type { FaceLandmarks, Point } from '../../common/face-landmarks.js';
import { parseProgramJson } from '../../common/program-json.js';
import { readText } from '../files/read-file.js';

/** A face as a manifest gives it. Coordinates are those of the manifest, which count from the picture's corner. */
export interface LabelledFace {
  /** The labeller's confidence, 0 to 1. */
  readonly score: number;
  /** Absent in manifests that have only points. */
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number } | null;
  readonly landmarks: FaceLandmarks;
}

/** A whole photograph and the faces in it. */
export interface LabelledPhoto {
  /** Relative to the manifest's folder. */
  readonly path: string;
  readonly identity: string;
  readonly split: string;
  readonly faces: readonly LabelledFace[];
}

/** Values of a face in a manifest: score, x, y, width, height, five points; or score and five points. */
const WITH_BOX = 15;
const WITHOUT_BOX = 11;

/**
 * Parses the manifest of a set of photographs: tab-separated, columns path, identity, split and faces, the
 * latter as JSON, a list for each face.
 * @throws FormatError that names the line
 */
export function parseLabelledPhotos(text: string, name = 'manifest.tsv'): LabelledPhoto[] {
  const lines = text.split('\n');
  const header = lines[0].split('\t');
  const missing = ['path', 'identity', 'split', 'faces'].filter((column) => !header.includes(column));
  if (missing.length > 0) throw new FormatError(`${name}, line 1: column "${missing[0]}" is missing`);
  return lines.slice(1).flatMap((line, k): LabelledPhoto[] => {
    if (line.trim() === '') return [];
    const cells = line.split('\t');
    const cell = (column: string): string => cells[header.indexOf(column)] ?? '';
    const bad = (what: string): FormatError => new FormatError(`${name}, line ${k + 2}: ${what}`);
    if (cells.length !== header.length) throw bad(`${cells.length} columns; expected ${header.length}`);
    let faces: unknown;
    try {
      faces = parseProgramJson(cell('faces'), 'faces');
    } catch {
      throw bad('the faces are not JSON');
    }
    if (!Array.isArray(faces) || !faces.every(isFace)) {
      throw bad(`expected faces of ${WITH_BOX} numbers (score, box, five points) or ${WITHOUT_BOX} (score, points)`);
    }
    const path = cell('path');
    if (path.split(/[\\/]/).includes('..')) throw bad(`path "${path}" leads out of the folder`);
    return [{ path, identity: cell('identity'), split: cell('split'), faces: faces.map(labelledFace) }];
  });
}

const isFace = (face: unknown): face is number[] =>
  Array.isArray(face) && [WITH_BOX, WITHOUT_BOX].includes(face.length) && face.every(Number.isFinite);

function labelledFace(values: readonly number[]): LabelledFace {
  const [score, x, y, width, height] = values;
  const flat = values.slice(-10);
  const points = Array.from({ length: 5 }, (_, k): Point => [flat[2 * k], flat[2 * k + 1]]);
  const box = values.length === WITH_BOX ? { x, y, width, height } : null;
  return { score, box, landmarks: points as unknown as FaceLandmarks };
}

/** Reads `manifest.tsv` of a folder of photographs. @throws FileError, FormatError */
export async function listLabelledPhotos(folder: string): Promise<LabelledPhoto[]> {
  const manifest = join(folder, 'manifest.tsv');
  return parseLabelledPhotos(await readText(manifest), manifest);
}
