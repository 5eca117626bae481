import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { ensureFolder, writeFileAtomic } from '../../data/files/atomic-file.js';
import { readRegularFile } from '../../data/files/read-file.js';
import type { FaceLandmarks } from '../../detection/align.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { HostTensor } from '../../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../../nn/safetensors.js';

/** Raise it when a change of alignment or embedding changes the values. */
const VERSION = 2;

/** Device, as a part of a key: another adapter, driver or precision rounds differently. */
export function computedBy({ description, limits }: Pick<Gpu, 'description' | 'limits'>): string {
  const { vendor, architecture, device, description: text } = description;
  return JSON.stringify([vendor, architecture, device, text, limits.precision]);
}

/**
 * Embeddings on disk, by the hash of their inputs. A file that is damaged or of another kind counts as empty. A file that
 * cannot be written is reported once; callers get their embeddings in any case.
 */
export class EmbeddingCache {
  readonly #known = new Map<string, HostTensor>();
  #unsaved = 0;
  #unwritable = false;

  private constructor(readonly path: string | null) {}

  /** @param path of the cache's file; null keeps nothing */
  static async open(path: string | null): Promise<EmbeddingCache> {
    const cache = new EmbeddingCache(path);
    if (path === null) return cache;
    try {
      for (const [key, tensor] of readSafetensors(await readRegularFile(path, Infinity)).tensors)
        cache.#known.set(key, tensor);
    } catch {
      // None yet, or damaged: everything is computed again.
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

  /** Writes new embeddings. It never throws, because the cache must not hide an error of the run or lose its work. */
  async save(): Promise<void> {
    if (this.path === null || this.#unwritable || this.#unsaved === 0) return;
    try {
      await ensureFolder(dirname(this.path));
      await writeFileAtomic(this.path, writeSafetensors(this.#known, new Map()));
      this.#unsaved = 0;
    } catch (error) {
      this.#unwritable = true;
      console.error(`cameo: embeddings are not kept for later runs: ${(error as Error).message}`);
    }
  }
}
