import { ArgumentError, NotFiniteError } from '../common/errors.js';
import type { OpenRecognizer } from '../data/checkpoints/recognizer-source.js';
import { contentKey, EmbeddingFile } from '../data/faces/embedding-file.js';
import type { FaceSet } from '../data/faces/face-set.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../detection/align.js';
import type { Gpu } from '../gpu/gpu.js';
import { Embedder, mirrored } from '../models/embedder.js';
import type { GeneratedFaces } from './generated-faces.js';
import { joinedFloats } from './joined-floats.js';
import type { DrawnFaces } from './recognition-batches.js';
import { unitEmbeddings } from './teacher.js';

const BATCH = 16;
/** Batches between two savings of the cache. */
const SAVE_EVERY = 16;
const GENERATED_AT_ONCE = 256;

export type ViewProgress = (done: number, total: number) => void;

/**
 * Embeddings of length 1 of pictures; those that are not in the cache are computed.
 * @param pictures of the recogniser's size, by index
 * @param name of a picture in errors
 * @returns by index
 * @throws ArgumentError for an embedding that is not finite
 */
export async function embedWithCache(
  gpu: Gpu,
  recognizer: OpenRecognizer,
  cache: EmbeddingFile,
  pictures: { count: number; pixels(index: number): Promise<Uint8Array>; name(index: number): string },
  onProgress?: ViewProgress,
): Promise<Float32Array[]> {
  const keys: string[] = [];
  const missing = new Map<string, View>();
  for (let k = 0; k < pictures.count; k++) {
    keys.push(contentKey(await pictures.pixels(k)));
    const view = { name: pictures.name(k), pixels: () => pictures.pixels(k) };
    if (!cache.get(keys[k])) missing.set(keys[k], view);
  }
  if (missing.size > 0) {
    const embedder = new Embedder(gpu, recognizer.recognizer, BATCH);
    try {
      await embedViews(embedder, recognizer.name, cache, missing, onProgress);
    } finally {
      embedder.dispose();
      await cache.save();
    }
  }
  return keys.map((key) => cache.get(key)!);
}

/** A picture that the teacher has not embedded yet. */
interface View {
  name: string;
  pixels(): Promise<Uint8Array>;
}

/** Embeds the pictures that are not in the cache, and saves them now and then. @throws ArgumentError for an embedding that is not finite */
async function embedViews(
  embedder: Embedder,
  name: string,
  cache: EmbeddingFile,
  missing: ReadonlyMap<string, View>,
  onProgress?: ViewProgress,
): Promise<void> {
  const all = [...missing];
  for (let at = 0; at < all.length; at += BATCH) {
    const some = all.slice(at, at + BATCH);
    const pictures = await Promise.all(some.map(([, view]) => view.pixels()));
    const embeddings = await unitEmbeddings(embedder, pictures).catch((error: unknown) => {
      if (!(error instanceof NotFiniteError)) throw error;
      const where = some[error.face][1].name;
      throw new ArgumentError(`${where}: ${name} gives an embedding that is not finite`, { cause: error });
    });
    some.forEach(([key], n) => {
      cache.set(key, embeddings[n]);
    });
    if ((at / BATCH) % SAVE_EVERY === SAVE_EVERY - 1) await cache.save();
    onProgress?.(Math.min(at + BATCH, all.length), all.length);
  }
}

/** @throws ArgumentError for a teacher of another input size than the faces, or of another dimension than the network to train */
export function checkTeacher(
  { name, recognizer: { width, height, dimension } }: Pick<OpenRecognizer, 'name' | 'recognizer'>,
  expected: number,
): void {
  if (width !== FACE_WIDTH || height !== FACE_HEIGHT) {
    throw new ArgumentError(`teacher ${name} takes faces of ${width}×${height}; expected 96×112`);
  }
  if (dimension !== expected) {
    throw new ArgumentError(
      `teacher ${name} has embeddings of ${dimension} values; the network to train has ${expected}`,
    );
  }
}

/** The targets of a student for each face of a set; the teacher computes them when first needed, and a file keeps them. */
export class TeacherTargets {
  readonly #cache: EmbeddingFile;
  /** Keys of a face's views, by its index: hashing costs more than looking up. */
  readonly #keys = new Map<number, string[]>();
  readonly #embedder: Embedder;

  private constructor(
    gpu: Gpu,
    readonly teacher: OpenRecognizer,
    readonly faces: FaceSet,
    readonly views: 1 | 2,
    cache: EmbeddingFile,
  ) {
    this.#cache = cache;
    this.#embedder = new Embedder(gpu, teacher.recognizer, BATCH);
  }

  /**
   * @param dimension the student's
   * @param views 1: the teacher's embedding of the face; 2: of a face with an identity, the direction of the sum of those of
   *   the face and of its mirror image
   * @param path the file of embeddings
   * @throws ArgumentError for a teacher of another input size than the faces, or another dimension; FormatError, FileError
   */
  static async open(
    gpu: Gpu,
    teacher: OpenRecognizer,
    faces: FaceSet,
    { dimension, views, cache: path }: { dimension: number; views: 1 | 2; cache: string },
  ): Promise<TeacherTargets> {
    checkTeacher(teacher, dimension);
    return new TeacherTargets(gpu, teacher, faces, views, await EmbeddingFile.open(path, teacher.modelId, dimension));
  }

