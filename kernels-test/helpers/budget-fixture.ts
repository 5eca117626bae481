import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readKlt, writeKlt } from '../../src/codec/codec-weights.js';
import { CounterRandom } from '../../src/common/random.js';
import { sizeOf } from '../../src/common/shapes.js';
import type { FaceEntry } from '../../src/data/faces/face-listing.js';
import { FaceSet } from '../../src/data/faces/face-set.js';
import { writeFileAtomic } from '../../src/data/files/atomic-file.js';
import { readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import { alignFace } from '../../src/detection/align.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { KltAutoencoder, type KltConfig } from '../../src/models/klt-autoencoder.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { fitTables } from '../../src/training/fit-tables.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS } from './data-available.js';

/** A face model that is small enough for a test, and has steps fine enough that a face can take 1000 bytes. */
const SMALL: KltConfig = {
  height: 112,
  width: 96,
  band: { luma: [40, 40], chroma: [12, 12] },
  components: [640, 640],
  analysis: { channels: 4, blocks: 1 },
  synthesis: { channels: 4, blocks: 1 },
  steps: 56,
};
/** The steps are finer than those of a model whose components hold more of a face. */
const LOG_GAIN = -Math.log(1.5);

/** A model for faces of 24×28 (width×height) in 32 numbers, for tests that need thousands of faces, not good ones. */
export const TINY: KltConfig = {
  height: 28,
  width: 24,
  band: { luma: [8, 8], chroma: [4, 4] },
  components: [16, 16],
  analysis: { channels: 2, blocks: 0 },
  synthesis: { channels: 2, blocks: 0 },
  steps: 56,
};

type Size = Pick<KltConfig, 'width' | 'height'>;

/** The aligned faces of the photographs that come with a development dependency. */
export async function demoFaces(): Promise<Uint8Array[]> {
  const faces: Uint8Array[] = [];
  for (const [photo, list] of await readLandmarks(DEMO_LANDMARKS)) {
    const image = await readImage(join(DEMO_PHOTOS, photo));
    for (const points of list) faces.push(alignFace(image, points).data);
  }
  return faces;
}

/** Faces in memory as a set that can be trained on. */
class FacesInMemory extends FaceSet {
  constructor(private readonly faces: readonly Uint8Array[]) {
    super(
      'memory',
      faces.map(
        (_, k): FaceEntry => ({ path: `${k}`, identity: `${k}`, source: '', split: 'train', sex: '', race: '' }),
      ),
    );
  }

  override async readable(): Promise<number[]> {
    return [...this.faces.keys()];
  }

  override async batch(indices: ArrayLike<number>): Promise<Uint8Array[]> {
    return Array.from(indices, (index) => this.faces[index]);
  }
}

/** A face of 96×112, subsampled to fewer pixels. */
export function shrunk(face: Uint8Array, { width, height }: Size): Uint8Array {
  const [dx, dy] = [SMALL.width / width, SMALL.height / height];
  const at = (i: number): number =>
    3 * (Math.floor(i / (3 * width)) * dy * SMALL.width + (Math.floor(i / 3) % width) * dx);
  return Uint8Array.from({ length: 3 * width * height }, (_, i) => face[at(i) + (i % 3)]);
}

/** A face that is mirrored or moved by a few pixels, to have more faces for the fitting of tables. */
function variant(face: Uint8Array, { width, height }: Size, dx: number, dy: number, mirror: boolean): Uint8Array {
  const result = new Uint8Array(face.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const column = Math.max(0, Math.min(width - 1, mirror ? width - 1 - x + dx : x + dx));
      const row = Math.max(0, Math.min(height - 1, y + dy));
      result.set(face.subarray((row * width + column) * 3, (row * width + column + 1) * 3), (y * width + x) * 3);
    }
  }
  return result;
}

