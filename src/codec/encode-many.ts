import { checkOptions, refuse } from '../common/arguments.js';
import { batchesOf } from '../common/batch-queue.js';
import { ArgumentError } from '../common/errors.js';
import { inOrder } from '../common/in-order.js';
import type { AbortSignal } from '../common/platform-types.js';
import { DeviceKeeper, type DeviceKeeperOptions } from '../gpu/device-keeper.js';
import type { Gpu } from '../gpu/gpu.js';
import { type KltFile, readKlt, tablesOf } from './codec-weights.js';
import { encodeFace, type FaceSymbols } from './container/face-code.js';
import type { LatentModel } from './entropy/latent-model.js';
import { FaceCodec } from './face-codec.js';
import { type AnyContainer, checkBudget, type FaceContainer, HEADER_BYTES, packInto } from './face-target.js';

/** Faces that are encoded at a time: enough to keep a GPU busy, and few enough for a CPU's memory. */
export const FACES_AT_ONCE = 16;

/** A face to encode, or the reason why there is none: it is then counted and passed on, and the run continues. */
export type FaceInput = { name: string; rgb: Uint8Array } | { name: string; error: unknown };

/** How far a run has come. */
export interface EncodeProgress {
  /** Faces encoded. */
  done: number;
  /** Faces that could not be encoded. */
  failed: number;
  /** All faces, if their number was given. */
  total?: number;
  /** Bytes of the encoded faces, headers included. */
  bytes: number;
  /** Number of times that the device was lost. */
  losses: number;
}

export interface EncodeManyOptions extends DeviceKeeperOptions {
  /** Opens the device: `openGpu` of `cameo/node`, or `openBrowserGpu`. Called again if the device is lost; the run destroys it. */
  openGpu: () => Promise<Gpu>;
  /** A weights file with tables, such as `models/face.safetensors`, as bytes or already read. */
  weights: Uint8Array | KltFile;
  /** Maximum bytes of a face, container included. */
  bytes: number;
  /** The container of the faces; default 'file'. */
  container?: AnyContainer;
  /** @deprecated Use `container`. */
  holder?: AnyContainer;
  /** Maximum number of faces that are read ahead; default 64. */
  queue?: number;
  /** Number of all faces, for `onProgress`. */
  total?: number;
  /** Called after each batch, when its faces have been taken. */
  onProgress?: (progress: EncodeProgress) => void;
}

export const ENCODE_OPTIONS: readonly string[] =
  /* @__PURE__ */ 'openGpu weights bytes container holder queue total onProgress retries backoffMs signal onLost'.split(
    ' ',
  );

/** A face that has been encoded. */
export class EncodedFace<F> {
  #latents: LatentModel;

  constructor(
    readonly input: F,
    readonly symbols: FaceSymbols,
    /** Code of the symbols. */
    readonly code: Uint8Array,
    latents: LatentModel,
  ) {
    this.#latents = latents;
  }