  async #views(index: number): Promise<Uint8Array[]> {
    const face = await this.faces.face(index);
    const both = this.views === 2 && this.faces.entries[index].identity !== '';
    return both ? [face, mirrored(face, FACE_WIDTH)] : [face];
  }

  /**
   * The targets of faces, one after the other, each of length 1.
   * @param indices of readable faces
   * @returns [indices · dimension]
   * @throws ArgumentError for an embedding that is not finite
   */
  async of(indices: readonly number[], onProgress?: ViewProgress): Promise<Float32Array> {
    const missing = new Map<string, View>();
    for (const index of new Set(indices)) {
      if (!this.#keys.has(index)) this.#keys.set(index, (await this.#views(index)).map(contentKey));
      this.#keys.get(index)!.forEach((key, view) => {
        const { path: name } = this.faces.entries[index];
        if (!this.#cache.get(key)) missing.set(key, { name, pixels: async () => (await this.#views(index))[view] });
      });
    }
    await embedViews(this.#embedder, this.teacher.name, this.#cache, missing, onProgress);
    return joinedFloats(
      indices.map((index) => {
        const views = this.#keys.get(index)!.map((key) => this.#cache.get(key)!);
        return views.length === 2 ? direction(views[0], views[1]) : views[0];
      }),
    );
  }

  /** The targets of a batch: of its faces of the set, then of its generated ones. */
  async ofBatch({ indices, generated: numbers }: DrawnFaces, generated: GeneratedFaces | null): Promise<Float32Array> {
    const own = await this.of(indices);
    return generated ? joinedFloats([own, await this.ofGenerated(generated, numbers)]) : own;
  }

  /** Makes all generated faces, a few at a time. @returns their targets, [count · dimension] */
  async ofAllGenerated(generated: GeneratedFaces, onProgress?: ViewProgress): Promise<Float32Array> {
    const parts: Float32Array[] = [];
    for (let first = 0; first < generated.count; first += GENERATED_AT_ONCE) {
      const count = Math.min(GENERATED_AT_ONCE, generated.count - first);
      const numbers = Array.from({ length: count }, (_, k) => first + k);
      await generated.batch(numbers);
      parts.push(await this.ofGenerated(generated, numbers));
      await this.save();
      onProgress?.(first + count, generated.count);
    }
    return joinedFloats(parts);
  }

  /** The targets of generated faces: those of the faces that they were made from, or the teacher's own. */
  async ofGenerated(generated: GeneratedFaces, numbers: readonly number[]): Promise<Float32Array> {
    const missing = new Map<string, View>();
    const found: (() => Promise<Float32Array>)[] = [];
    for (const number of numbers) {
      const original = generated.originalOf(number);
      if (original !== null) {
        found.push(() => this.of([original]));
        continue;
      }
      const pixels = await generated.face(number);
      const key = contentKey(pixels);
      if (!this.#cache.get(key)) missing.set(key, { name: `generated face ${number}`, pixels: async () => pixels });
      found.push(async () => this.#cache.get(key)!);
    }
    await embedViews(this.#embedder, this.teacher.name, this.#cache, missing);
    const targets: Float32Array[] = [];
    for (const target of found) targets.push(await target());
    return joinedFloats(targets);
  }

  /** Keeps what is new. @throws FileError */
  save(): Promise<void> {
    return this.#cache.save();
  }

  dispose(): void {
    this.#embedder.dispose();
  }
}

/**
 * A teacher's embeddings of faces of a set, each of length 1, from the file `cache` where it has them.
 * @param indices of readable faces
 * @returns [faces.count · dimension], zeros for other faces
 * @throws as TeacherTargets
 */
export async function teacherEmbeddings(
  gpu: Gpu,
  teacher: OpenRecognizer,
  faces: FaceSet,
  indices: readonly number[],
  { dimension, cache }: { dimension: number; cache: string },
  onProgress?: ViewProgress,
): Promise<Float32Array> {
  const targets = await TeacherTargets.open(gpu, teacher, faces, { dimension, views: 1, cache });
  const result = new Float32Array(faces.count * dimension);
  try {
    const found = await targets.of(indices, onProgress);
    indices.forEach((index, k) => {
      result.set(found.subarray(k * dimension, (k + 1) * dimension), index * dimension);
    });
    await targets.save();
  } finally {
    targets.dispose();
  }
  return result;
}

/** The sum of two vectors, at length 1. */
function direction(a: Float32Array, b: Float32Array): Float32Array {
  const sum = Float64Array.from(a, (value, i) => value + b[i]);
  const norm = Math.hypot(...sum) || 1;
  return Float32Array.from(sum, (value) => value / norm);
}
