import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FaceLandmarks } from '../../data/align.js';
import { ensureFolder, writeFileAtomic } from '../../data/atomic-file.js';
import type { HostTensor } from '../../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../../nn/safetensors.js';

/** Raise it when alignment or embedding changes what comes out. */
const VERSION = 2;

/** Embeddings on disk, by the hash of what they are made of. A file that is damaged or of another kind counts as empty. */
export class EmbeddingCache {
  readonly #known = new Map<string, HostTensor>();
  #unsaved = 0;

  private constructor(readonly path: string | null) {}

  /** @param path of the cache's file; null keeps nothing */
  static async open(path: string | null): Promise<EmbeddingCache> {
    const cache = new EmbeddingCache(path);
    if (path === null) return cache;
    try {
      for (const [key, tensor] of readSafetensors(await readFile(path)).tensors) cache.#known.set(key, tensor);
    } catch {
      // None yet, or damaged: everything is computed anew.
    }
    return cache;
  }

  /** The key of a picture under a way of embedding. */
  static key(bytes: Uint8Array, landmarks: FaceLandmarks | undefined, way: string): string {
    const text = `${VERSION} ${way} ${JSON.stringify(landmarks ?? null)}`;
    return createHash('sha256').update(text).update(bytes).digest('hex').slice(0, 32);
  }

  /** @param dimension length that an embedding must have */
  get(key: string, dimension: number): Float32Array | undefined {
    const found = this.#known.get(key);
    if (!found || found.data.length !== dimension || !found.data.every(Number.isFinite)) return undefined;
    return Float32Array.from(found.data);
  }

  async set(key: string, embedding: Float32Array): Promise<void> {
    this.#known.set(key, { shape: [embedding.length], data: embedding });
    if (++this.#unsaved >= 2048) await this.save();
  }

  async save(): Promise<void> {
    if (this.path === null || this.#unsaved === 0) return;
    await ensureFolder(dirname(this.path));
    await writeFileAtomic(this.path, writeSafetensors(this.#known, new Map()));
    this.#unsaved = 0;
  }
}
