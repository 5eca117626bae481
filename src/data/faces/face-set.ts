import { join } from 'node:path';
import { ArgumentError, CameoError, ImageError } from '../../common/errors.js';
import { evenlyFrom } from '../../common/evenly-from.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import { type RgbImage, readImage } from '../pictures/image.js';
import { PICTURE_FORMATS } from '../pictures/picture-format.js';
import { type FaceEntry, listFaces, type Split, type Unreadable } from './face-listing.js';
import { FacePack } from './face-pack.js';

export { FACE_BYTES } from './face-pack.js';

/** libvips decodes in Node's pool of four threads; a few more requests keep that pool busy while files are read. */
const CONCURRENCY = 6;

/** The aligned face of a photograph, RGB bytes of 96×112. @throws ImageError if there is none */
export type FaceAligner = (photo: RgbImage, name: string) => Promise<Uint8Array>;

export interface FaceFolderOptions {
  /** only this part of the set; all when absent */
  split?: Split;
  /** only faces of these sources, as the manifest names them; all when absent */
  sources?: readonly string[];
  /** at most this many faces, spread evenly over the set; all when absent */
  limit?: number;
  /** finds the face of a picture of another size than 96×112; such pictures are unreadable without it */
  align?: FaceAligner;
}

export type LoadProgress = (done: number, total: number) => void;

/**
 * Opens a folder of aligned faces (112 rows × 96 columns, PICTURE_FORMATS) with or without a manifest, in the form
 * that listFaces describes. Faces are decoded when first asked for and kept in memory (32,256 bytes each); those of a pack
 * (`writeFacePack`) are read whenever they are asked for.
 *
 * @throws FileError for a folder that cannot be read; FormatError for a bad manifest; ArgumentError when the options
 *   leave no face
 */
export async function openFaceFolder(folder: string, options: FaceFolderOptions = {}): Promise<FaceSet> {
  const set = await openFacesIfAny(folder, options);
  if (set) return set;
  const { split, sources } = options;
  const wanted = [split && `split ${split}`, sources && `source ${sources.join(' or ')}`].filter(Boolean).join(', ');
  throw new ArgumentError(
    `${folder}: no faces${wanted && ` of ${wanted}`}; expected aligned ${PICTURE_FORMATS} crops of 96×112 (width×height), or a manifest.tsv that lists them`,
  );
}

/**
 * Like openFaceFolder, for a part of a set that may be missing.
 * @returns null when the options leave no face
 * @throws FileError for a folder that cannot be read; FormatError for a bad manifest; ArgumentError for a bad limit
 */
export async function openFacesIfAny(folder: string, options: FaceFolderOptions = {}): Promise<FaceSet | null> {
  const { split, sources, limit, align } = options;
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1)) {
    throw new ArgumentError(`openFaceFolder: limit is ${limit}; expected a positive integer`);
  }
  const { root, entries: all, unreadable, own } = await listFaces(folder);
  let rows = [...all.keys()].filter((row) => {
    const entry = all[row];
    return (split === undefined || entry.split === split) && (sources === undefined || sources.includes(entry.source));
  });
  if (rows.length === 0) return null;
  if (limit !== undefined) rows = evenlyFrom(rows, limit);
  const pack = await FacePack.open(root, all.length);
  const entries = rows.map((row) => all[row]);
  return new FaceSet(root, entries, unreadable, pack ? { pack, rows } : null, own, align);
}

/** Faces by index, decoded on demand. The indices never change, whether or not a face turns out to be readable. */
export class FaceSet {
  readonly root: string;
  readonly entries: readonly FaceEntry[];
  readonly #unreadable: Unreadable[];
  readonly #faces: (Uint8Array | ImageError | undefined)[];
  readonly #pending = new Map<number, Promise<void>>();
  readonly #found = new Set<number>();

  constructor(
    root: string,
    entries: readonly FaceEntry[],
    unreadable: readonly Unreadable[] = [],
    /** Where the pixels of each entry are, for faces of a pack. */
    readonly packed: { pack: FacePack; rows: readonly number[] } | null = null,
    /** Pictures of the folder that are left out because Cameo made them. */
    readonly own = 0,
    private readonly align?: FaceAligner,
  ) {
    this.root = root;
    this.entries = entries;
    this.#unreadable = [...unreadable];
    this.#faces = new Array(entries.length).fill(undefined);
  }