  /** The face in a container of its own. */
  pack(container: FaceContainer): Uint8Array {
    return packInto(container)(this.symbols, this.#latents, this.code);
  }
}

/** A face that could not be encoded, and why. */
export interface FailedFace<F> {
  input: F;
  error: unknown;
}

/** A face of a batch, and what became of it. */
export type Encoded<F, R> = { input: F; result: R } | FailedFace<F>;

/** How `encodeInBatches` encodes. */
export interface BatchEncoding<R> {
  /** Width and height that a picture must have, in pixels. */
  size: { width: number; height: number };
  /** One result for each face, or the reason why there is none. */
  encode(faces: readonly Uint8Array[]): Promise<readonly ({ result: R } | { error: unknown })[]>;
  /** Maximum number of faces that are read ahead; default 64. */
  queue?: number;
  signal?: AbortSignal;
}

/**
 * Encodes faces in batches, in their order. Faces are read ahead, but at most `queue` faces and two batches are in memory.
 * Faces of another size are passed on with the reason.
 * @throws whatever `faces` or `encode` throws; the signal's reason
 */
export async function* encodeInBatches<F extends FaceInput, R>(
  faces: AsyncIterable<F> | Iterable<F>,
  { size, encode, queue = 64, signal }: BatchEncoding<R>,
): AsyncGenerator<Encoded<F, R>[], void, undefined> {
  const bytes = 3 * size.width * size.height;
  const encodeBatch = async (batch: readonly F[]): Promise<Encoded<F, R>[]> => {
    const good = batch.flatMap((face) => ('rgb' in face && face.rgb.length === bytes ? face.rgb : []));
    const results = good.length === 0 ? [] : await encode(good);
    let next = 0;
    return batch.map((input) => {
      if (!('rgb' in input)) return { input, error: input.error };
      if (input.rgb.length !== bytes) return { input, error: wrongSize(input, size) };
      return { input, ...results[next++] };
    });
  };
  yield* inOrder(batchesOf(faces, { size: FACES_AT_ONCE, queue, signal }), encodeBatch, signal);
}

const wrongSize = (
  { name, rgb }: { name: string; rgb: Uint8Array },
  { width, height }: BatchEncoding<unknown>['size'],
) => new ArgumentError(`${name}: has ${rgb.length} bytes; a face of ${width}×${height} RGB has ${3 * width * height}`);

/**
 * Encodes any number of faces in little memory, in their order. Faces are read ahead, but at most `queue` faces and two
 * batches are in memory; if the caller takes the results slowly, reading slows down. If the device is lost, it is opened again and its
 * batch is encoded again: no face is lost, and none comes twice. The result of a face does not depend on the other faces.
 *
 * It ends after the last face, when the caller stops taking results, or by `signal` after the current batch.
 *
 * @param faces RGB, 3 bytes a pixel, row by row, of the size of the model; one of another size becomes a `FailedFace`
 * @throws ArgumentError for fewer bytes than a face takes, CheckpointError for the weights, whatever `openGpu` or `faces`
 * throws, DeviceLostError if a device is lost again and again (see `retries`), GpuError and OutOfMemoryError if the
 * device is not lost, the signal's reason. The results given out before stay valid.
 */
export async function* encodeMany<F extends FaceInput>(
  faces: AsyncIterable<F> | Iterable<F>,
  options: EncodeManyOptions,
): AsyncGenerator<EncodedFace<F> | FailedFace<F>, void, undefined> {
  checkOptions('encodeMany', options, ENCODE_OPTIONS);
  const {
    openGpu,
    weights,
    bytes: maxBytes,
    holder = 'file',
    container = holder,
    queue,
    signal,
    total,
    onProgress,
  } = options;
  if (!(container in HEADER_BYTES)) refuse('encodeMany', 'container', container, Object.keys(HEADER_BYTES).join(', '));
  const file = weights instanceof Uint8Array ? readKlt(weights) : weights;
  const latents = tablesOf(file).model;
  checkBudget(latents, maxBytes, container);
  const keeper = new DeviceKeeper(openGpu, options);
  const codecOn = keeper.made((gpu) => FaceCodec.fromKlt(gpu, file));
  const encode = async (pictures: readonly Uint8Array[]) => {
    const all = await keeper.run((gpu) => codecOn(gpu).codedSymbolsOf(pictures, { maxBytes }, container));
    return all.map((result) => ({ result }));
  };
  let [done, failed, bytes] = [0, 0, 0];
  try {
    for await (const batch of encodeInBatches(faces, { size: file.config, encode, queue, signal })) {
      for (const one of batch) {
        if ('error' in one) {
          yield one;
          failed++;
          continue;
        }
        const { code = encodeFace(one.result, latents), ...symbols } = one.result;
        const face = new EncodedFace(one.input, symbols, code, latents);
        yield face;
        done++;
        bytes += HEADER_BYTES[container] + face.code.length;
      }
      onProgress?.({ done, failed, total, bytes, losses: keeper.losses });
    }
  } finally {
    keeper.close();
  }
}
