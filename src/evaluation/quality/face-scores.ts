import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import { type BaselineCodec, type BaselineResult, encodeBaselines } from '../codecs/baselines.js';
import { pictureSsim, psnr } from '../metrics/picture-quality.js';

export type ComparedCodec = 'cameo' | BaselineCodec;

export const CODEC_TITLES: Readonly<Record<ComparedCodec, string>> = {
  cameo: 'Cameo',
  jpeg: 'JPEG',
  jpegScaled: 'JPEG, may be scaled down',
  jpeg2000: 'JPEG2000',
};

/** One face by one codec. */
export interface Score {
  bytes: number;
  /** dB, over all RGB samples. */
  psnr: number;
  ssim: number;
  /** False if a baseline has no file as small as Cameo's, so that a larger one is used. */
  fits: boolean;
}

/** Scores of one face at one rate. JPEG2000 is absent if no file is as small as Cameo's; so are codecs that were not asked for. */
export type FaceScores = { cameo: Score } & Partial<Record<BaselineCodec, Score>>;

export interface CompressedFaces {
  files: Uint8Array[];
  /** Decoded from the files, RGB. */
  restored: Uint8Array[];
  encodeSeconds: number;
  decodeSeconds: number;
}

/** A codec with a given limit for its files. */
export interface FaceCoder {
  encode(faces: readonly Uint8Array[]): Promise<Uint8Array[]>;
  decode(files: readonly Uint8Array[]): Promise<Uint8Array[]>;
}

/** Encodes faces and decodes the files, with the time that each takes. */
export async function compressFaces(codec: FaceCoder, faces: readonly Uint8Array[]): Promise<CompressedFaces> {
  const start = performance.now();
  const files = await codec.encode(faces);
  const middle = performance.now();
  const restored = await codec.decode(files);
  const end = performance.now();
  return { files, restored, encodeSeconds: (middle - start) / 1000, decodeSeconds: (end - middle) / 1000 };
}

export interface ComparedFace {
  scores: FaceScores;
  /** The pictures behind the scores of the other codecs. */
  baselines: BaselineResult[];
}

/** Scores one face that Cameo has compressed, and the same face by other codecs with at most as many bytes. */
export async function compareFace(
  face: Uint8Array,
  file: Uint8Array,
  restored: Uint8Array,
  codecs: readonly BaselineCodec[],
): Promise<ComparedFace> {
  const baselines = await encodeBaselines(face, FACE_WIDTH, FACE_HEIGHT, file.length, codecs);
  const scores: FaceScores = {
    cameo: {
      bytes: file.length,
      psnr: psnr(face, restored),
      ssim: pictureSsim(face, restored, FACE_WIDTH, FACE_HEIGHT, 3),
      fits: true,
    },
  };
  for (const { codec, bytes, psnr, ssim, fits } of baselines) scores[codec] = { bytes: bytes.length, psnr, ssim, fits };
  return { scores, baselines };
}

/**
 * `work` on each item, a few at a time, in order of the results: JPEG is coded in Node's pool of threads while JPEG2000
 * occupies this one.
 */
export async function mapConcurrently<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return results;
}
