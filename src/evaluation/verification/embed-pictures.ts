import { ArgumentError, CameoError } from '../../common/errors.js';
import type { OpenRecognizer } from '../../data/checkpoints/recognizer-source.js';
import { enlargedPicture, readImage, readPictureFile } from '../../data/pictures/image.js';
import type { FaceLandmarks, FaceSize } from '../../detection/align.js';
import type { Gpu } from '../../gpu/gpu.js';
import { CropEmbedder } from './crop-embedder.js';
import { computedBy, EmbeddingCache } from './embedding-cache.js';
import { alignedFaceCrop, cropSize, faceCrop } from './face-crops.js';

/** A picture of one face. */
export interface FacePicture {
  name: string;
  /** Its file. */
  path?: string;
  /** In place of a file: its bytes. */
  bytes?: Uint8Array;
  /** Times that the picture is made larger first, with the landmarks that are given for it; 1 when absent. */
  enlarged?: number;
  /** In the picture's pixels, after it was enlarged; none for one that is an aligned face. */
  landmarks?: FaceLandmarks;
  /** In place of a file: the aligned face of 96×112, RGB bytes. */
  face?: Uint8Array;
}

export interface EmbedOptions {
  /** Faces in a batch; each counts twice with `flip`. */
  batch?: number;
  /** Append the embedding of the mirror image; default true. */
  flip?: boolean;
  /** File for embeddings to use again; null for none. */
  cache?: string | null;
  /** Called for a picture that cannot be used, which is then left out; without it, that is an error. */
  onUnusable?: (name: string, error: CameoError) => void;
  onProgress?: (done: number, total: number) => void;
}

interface Prepared {
  picture: FacePicture;
  key: string;
  /** The embedding, if the cache has it. */
  known?: Float32Array;
  crop?: Uint8Array;
}

/**
 * Embeddings of pictures, each of length 1: of the aligned face, and of its mirror image appended to it.
 * @returns by name; without pictures for which `onUnusable` was called
 * @throws ImageError that names the first picture that cannot be read or aligned
 * @throws ArgumentError for a batch that is not a positive integer, or an embedding that is not finite, by its picture
 */
export async function embedPictures(
  gpu: Gpu,
  opened: OpenRecognizer,
  pictures: readonly FacePicture[],
  { batch = 16, flip = true, cache: cachePath = null, onUnusable, onProgress }: EmbedOptions = {},
): Promise<Map<string, Float32Array>> {
  if (!Number.isInteger(batch) || batch < 1) {
    throw new ArgumentError(`embedPictures: batch is ${batch}; expected a positive integer`);
  }
  const { recognizer, modelId } = opened;
  const cache = await EmbeddingCache.open(cachePath);
  const size = cropSize(recognizer);
  const method = `${modelId} ${size} ${flip ? 'flip' : 'single'} ${computedBy(gpu)}`;
  const length = recognizer.dimension * (flip ? 2 : 1);
  const prepare = async (picture: FacePicture): Promise<Prepared | null> => {
    try {
      const bytes = picture.face ?? (await contentOf(picture));
      const key = EmbeddingCache.key(bytes, picture.landmarks, method);
      const known = cache.get(key, length);
      return known ? { picture, key, known } : { picture, key, crop: await cropOf(picture, bytes, size) };
    } catch (error) {
      if (!onUnusable || !(error instanceof CameoError)) throw error;
      onUnusable(picture.name, error);
      return null;
    }
  };
  const prepareFrom = (first: number): Promise<(Prepared | null)[]> =>
    Promise.all(pictures.slice(first, first + batch).map(prepare));

  const embedder = new CropEmbedder(gpu, opened, batch, flip);
  const result = new Map<string, Float32Array>();
  try {
    let next = prepareFrom(0);
    for (let first = 0; first < pictures.length; first += batch) {
      const group = (await next).filter((prepared) => prepared !== null);
      next = prepareFrom(first + batch); // these are decoded while the GPU works
      next.catch(() => {}); // the next turn awaits it, or nothing does if this turn fails
      for (const { picture, known } of group) if (known) result.set(picture.name, known);
      const fresh = group.filter(({ known }) => !known);
      const crops = fresh.map(({ crop }) => crop!);
      const embeddings = await embedder.embed(crops, (k) => fresh[k].picture.name);
      for (const [k, { picture, key }] of fresh.entries()) {
        result.set(picture.name, embeddings[k]);
        await cache.set(key, embeddings[k]);
      }
      onProgress?.(Math.min(first + batch, pictures.length), pictures.length);
    }
    await next;
  } finally {
    embedder.dispose();
    await cache.save();
  }
  return result;
}

/**
 * Embeddings of aligned faces of 96×112, RGB bytes, in their order; see {@link embedPictures}.
 * @throws ArgumentError for an embedding that is not finite, by the number of its face
 */
export async function embedFaces(
  gpu: Gpu,
  recognizer: OpenRecognizer,
  faces: readonly Uint8Array[],
  options: EmbedOptions,
): Promise<Float32Array[]> {
  const pictures = faces.map((face, k) => ({ name: String(k), face }));
  const embeddings = await embedPictures(gpu, recognizer, pictures, options);
  return pictures.map(({ name }) => embeddings.get(name)!);
}

/** The file of a picture, enlarged where it is to be. @throws ImageError for one that cannot be read */
export async function contentOf({ name, path, bytes, enlarged = 1 }: FacePicture): Promise<Uint8Array> {
  const content = bytes ?? (await readPictureFile(path!, name));
  return enlarged === 1 ? content : enlargedPicture(await readImage(content, { name }), enlarged);
}

const cropOf = async (
  { name, face, landmarks }: FacePicture,
  bytes: Uint8Array,
  size: FaceSize,
): Promise<Uint8Array> => (face ? alignedFaceCrop(face, size) : faceCrop(bytes, name, size, landmarks));
