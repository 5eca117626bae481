import type { FaceCodec } from '../codec/face-codec.js';
import type { BaselineCodec, BaselineResult } from './baselines.js';
import { compareFace, compressFaces, type FaceScores, mapConcurrently } from './face-scores.js';

/** The codecs beside Cameo: those that any viewer opens. */
export const DEMO_BASELINES: readonly BaselineCodec[] = ['jpeg', 'jpeg2000'];

export interface DemoFace {
  name: string;
  /** RGB, 112·96·3 bytes. */
  pixels: Uint8Array;
}

/** What became of one face at one rate, pictures included. */
export interface DemoResult {
  face: DemoFace;
  /** The compact file. */
  file: Uint8Array;
  restored: Uint8Array;
  scores: FaceScores;
  baselines: BaselineResult[];
}

/** All faces at one rate; times are of a warm program, seconds a face. */
export interface DemoRate {
  rate: number;
  faces: DemoResult[];
  encodeSeconds: number;
  decodeSeconds: number;
}

/**
 * Compresses and restores faces at one rate, and lets JPEG and JPEG2000 do the same within the same bytes.
 * @param onFace called after each face
 */
export async function runDemoRate(
  codec: FaceCodec,
  faces: readonly DemoFace[],
  rate: number,
  onFace: () => void,
): Promise<DemoRate> {
  const pixels = faces.map((face) => face.pixels);
  const { files, restored, encodeSeconds, decodeSeconds } = await compressFaces(codec, pixels, rate);
  const results = await mapConcurrently([...faces.keys()], async (k) => {
    const compared = await compareFace(pixels[k], files[k], restored[k], DEMO_BASELINES);
    onFace();
    return { face: faces[k], file: files[k], restored: restored[k], ...compared };
  });
  return {
    rate,
    faces: results,
    encodeSeconds: encodeSeconds / faces.length,
    decodeSeconds: decodeSeconds / faces.length,
  };
}
