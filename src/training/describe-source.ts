import { createHash } from 'node:crypto';
import type { FaceEntry } from '../data/faces/face-listing.js';
import type { TrainingSource } from './training-source.js';

// In a file apart from the comparison, which the trainers also need in browsers: the hash is Node's.

/**
 * @param classes of the faces; −1 for those without label
 * @param codec that makes faces, where one does
 */
export function trainingSource(
  faces: readonly FaceEntry[],
  classes: readonly number[],
  teacher: string | null,
  codec?: string,
): TrainingSource {
  const hash = createHash('sha256');
  faces.forEach(({ path, source }, k) => {
    hash.update(`${JSON.stringify([path, source, classes[k]])}\n`);
  });
  return {
    teacher,
    faces: hash.digest('hex').slice(0, 32),
    count: faces.length,
    ...(codec === undefined ? {} : { codec }),
  };
}
