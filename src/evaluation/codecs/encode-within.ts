import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { ArgumentError } from '../../common/errors.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import type { EncodingCache, EncodingRequest } from './encoding-cache.js';
import type { ForeignCodec, ForeignEncoding } from './foreign-codec.js';

/** Faces by index, as a FaceSet has them. */
export interface FacesOnDemand {
  readonly count: number;
  face(index: number): Uint8Array | Promise<Uint8Array>;
}

export interface EncodeFacesOptions {
  /** Asked first; gets new encodings. */
  cache?: EncodingCache;
  /** Called after every face: faces done, all faces, and how many of the faces done were in the cache. */
  onProgress?: (done: number, total: number, cached: number) => void;
  /** Stops between faces; finished faces are in the cache. */
  signal?: AbortSignal;
  /**
   * Faces at a time; the number of processors when absent. It helps codecs of sharp (JPEG, AVIF), which have threads of
   * their own; WebAssembly runs on this thread only, and uses more processors only in more processes, which may share a cache.
   */
  concurrency?: number;
}

/**
 * Encodes many faces of 112×96 within a byte budget; in their order, null if no file fits.
 *
 * @throws ArgumentError for a concurrency or budget that is not a positive integer; the signal's reason when it is aborted;
 *   whatever the codec, the cache or the faces throw
 */
export async function encodeWithin(
  codec: ForeignCodec,
  faces: readonly Uint8Array[] | FacesOnDemand,
  maxBytes: number,
  options: EncodeFacesOptions = {},
): Promise<(ForeignEncoding | null)[]> {
  const { cache, onProgress, signal, concurrency = availableParallelism() } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new ArgumentError(`encodeWithin: concurrency is ${concurrency}; expected a positive integer`);
  }
  const source = 'count' in faces ? faces : { count: faces.length, face: (index: number) => faces[index] };
  const encodings = new Array<ForeignEncoding | null>(source.count).fill(null);
  let next = 0;
  let done = 0;
  let cached = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (next < source.count && !failed) {
      signal?.throwIfAborted();
      const index = next++;
      const rgb = await source.face(index);
      const request = { codec, rgb, width: FACE_WIDTH, height: FACE_HEIGHT, maxBytes };
      const { encoding, known } = await encodeOrRecall(request, cache);
      encodings[index] = encoding;
      if (known) cached++;
      onProgress?.(++done, source.count, cached);
      // Encoders in WebAssembly never wait, so without this no signal would be handled.
      await setImmediate();
    }
  };
  const workers = Array.from({ length: Math.min(concurrency, source.count) }, () =>
    worker().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  // After a failure, nothing continues in the background.
  await Promise.allSettled(workers);
  await Promise.all(workers);
  return encodings;
}

/** One encoding from the cache, if it is there, else from the codec, and then put into the cache. */
async function encodeOrRecall(
  request: EncodingRequest,
  cache?: EncodingCache,
): Promise<{ encoding: ForeignEncoding | null; known: boolean }> {
  const { codec, rgb, width, height, maxBytes } = request;
  const found = await cache?.get(request);
  if (found === null) return { encoding: null, known: true };
  if (found) return { encoding: { ...found, rgb: await codec.decode(found.bytes, width, height) }, known: true };
  const encoding = await codec.encode(rgb, width, height, maxBytes);
  await cache?.put(request, encoding);
  return { encoding, known: false };
}
