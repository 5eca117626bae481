import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { CheckpointError } from '../../common/errors.js';
import type { FaceLandmarks, Point } from '../../common/face-landmarks.js';
import { parseProgramJson } from '../../common/program-json.js';
import type { LabelledFace } from '../../data/faces/labelled-photos.js';
import { writeFileAtomic } from '../../data/files/atomic-file.js';
import { readText } from '../../data/files/read-file.js';
import { overlap } from '../../detection/boxes.js';
import { FaceDetector } from '../../detection/face-detector.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { TrainingPhoto } from './photo-pyramid.js';
import type { LoadedPhotos, PhotoSplits } from './photos.js';

/** Overlap from which a teacher's box and a label's box belong to one face. */
const SAME_FACE = 0.3;
/** The smallest face that a teacher looks for, as a share of the smallest labelled one: boxes of detectors differ. */
const SMALLEST = 0.6;
const LEAST_FACE = 12;

/** Landmarks by another detector: for each photograph, those of each face; null if it finds none. */
type TaughtLandmarks = (FaceLandmarks | null)[][];

interface TeacherFile {
  /** Hash of the teacher and the photographs. */
  key: string;
  train: TaughtLandmarks;
  validation: TaughtLandmarks;
}

/**
 * The photographs with landmarks that a teacher places, so that a network learns its way of placing them. Faces that
 * it does not find are left out; those seen from the side keep the landmarks that they have. The teacher's landmarks are kept in a
 * file, so that a run that is resumed learns from the same.
 *
 * @param teacher weights of a detector
 * @param file where its landmarks are kept
 * @throws CheckpointError for a file of another teacher, or of other photographs
 */
export async function withTeacher(
  gpu: Gpu,
  splits: PhotoSplits,
  teacher: Uint8Array,
  file: string,
  onProgress?: (what: string, done: number, total: number) => void,
): Promise<PhotoSplits> {
  const key = createHash('sha256').update(teacher).update(splits.source.faces).digest('hex').slice(0, 32);
  const { train, validation, source } = splits;
  let taught: TeacherFile;
  if (existsSync(file)) {
    taught = parseProgramJson(await readText(file), file) as TeacherFile;
    if (taught.key !== key) throw new CheckpointError(`${file} is of another teacher, or of other photographs`);
  } else {
    const detector = FaceDetector.fromWeights(gpu, teacher);
    try {
      const total = train.boxed.length + (validation?.boxed.length ?? 0);
      let done = 0;
      const landmarksOf = async (photos: LoadedPhotos | null): Promise<TaughtLandmarks> => {
        const all: TaughtLandmarks = [];
        for (const photo of photos?.boxed ?? []) {
          all.push(await teachPhoto(detector, photo));
          onProgress?.('looking at photographs with the teacher', ++done, total);
        }
        return all;
      };
      taught = { key, train: await landmarksOf(train), validation: await landmarksOf(validation) };
    } finally {
      detector.dispose();
    }
    await writeFileAtomic(file, new TextEncoder().encode(JSON.stringify(taught)));
  }
  return {
    train: relabelled(train, taught.train),
    validation: validation && relabelled(validation, taught.validation),
    source: { ...source, teacher: key },
  };
}

async function teachPhoto(
  detector: FaceDetector,
  { levels: [picture], faces }: TrainingPhoto,
): Promise<(FaceLandmarks | null)[]> {
  const sides = faces.flatMap(({ box }) => (box ? [Math.min(box.width, box.height)] : []));
  if (sides.length === 0) return faces.map(() => null);
  const minFace = Math.max(LEAST_FACE, SMALLEST * Math.min(...sides));
  const found = await detector.detect(picture, { minFace });
  return faces.map(({ box }) => {
    if (!box) return null;
    const label = { left: box.x, top: box.y, right: box.x + box.width, bottom: box.y + box.height };
    const overlaps = found.map(({ box: { x, y, width, height } }) =>
      overlap(label, { left: x, top: y, right: x + width, bottom: y + height }),
    );
    const best = Math.max(0, ...overlaps);
    if (best < SAME_FACE) return null;
    // Those of detectors count from the centre of the first pixel, labels from its corner.
    const { landmarks } = found[overlaps.indexOf(best)];
    return landmarks.map(([x, y]): Point => [x + 0.5, y + 0.5]) as unknown as FaceLandmarks;
  });
}

function relabelled(photos: LoadedPhotos, taught: TaughtLandmarks): LoadedPhotos {
  const boxed = photos.boxed.map((photo, k) => ({
    ...photo,
    faces: photo.faces.flatMap((face, at): LabelledFace[] => {
      const landmarks = taught[k][at];
      return landmarks ? [{ ...face, landmarks }] : [];
    }),
  }));
  return { ...photos, boxed };
}
