import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePng } from '../../src/data/pictures/image.js';

export const SIZE = { width: 120, height: 100 };

/** The face in `facePicture`. */
export const FACE = {
  score: 0.95,
  box: { x: 30, y: 20, width: 45, height: 60 },
  landmarks: [
    [42, 42],
    [63, 42],
    [52.5, 54],
    [44, 66],
    [61, 66],
  ],
} as const;

/** A grey picture with a bright red left eye and a bright blue right one, and otherwise a dark face. */
export function facePicture(): Uint8Array {
  const data = new Uint8Array(SIZE.width * SIZE.height * 3).fill(128);
  const fill = (x0: number, y0: number, x1: number, y1: number, colour: readonly number[]): void => {
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) data.set(colour, 3 * (y * SIZE.width + x));
  };
  fill(30, 20, 75, 80, [60, 60, 60]);
  fill(39, 39, 45, 45, [255, 0, 0]);
  fill(60, 39, 66, 45, [0, 0, 255]);
  return data;
}

/** Writes a data folder of four such photographs, of which one is in split val, and a broken one. */
export async function writeLabelledPhotos(data: string): Promise<string> {
  mkdirSync(data, { recursive: true });
  const faces = JSON.stringify([[FACE.score, ...Object.values(FACE.box), ...FACE.landmarks.flat()]]);
  const rows = ['train', 'train', 'val', 'train'].map((split, k) => `${k}.png\tp${k}\t${split}\t${faces}`);
  writeFileSync(join(data, 'manifest.tsv'), `${['path\tidentity\tsplit\tfaces', ...rows].join('\n')}\n`);
  for (const k of [0, 1, 2]) await writePng(join(data, `${k}.png`), { ...SIZE, data: facePicture() });
  writeFileSync(join(data, '3.png'), 'no picture');
  return data;
}
