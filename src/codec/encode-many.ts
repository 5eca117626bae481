import { checkOptions, refuse } from '../common/arguments.js';
import { batchesOf } from '../common/batch-queue.js';
import { ArgumentError } from '../common/errors.js';
import { DeviceKeeper, type DeviceKeeperOptions } from '../gpu/device-keeper.js';
import type { Gpu } from '../gpu/gpu.js';
import { type KltFile, readKlt, tablesOf } from './codec-weights.js';
import { encodeFace, type FaceSymbols } from './container/face-code.js';
import type { LatentModel } from './entropy/latent-model.js';
import { checkBudget, FaceCodec, type FaceContainer, type FaceHolder, HEADER_BYTES, packInto } from './face-codec.js';

/** Faces that are encoded at a time: enough to keep a GPU busy, and little enough memory for a CPU. */
export const FACES_AT_ONCE = 16;

/** A face to encode, or the reason why there is none: then it is counted and passed on, and the rest goes on. */
export type FaceInput = { name: string; rgb: Uint8Array } | { name: string; error: unknown };

/** How far a run has come. */
export interface EncodeProgress {
  /** Faces encoded. */
  done: number;
  /** Faces that could not be. */
  failed: number;
  /** Faces in all, where that was said. */
  total?: number;
  /** Of the faces encoded, with their headers. */
  bytes: number;
  /** Devices lost. */
  losses: number;
}

export interface EncodeManyOptions extends DeviceKeeperOptions {
  /** Opens the device: `openGpu` of `cameo/node`, `openBrowserGpu`. Called again where it is lost; the run destroys it. */
  openGpu: () => Promise<Gpu>;
  /** A weights file with its tables, as `models/face.safetensors`, or what has been read of it. */
  weights: Uint8Array | KltFile;
  /** Most bytes of a face, container included. */
  bytes: number;
  /** What the faces go into; default 'file'. */
  holder?: FaceHolder;
  /** Most faces that are read ahead; default 64. */
  queue?: number;
  /** Faces in all, for `onProgress`. */
  total?: number;
  /** Told after each batch, when its faces have been taken. */
  onProgress?: (progress: EncodeProgress) => void;
}

export const ENCODE_OPTIONS: readonly string[] =
  /* @__PURE__ */ 'openGpu weights bytes holder queue total onProgress retries backoffMs signal onLost'.split(' ');

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

/**
 * Encodes any number of faces in little memory, in their order: faces are read ahead, but at most `queue` of them, and no
 * more than a batch beside them is held; whoever takes the results slowly slows the reading down. A device that is lost is
 * opened anew and its batch encoded again: no face is lost, and none comes twice. What a face becomes depends on no other.
 *
 * It ends with the faces, where the caller stops taking, or by `signal`, once the batch under way has been given out.
 *
 * @param faces RGB, 3 bytes a pixel, row by row, of the size of the model; one of another size becomes a `FailedFace`
 * @throws ArgumentError for fewer bytes than a face takes, CheckpointError for the weights, whatever `openGpu` or `faces`
 * throws, DeviceLostError where a device is lost again and again (see `retries`), GpuError and OutOfMemoryError of a device
 * that is well, the signal's reason. The faces given out before are whole.
 */
export async function* encodeMany<F extends FaceInput>(
  faces: AsyncIterable<F> | Iterable<F>,
  options: EncodeManyOptions,
): AsyncGenerator<EncodedFace<F> | FailedFace<F>, void, undefined> {
  checkOptions('encodeMany', options, ENCODE_OPTIONS);
  const { openGpu, weights, bytes: maxBytes, holder = 'file', queue = 64, signal, total, onProgress } = options;
  if (!(holder in HEADER_BYTES)) refuse('encodeMany', 'holder', holder, Object.keys(HEADER_BYTES).join(', '));
  const file = weights instanceof Uint8Array ? readKlt(weights) : weights;
  const latents = tablesOf(file).model;
  checkBudget(latents, maxBytes, holder);
  const size = 3 * file.config.width * file.config.height;
  const keeper = new DeviceKeeper(openGpu, (gpu) => FaceCodec.fromKlt(gpu, file), options);
  let [done, failed, bytes] = [0, 0, 0];
  try {
    for await (const batch of batchesOf(faces, { size: FACES_AT_ONCE, queue, signal })) {
      const good = batch.flatMap((face) => ('rgb' in face && face.rgb.length === size ? face.rgb : []));
      const symbols = good.length === 0 ? [] : await keeper.run((codec) => codec.symbolsOf(good, { maxBytes }, holder));
      let next = 0;
      for (const input of batch) {
        if ('rgb' in input && input.rgb.length === size) {
          const face = new EncodedFace(input, symbols[next], encodeFace(symbols[next], latents), latents);
          next++;
          yield face;
          done++;
          bytes += HEADER_BYTES[holder] + face.code.length;
        } else {
          yield { input, error: 'rgb' in input ? wrongSize(input, file) : input.error };
          failed++;
        }
      }
      onProgress?.({ done, failed, total, bytes, losses: keeper.losses });
    }
  } finally {
    keeper.close();
  }
}

const wrongSize = ({ name, rgb }: { name: string; rgb: Uint8Array }, { config: { width, height } }: KltFile) =>
  new ArgumentError(`${name}: has ${rgb.length} bytes; a face of ${width}×${height} RGB has ${3 * width * height}`);
