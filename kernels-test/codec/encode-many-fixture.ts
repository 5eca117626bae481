import { join } from 'node:path';
import { readKlt } from '../../src/codec/codec-weights.js';
import { type EncodeManyOptions, encodeMany, type FaceInput } from '../../src/codec/encode-many.js';
import { CounterRandom } from '../../src/common/random.js';
import type { EncodeToArchiveOptions } from '../../src/data/archives/encode-archive.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { openGpu as openAny } from '../../src/gpu/node/adapters.js';
import { temporaryFolder } from '../cli/cli-fixture.js';
import { demoFaces, shrunk, smallFaceModel, TINY } from '../helpers/budget-fixture.js';
import { keptOpen } from '../helpers/kept-device.js';

/** Tiny faces and a tiny model, with which thousands are encoded in seconds. */

const folder = temporaryFolder();
export const at = (name: string): string => join(folder, name);
const first = await openAny();
export const weights = await smallFaceModel(first, 1, TINY);
export const otherWeights = await smallFaceModel(first, 2, TINY);
const adapter = first.description.kind;
first.destroy();
export const openGpu = (): Promise<Gpu> => openAny({ adapter });
/** Opens the device for runs that lose none. */
const openKept = keptOpen(openGpu);
export const { model } = readKlt(weights).tables!;
/** Most bytes of a face. */
export const BYTES = 40;

const originals = (await demoFaces()).map((face) => shrunk(face, TINY));
/** Generates any number of different faces. */
export function face(k: number): { name: string; rgb: Uint8Array } {
  const random = new CounterRandom(k);
  const original = originals[k % originals.length];
  const shift = Math.floor(k / originals.length) % 40;
  return { name: `face ${k}`, rgb: original.map((value) => Math.min(255, value + shift + random.int(4))) };
}
export const some = (count: number) => Array.from({ length: count }, (_, k) => face(k));
export async function* sourceOf(count: number, onFace: (k: number) => void = () => {}) {
  for (let k = 0; k < count; k++) {
    onFace(k);
    yield face(k);
  }
}

export const options = (name: string, more: Partial<EncodeToArchiveOptions> = {}): EncodeToArchiveOptions => ({
  archive: at(name),
  weights,
  bytes: BYTES,
  openGpu: openKept,
  backoffMs: 1,
  ...more,
});
export const encode = (faces: AsyncIterable<FaceInput> | Iterable<FaceInput>, more: Partial<EncodeManyOptions> = {}) =>
  encodeMany(faces, { weights, bytes: BYTES, openGpu: openKept, backoffMs: 1, ...more });

/** The faces of most tests. */
export const COUNT = 70;
