import type { BaselineCodec, BaselineResult } from '../codecs/baselines.js';
import { compareFace, compressFaces, type FaceCoder, type FaceScores, mapConcurrently } from './face-scores.js';

/** The codecs beside Cameo: those that any viewer opens. */
export const DEMO_BASELINES: readonly BaselineCodec[] = ['jpeg', 'jpeg2000'];

export interface DemoFace {
  name: string;
  /** RGB, 112·96·3 bytes. */
  pixels: Uint8Array;
}

/** One face at one setting, with pictures. */
export interface DemoResult {
  face: DemoFace;
  /** The compact file. */
  file: Uint8Array;
  restored: Uint8Array;
  scores: FaceScores;
  baselines: BaselineResult[];
}

/** How large files may get: a rate of the model, or a number of bytes. */
export interface DemoSetting {
  /** For titles: 'rate 0', '300 bytes'. */
  name: string;
  /** Of the files it makes. */
  folder: string;
  coder: FaceCoder;
}

/** All faces at one setting; times are those of a warm program, in seconds for each face. */
export interface DemoRun {
  setting: string;
  faces: DemoResult[];
  encodeSeconds: number;
  decodeSeconds: number;
}

/**
 * Compresses and restores faces at one setting, and does the same with JPEG and JPEG2000 within the same bytes.
 * @param onFace called after each face
 */
export async function runDemo(
  { name, coder }: DemoSetting,
  faces: readonly DemoFace[],
  onFace: () => void,
): Promise<DemoRun> {
  const pixels = faces.map((face) => face.pixels);
  const { files, restored, encodeSeconds, decodeSeconds } = await compressFaces(coder, pixels);
  const results = await mapConcurrently([...faces.keys()], async (k) => {
    const compared = await compareFace(pixels[k], files[k], restored[k], DEMO_BASELINES);
    onFace();
    return { face: faces[k], file: files[k], restored: restored[k], ...compared };
  });
  return {
    setting: name,
    faces: results,
    encodeSeconds: encodeSeconds / faces.length,
    decodeSeconds: decodeSeconds / faces.length,
  };
}
