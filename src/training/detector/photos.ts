import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../common/errors.js';
import type { Unreadable } from '../../data/faces/face-listing.js';
import { type LabelledPhoto, listLabelledPhotos } from '../../data/faces/labelled-photos.js';
import { readPhotos } from '../../data/faces/photo-folder.js';
import type { PictureFolder } from '../training-run.js';
import type { TrainingSource } from '../training-source.js';
import type { MosaicPhotos } from './mosaic.js';
import { type TrainingPhoto, trainingPhoto } from './photo-pyramid.js';

/** Information on the photographs of a run. */
export interface DetectorPhotos extends PictureFolder {
  readonly photos: number;
  readonly faces: number;
  readonly unreadable: readonly Unreadable[];
}

/** The photographs of a split, in memory. */
export interface LoadedPhotos extends MosaicPhotos {
  readonly unreadable: readonly Unreadable[];
}

/** The folders of photographs in a data folder. */
function photoFolders(data: string): string[] {
  if (!existsSync(join(data, 'photos'))) return [data];
  return ['photos', 'profiles'].map((name) => join(data, name)).filter((folder) => existsSync(folder));
}

/** Photographs to learn from and to validate with; `validation` is null if none of the latter has boxes. */
export interface PhotoSplits {
  readonly train: LoadedPhotos;
  readonly validation: LoadedPhotos | null;
  readonly source: TrainingSource;
}

type Progress = (what: string, done: number, total: number) => void;

/**
 * Loads the photographs of splits train and val into memory.
 * @throws ArgumentError if nothing can be learnt; FileError, FormatError
 */
export async function loadSplits(data: string, onProgress?: Progress): Promise<PhotoSplits> {
  const sets = await Promise.all(
    photoFolders(data).map(async (folder) => ({ folder, photos: await listLabelledPhotos(folder) })),
  );
  const train = await loadPhotos(sets, 'train', onProgress);
  if (train.boxed.length === 0) {
    throw new ArgumentError(
      `${data}: no photographs of split train whose faces have boxes; expected a manifest.tsv that lists them`,
    );
  }
  const validation = await loadPhotos(sets, 'val', onProgress);
  return { train, validation: validation.boxed.length > 0 ? validation : null, source: sourceOf(sets) };
}

/** Information on the photographs of a run. */
export function tellPhotos(root: string, { boxed, pointed, unreadable }: LoadedPhotos): DetectorPhotos {
  const all = [...boxed, ...pointed];
  const faces = all.reduce((count, photo) => count + photo.faces.length, 0);
  return { root, own: 0, photos: all.length, faces, unreadable };
}

type PhotoSet = { folder: string; photos: readonly LabelledPhoto[] };

async function loadPhotos(sets: readonly PhotoSet[], split: string, onProgress?: Progress): Promise<LoadedPhotos> {
  const loaded = { boxed: [] as TrainingPhoto[], pointed: [] as TrainingPhoto[], unreadable: [] as Unreadable[] };
  const wanted = sets.map(({ folder, photos }) => ({
    folder,
    photos: photos.filter((photo) => photo.split === split),
  }));
  const total = wanted.reduce((count, { photos }) => count + photos.length, 0);
  let done = 0;
  for (const { folder, photos } of wanted) {
    for await (const { photo, image } of readPhotos(folder, photos, (file) => loaded.unreadable.push(file))) {
      const pointed = photo.faces.some(({ box }) => box === null);
      loaded[pointed ? 'pointed' : 'boxed'].push(trainingPhoto(image, photo.faces));
      onProgress?.(`reading photographs (${split})`, ++done, total);
    }
  }
  return loaded;
}

function sourceOf(sets: readonly PhotoSet[]): TrainingSource {
  const hash = createHash('sha256');
  const photos = sets.flatMap((set) => set.photos).filter(({ split }) => split === 'train');
  for (const photo of photos) hash.update(`${JSON.stringify(photo)}\n`);
  return { teacher: null, faces: hash.digest('hex').slice(0, 32), count: photos.length };
}
