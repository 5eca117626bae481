import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CounterRandom } from '../../src/common/random.js';
import { type OpenRecognizer, openRecognizer } from '../../src/data/checkpoints/recognizer-source.js';
import { writePng } from '../../src/data/pictures/image.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { writeRecognizer } from '../../src/models/recognizer-file.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { hashName } from '../../src/nn/init.js';

/** Writes the weights of a tiny untrained network, which is enough for equal pictures to have equal embeddings. */
export function writeTinyRecognizer(path: string, seed: number, dimension = 8): string {
  const network = new CameoFace({ dimension, channels: [4, 4, 4, 8], units: [0, 0, 0, 0] });
  const tensors: HostTensors = new Map();
  for (const [name, { shape, init }] of network.entries()) {
    tensors.set(name, { shape, data: Float32Array.from(init(shape, new CounterRandom(seed, hashName(name)))) });
  }
  writeFileSync(path, writeRecognizer({ architecture: 'cameo-face', ...network.config }, tensors));
  return path;
}

/** A tiny recogniser, read from the file `watcher.safetensors` that it writes into a folder. */
export async function openTinyRecognizer(gpu: Gpu, folder: string): Promise<OpenRecognizer> {
  const path = writeTinyRecognizer(join(folder, 'watcher.safetensors'), 5);
  return openRecognizer(gpu, path, { data: folder, own: path });
}

/** Writes two nearly equal pictures of each of four persons, in folders like those of LFW. */
export async function writePeople(folder: string): Promise<void> {
  for (const [k, name] of ['Ann', 'Bob', 'Cid', 'Dan'].entries()) {
    mkdirSync(join(folder, name), { recursive: true });
    for (const number of [1, 2]) {
      const data = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => {
        const [x, y] = [Math.floor(i / 3) % 96, Math.floor(i / 288)];
        return 128 + 100 * Math.sin((x * (k + 1)) / 15 + (i % 3) * k) * Math.cos((y * (4 - k)) / 20) + number;
      });
      await writePng(join(folder, name, `${name}_000${number}.jpg`), { width: 96, height: 112, data });
    }
  }
}
