import { join } from 'node:path';
import { dataFolder } from '../src/cli/places.js';
import { CameoError } from '../src/common/errors.js';
import { type IdentityPhoto, listPhotos } from '../src/data/faces/photo-crops.js';
import { readImage } from '../src/data/pictures/image.js';
import { alignFace, alignmentTransform } from '../src/detection/align.js';
import {
  binOf,
  blackened,
  drawEvenly,
  eyeDistance,
  outsideOf,
  shareOf,
  turnOf,
} from '../src/evaluation/quality/face-bins.js';
import type { Border, MeasuredFace } from './face-bins-tables.js';

const SETS = ['photos', 'profiles'];
export const MIN_SCORE = 0.8;
export const SEED = 1;

/** A face with its crops. */
export interface Face extends MeasuredFace {
  outside: Uint8Array;
  crops: Record<Border, Uint8Array>;
}

async function openFace({ entry, points }: IdentityPhoto): Promise<Face> {
  const { path, identity: person, source: set } = entry;
  const photo = await readImage(join(dataFolder(), set, path), { name: path });
  const outside = outsideOf(alignmentTransform(points), photo);
  const mirrored = alignFace(photo, points, '96x112', { smooth: true }).data;
  return {
    path: `${set}/${path}`,
    person,
    set,
    turn: turnOf(points),
    border: shareOf(outside),
    eyes: eyeDistance(points),
    figures: {},
    outside,
    crops: { mirrored, black: blackened(mirrored, outside) },
  };
}

/** All faces of a split of both sets. @returns also how many are left out: doubtful ones, and those that cannot be aligned */
export async function openBinFaces(split: string, sets = SETS): Promise<{ faces: Face[]; leftOut: number }> {
  const faces: Face[] = [];
  let leftOut = 0;
  for (const set of sets) {
    for (const photo of await listPhotos(join(dataFolder(), set), set)) {
      if (photo.entry.split !== split) continue;
      try {
        if (photo.score < MIN_SCORE) leftOut++;
        else faces.push(await openFace(photo));
      } catch (error) {
        if (!(error instanceof CameoError)) throw error;
        leftOut++;
      }
    }
  }
  return { faces, leftOut };
}

/** Draws faces as evenly as they allow over the bins of turn and border. */
export const drawBinFaces = (faces: readonly Face[], count: number): Face[] =>
  drawEvenly(faces, ({ turn, border }) => `${binOf('turn', turn)} ${binOf('border', border)}`, count, SEED);
