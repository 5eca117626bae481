import { join } from 'node:path';
import { ImageError } from '../../common/errors.js';
import type { RgbImage } from '../../common/rgb-image.js';
import { readImage } from '../pictures/image.js';
import type { Unreadable } from './face-listing.js';
import type { LabelledPhoto } from './labelled-photos.js';

/** Number of photographs that are decoded at a time. */
const CONCURRENCY = 6;

/**
 * Decodes photographs, in their order.
 * @param leftOut called for each that cannot be read
 */
export async function* readPhotos<P extends Pick<LabelledPhoto, 'path'>>(
  folder: string,
  photos: readonly P[],
  leftOut: (photo: Unreadable) => void,
): AsyncGenerator<{ photo: P; image: RgbImage }> {
  const read = async (photo: P): Promise<{ photo: P; image: RgbImage } | null> => {
    try {
      return { photo, image: await readImage(join(folder, photo.path), { name: photo.path }) };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      leftOut({ path: photo.path, reason: error.message });
      return null;
    }
  };
  for (let first = 0; first < photos.length; first += CONCURRENCY) {
    for (const one of await Promise.all(photos.slice(first, first + CONCURRENCY).map(read))) {
      if (one) yield one;
    }
  }
}
