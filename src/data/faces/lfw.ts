import { FormatError } from '../../common/errors.js';
import { comparablePath } from '../../common/text.js';
import type { FaceLandmarks, Point } from '../../detection/align.js';

/** Two pictures, and whether they are of one person. */
export interface FacePair {
  /** Names of the pictures: NAME/NAME_0001.jpg. */
  a: string;
  b: string;
  same: boolean;
  /** From 0. */
  fold: number;
}

export interface PairList {
  folds: number;
  pairs: FacePair[];
}

/** A person's name that is a plain folder name, and leads nowhere else. */
const isFolderName = (name: string): boolean => !/[\\/]/.test(name) && name !== '.' && name !== '..';

/** Path of a person's picture in LFW. */
export const lfwImage = (name: string, number: number): string =>
  `${name}/${name}_${String(number).padStart(4, '0')}.jpg`;

/**
 * Parses pairs in LFW's format: a first line `FOLDS N` (View 2) or `N` (View 1: one fold), then for each fold N matched
 * pairs `NAME I J` and N mismatched ones `NAME I OTHER J`, separated by tabs or spaces. Huang et al. 2007, "Labeled Faces
 * in the Wild".
 * @throws FormatError that names the line
 */
export function parsePairs(text: string, name = 'pairs'): PairList {
  const lines = text.normalize('NFC').split('\n');
  while (lines.length > 0 && lines[lines.length - 1].trim() === '') lines.pop();
  const header = (lines[0] ?? '').trim().split(/\s+/).map(Number);
  if (header.length > 2 || header.some((value) => !Number.isInteger(value) || value < 1)) {
    throw new FormatError(
      `${name}, line 1: "${lines[0] ?? ''}"; expected the numbers of folds and of pairs, as 10 300`,
    );
  }
  const [folds, count] = header.length === 2 ? header : [1, header[0]];
  if (lines.length - 1 !== 2 * folds * count) {
    throw new FormatError(
      `${name}: ${lines.length - 1} pairs; line 1 announces ${folds} × (${count} matched + ${count} mismatched) = ${2 * folds * count}`,
    );
  }
  const pairs = lines.slice(1).map((line, k): FacePair => {
    const fields = line.trim().split(/\s+/);
    const same = k % (2 * count) < count;
    const expected = same ? 'NAME I J' : 'NAME I OTHER J';
    const numbers = (same ? fields.slice(1) : [fields[1], fields[3]]).map(Number);
    if (fields.length !== (same ? 3 : 4) || numbers.some((value) => !Number.isInteger(value) || value < 1)) {
      throw new FormatError(`${name}, line ${k + 2}: "${line}"; expected ${expected}`);
    }
    const other = same ? fields[0] : fields[2];
    for (const person of [fields[0], other]) {
      if (!isFolderName(person)) {
        throw new FormatError(`${name}, line ${k + 2}: the name "${person}"; expected the name of a folder`);
      }
    }
    if (same && numbers[0] === numbers[1]) {
      throw new FormatError(`${name}, line ${k + 2}: "${line}" compares a picture with itself; expected two pictures`);
    }
    if (!same && other === fields[0]) {
      throw new FormatError(`${name}, line ${k + 2}: "${line}" is in the mismatched part and names one person twice`);
    }
    return {
      a: lfwImage(fields[0], numbers[0]),
      b: lfwImage(other, numbers[1]),
      same,
      fold: Math.floor(k / (2 * count)),
    };
  });
  return { folds, pairs };
}

/**
 * Parses landmarks: one line for each picture, with its name and ten numbers, x and y of left eye, right eye, nose, left and right mouth
 * corner, separated by tabs or spaces.
 * @throws FormatError that names the line
 */
export function parseLandmarkLines(text: string, name = 'landmarks'): Map<string, FaceLandmarks> {
  const found = new Map<string, FaceLandmarks>();
  text.split('\n').forEach((line, k) => {
    if (line.trim() === '') return;
    const [picture, ...fields] = line.trim().split(/\s+/);
    const numbers = fields.map(Number);
    if (numbers.length !== 10 || !numbers.every(Number.isFinite)) {
      throw new FormatError(`${name}, line ${k + 1}: "${line}"; expected a picture's name and ten numbers`);
    }
    const points = Array.from({ length: 5 }, (_, i): Point => [numbers[2 * i], numbers[2 * i + 1]]);
    const key = comparablePath(picture);
    if (found.has(key)) {
      throw new FormatError(`${name}, line ${k + 1}: "${picture}" for the second time; expected each picture once`);
    }
    found.set(key, points as unknown as FaceLandmarks);
  });
  return found;
}
