import { checkCount, checkWord, refuse, withDefaults } from '../../common/arguments.js';
import { ArgumentError, ImageError } from '../../common/errors.js';
import { CounterRandom } from '../../common/random.js';
import { readImage } from './image.js';
import { listPictures } from './picture-listing.js';
import sharp from './sharp.js';

export interface ImageFolderOptions {
  /** Pixels that each picture gets. */
  width: number;
  height: number;
  /** 3 for colour (default), 1 for grey. */
  channels?: 1 | 3;
  /** `fill` (default) changes the proportions, `cover` cuts what is too wide or too high. */
  fit?: 'fill' | 'cover';
}

export interface ImageBatchesOptions {
  /** Pictures in a batch. */
  batchSize: number;
  /** Shuffles each epoch in an order of its own; without it, the pictures come in the order of their names. */
  seed?: number;
  /** Passes through the folder; default 1. */
  epochs?: number;
  /** Leave out the last batch of an epoch where it is smaller; default false. */
  dropLast?: boolean;
  /** Batches to leave out at the beginning, such as those before a checkpoint; default 0. */
  skip?: number;
}

/** Pictures of a batch. */
export interface ImageBatch {
  /** [n, height, width, channels], each from 0 to 1. */
  images: Float32Array;
  /** Index in `classes` of each. */
  labels: Int32Array;
  shape: [n: number, height: number, width: number, channels: number];
  /** Which pictures of the folder these are. */
  indices: number[];
  epoch: number;
}

/**
 * Pictures of a folder, as float32 for a network. Each folder in it is a class; pictures that lie in no folder are of the class `.`.
 * It keeps no state of the process, so each worker may have its own.
 *
 * @example
 * const folder = await ImageFolder.open('pictures', { width: 32, height: 32 });
 * for await (const { images, labels, shape } of folder.batches({ batchSize: 16, seed: 1, epochs: 5 })) {
 *   const loss = scope(gpu, () => step(Tensor.from(gpu, images, shape), Tensor.from(gpu, labels, [shape[0]], 'int32')));
 * }
 */
export class ImageFolder {
  private constructor(
    /** Paths below the folder, in natural order. */
    readonly names: readonly string[],
    /** Names of the classes, in natural order. */
    readonly classes: readonly string[],
    readonly options: Required<ImageFolderOptions>,
    readonly paths: readonly string[],
    readonly labels: Int32Array,
  ) {}

  /**
   * Lists the pictures; nothing is decoded yet.
   * @throws ArgumentError for options out of range; FileError for a folder that cannot be read; ImageError where it holds no picture
   */
  static async open(folder: string, given: ImageFolderOptions): Promise<ImageFolder> {
    const defaults = { width: 0, height: 0, channels: 3, fit: 'fill' } as const;
    const options = withDefaults<Required<ImageFolderOptions>>('ImageFolder', given, defaults);
    checkCount('ImageFolder', 'width', options.width);
    checkCount('ImageFolder', 'height', options.height);
    if (options.channels !== 1 && options.channels !== 3) refuse('ImageFolder', 'channels', options.channels, '1 or 3');
    if (options.fit !== 'fill' && options.fit !== 'cover') {
      refuse('ImageFolder', 'fit', options.fit, '"fill" or "cover"');
    }
    const { pictures } = await listPictures(folder);
    if (pictures.length === 0) throw new ImageError(`${folder}: no pictures`);
    const classOf = (name: string): string => (name.includes('/') ? name.slice(0, name.indexOf('/')) : '.');
    const names = pictures.map(({ name, below }) => below ?? name);
    const classes = [...new Set(names.map(classOf))];
    return new ImageFolder(
      names,
      classes,
      options,
      pictures.map(({ path }) => path),
      Int32Array.from(names, (name) => classes.indexOf(classOf(name))),
    );
  }

  get count(): number {
    return this.paths.length;
  }

  /**
   * Decodes some pictures.
   * @throws ArgumentError for an index that no picture has; ImageError that names a picture that cannot be read
   */
  async load(indices: ArrayLike<number>): Promise<ImageBatch> {
    const { width, height, channels } = this.options;
    const chosen = Array.from(indices);
    const size = width * height * channels;
    const images = new Float32Array(chosen.length * size);
    const decode = async (index: number, k: number): Promise<void> => {
      const bytes = await this.#pixels(this.paths[index]);
      for (let i = 0; i < size; i++) images[k * size + i] = bytes[i] / 255;
    };
    for (const index of chosen) {
      if (!(index in this.paths)) {
        throw new ArgumentError(`ImageFolder: there is no picture ${index}; expected 0 to ${this.count - 1}`);
      }
    }
    await Promise.all(chosen.map(decode));
    const labels = Int32Array.from(chosen, (index) => this.labels[index]);
    return { images, labels, shape: [chosen.length, height, width, channels], indices: chosen, epoch: 0 };
  }

  async #pixels(path: string): Promise<Uint8Array> {
    const { width, height, channels, fit } = this.options;
    const image = await readImage(path);
    const raw = { width: image.width, height: image.height, channels: 3 } as const;
    const resized = sharp(image.data, { raw }).resize(width, height, { fit });
    return (channels === 1 ? resized.toColourspace('b-w') : resized).raw().toBuffer();
  }

  /**
   * Batches, of which the next is decoded while one is used. The same options give the same batches.
   * @throws ArgumentError for options out of range; ImageError as `load`
   */
  async *batches(given: ImageBatchesOptions): AsyncGenerator<ImageBatch, void, undefined> {
    const defaults = { batchSize: 0, seed: undefined, epochs: 1, dropLast: false, skip: 0 };
    const options = withDefaults<ImageBatchesOptions>('ImageFolder.batches', given, defaults);
    const plans = this.#plans(checked(options));
    let next = this.#decode(plans.next());
    for (;;) {
      const batch = await next;
      if (!batch) return;
      next = this.#decode(plans.next());
      // An error is thrown where the batch would have come.
      next.catch(() => {});
      yield batch;
    }
  }

  async #decode(plan: IteratorResult<{ epoch: number; indices: number[] }>): Promise<ImageBatch | undefined> {
    if (plan.done) return undefined;
    return { ...(await this.load(plan.value.indices)), epoch: plan.value.epoch };
  }

  *#plans({
    batchSize,
    seed,
    epochs,
    dropLast,
    skip,
  }: Required<Omit<ImageBatchesOptions, 'seed'>> & { seed?: number }) {
    let left = skip;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = Uint32Array.from(this.paths, (_, k) => k);
      if (seed !== undefined) new CounterRandom(seed, epoch).shuffle(order);
      for (let first = 0; first < order.length; first += batchSize) {
        const indices = [...order.subarray(first, first + batchSize)];
        if (dropLast && indices.length < batchSize) continue;
        if (left-- > 0) continue;
        yield { epoch, indices };
      }
    }
  }
}

function checked(options: ImageBatchesOptions): Required<Omit<ImageBatchesOptions, 'seed'>> & { seed?: number } {
  const { batchSize, seed, epochs = 1, dropLast = false, skip = 0 } = options;
  checkCount('ImageFolder.batches', 'batchSize', batchSize);
  checkCount('ImageFolder.batches', 'epochs', epochs);
  if (!Number.isSafeInteger(skip) || skip < 0) refuse('ImageFolder.batches', 'skip', skip, 'an integer of at least 0');
  if (seed !== undefined) checkWord('ImageFolder.batches', 'seed', seed);
  return { batchSize, seed, epochs, dropLast, skip };
}