/** A basis of the cosines of lowest frequency, [cosines, components], for one half of the face. */
function lowestCosines({ band }: KltConfig, count: number): Float32Array {
  const { luma, chroma } = band;
  const cosines: { at: number; frequency: number }[] = [];
  const greyHalf = (luma[0] * luma[1]) / 2;
  // Columns of the luma first, then those of both planes of colour, which matter less.
  for (let at = 0; at < greyHalf; at++) {
    cosines.push({ at, frequency: Math.hypot(2 * Math.floor(at / luma[0]), at % luma[0]) });
  }
  for (let k = 0; k < chroma[0] * chroma[1]; k++) {
    const column = Math.floor(k / chroma[0]) % (chroma[1] / 2);
    cosines.push({ at: greyHalf + k, frequency: 3 * Math.hypot(2 * column, k % chroma[0]) });
  }
  const chosen = cosines.sort((a, b) => a.frequency - b.frequency || a.at - b.at).slice(0, count);
  const basis = new Float32Array(cosines.length * count);
  chosen.forEach(({ at }, k) => {
    basis[at * count + k] = 1;
  });
  return basis;
}

/**
 * The weights file of a small face model with its tables (see `fitSmallFaceModel`). Because fitting takes seconds, test files that
 * run together share it in the folder of the run (CAMEO_TEST_FOLDER).
 * @param which the second is another model by its id, as its conv nets are others; its tables are those of the first
 */
export async function smallFaceModel(gpu: Gpu, which: 1 | 2, config: KltConfig = SMALL): Promise<Uint8Array> {
  const first = await fittedOnce(gpu, config);
  if (which === 1) return first;
  const { tensors, tables } = readKlt(first);
  for (const [name, { data }] of tensors) {
    if (name.includes('.out.')) tensors.set(name, { ...tensors.get(name)!, data: data.map((value) => -value) });
  }
  return writeKlt(config, tensors, {}, tables!);
}

async function fittedOnce(gpu: Gpu, config: KltConfig): Promise<Uint8Array> {
  const run = process.env.CAMEO_TEST_FOLDER;
  if (!run) return fitSmallFaceModel(gpu, config);
  const key = createHash('sha256')
    .update(JSON.stringify([gpu.description, config]))
    .digest('hex');
  const path = join(run, `face-model-${key}.safetensors`);
  if (!existsSync(path)) await writeFileAtomic(path, await fitSmallFaceModel(gpu, config));
  return new Uint8Array(readFileSync(path));
}

/**
 * The weights file of a small face model with its tables: not trained, but a transform of cosines with an entropy coder that
 * was fitted to real faces, so that its pictures are like JPEG's. Its conv nets change pictures only a little.
 */
async function fitSmallFaceModel(gpu: Gpu, config: KltConfig): Promise<Uint8Array> {
  const model = new KltAutoencoder(config).initialize(gpu, 1);
  try {
    model.basis.forEach((half, k) => {
      half.set(gpu, lowestCosines(config, config.components[k]));
    });
    // Both networks start as identities; these weights make them change pictures a little.
    const random = new CounterRandom(1);
    for (const [name, tensor] of model.stateTensors()) {
      if (name.includes('.out.')) {
        tensor.write(Float32Array.from({ length: sizeOf(tensor.shape) }, () => 0.002 * random.normal()));
      }
    }
    model.logGain.set(gpu, new Float32Array(model.latentCount).fill(LOG_GAIN));
    const faces = (await demoFaces()).map((face) => shrunk(face, config));
    const all = faces.flatMap((face) => [face, variant(face, config, 2, 1, true)]);
    const tables = await fitTables(gpu, model, new FacesInMemory(all), { steps: [8, 20, 32, 44] });
    const tensors: HostTensors = new Map();
    for (const [name, tensor] of model.stateTensors()) {
      tensors.set(name, { shape: [...tensor.shape], data: await tensor.read() });
    }
    return writeKlt(model.config, tensors, {}, tables);
  } finally {
    model.dispose();
  }
}

/** Writes such a weights file, for tests of the command. */
export async function writeSmallFaceModel(gpu: Gpu, path: string, which: 1 | 2, config = SMALL): Promise<string> {
  writeFileSync(path, await smallFaceModel(gpu, which, config));
  return path;
}