  /** The faces of the given indices as a set of their own; decoded faces stay decoded. */
  subset(indices: readonly number[]): FaceSet {
    const { packed } = this;
    const part = new FaceSet(
      this.root,
      indices.map((index) => this.entries[index]),
      [],
      packed && { pack: packed.pack, rows: indices.map((index) => packed.rows[index]) },
      0,
      this.align,
    );
    indices.forEach((index, k) => {
      part.#faces[k] = this.#faces[index];
      if (this.#found.has(index)) part.#found.add(k);
    });
    return part;
  }

  /** Faces listed; those found unreadable are counted. */
  get count(): number {
    return this.entries.length;
  }

  /** Whether a face, once it is decoded, was found in a photograph and aligned. */
  wasFound(index: number): boolean {
    return this.#found.has(index);
  }

  /** Faces that could not be used so far, by path; complete after `load()`. */
  get unreadable(): readonly Unreadable[] {
    return this.#unreadable.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /**
   * Decodes faces that are not in memory yet, a few at a time; unreadable ones are noted in `unreadable`.
   * @param indices which; all when absent
   */
  async load(onProgress?: LoadProgress, indices?: ArrayLike<number>): Promise<void> {
    const total = indices?.length ?? this.count;
    let next = 0;
    let done = 0;
    const worker = async (): Promise<void> => {
      while (next < total) {
        const at = next++;
        await this.#decode(indices?.[at] ?? at);
        onProgress?.(++done, total);
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, total) }, worker));
  }

  /**
   * The pixels of one face, 112·96·3 bytes; to be read only.
   * @throws ImageError when it is unreadable; ArgumentError for an index outside the set
   */
  async face(index: number): Promise<Uint8Array> {
    await this.#decode(index);
    if (this.packed) return this.packed.pack.read(this.packed.rows[index]);
    const face = this.#faces[index];
    if (face instanceof Uint8Array) return face;
    throw face;
  }

  /**
   * Like `face` for many, except that the next readable face stands in for an unreadable one, so that a batch of a
   * partly damaged set is complete and the same in every run.
   * @throws ImageError when the set has no readable face at all
   */
  async batch(indices: ArrayLike<number>): Promise<Uint8Array[]> {
    if (this.packed) return Promise.all(Array.from(indices, (index) => this.face(index)));
    await this.load(undefined, indices);
    const faces: Uint8Array[] = [];
    for (let i = 0; i < indices.length; i++) faces.push(await this.#faceFrom(indices[i]));
    return faces;
  }

  /** Indices of the faces that are readable, ascending; decodes the whole set first. */
  async readable(onProgress?: LoadProgress): Promise<number[]> {
    if (this.packed) return [...this.entries.keys()];
    await this.load(onProgress);
    return this.#faces.flatMap((face, i) => (face instanceof Uint8Array ? [i] : []));
  }

  async #faceFrom(index: number): Promise<Uint8Array> {
    for (let tried = 0; tried < this.count; tried++) {
      const at = (index + tried) % this.count;
      await this.#decode(at);
      const face = this.#faces[at];
      if (face instanceof Uint8Array) return face;
    }
    const first = this.#faces[0] as ImageError;
    throw new ImageError(`${this.root}: none of the ${this.count} faces is readable; the first: ${first.message}`);
  }

  async #decode(index: number): Promise<void> {
    if (!Number.isInteger(index) || index < 0 || index >= this.count) {
      throw new ArgumentError(`${this.root}: face ${index}; expected an index from 0 to ${this.count - 1}`);
    }
    if (this.packed || this.#faces[index] !== undefined) return;
    let pending = this.#pending.get(index);
    if (!pending) {
      pending = this.#read(index).finally(() => this.#pending.delete(index));
      this.#pending.set(index, pending);
    }
    await pending;
  }

  async #read(index: number): Promise<void> {
    const { path } = this.entries[index];
    try {
      const image = await readImage(join(this.root, path), {
        name: path,
        exactly: this.align ? undefined : { width: FACE_WIDTH, height: FACE_HEIGHT },
      });
      if (this.align && (image.width !== FACE_WIDTH || image.height !== FACE_HEIGHT)) {
        this.#faces[index] = await this.align(image, path);
        this.#found.add(index);
        return;
      }
      // A copy of exact size: the decoder's buffer may belong to a larger pool.
      this.#faces[index] = image.data.slice();
    } catch (error) {
      if (!(error instanceof CameoError)) throw error;
      const failure = error instanceof ImageError ? error : new ImageError(error.message, { cause: error });
      this.#faces[index] = failure;
      this.#unreadable.push({ path, reason: failure.message.replace(`${path}: `, '') });
    }
  }
}
