import { ArgumentError } from '../../common/errors.js';
import { DeviceKeeper, type DeviceKeeperOptions } from '../../gpu/device-keeper.js';
import type { Gpu } from '../../gpu/gpu.js';
import { AutoencoderCodec } from '../autoencoder-codec.js';
import { type Encoded, encodeInBatches, type FaceInput } from '../encode-many.js';

export interface EncodePngsOptions extends DeviceKeeperOptions {
  /** Opens the device. Called again where it is lost; the run destroys it. */
  openGpu: () => Promise<Gpu>;
  /** The bytes of a weights file of the autoencoder. */
  weights: Uint8Array;
  /** The sizes of its network. */
  config: { width: number; height: number; rates: number };
  /** A rate for all faces; or the most bytes of a file: then each face has the highest rate whose file is small enough. */
  quality: { rate: number } | { bytes: number };
  /** Maximum number of faces that are read ahead; default 64. */
  queue?: number;
}

/**
 * Encodes any number of faces to compact PNGs, in their order, as `encodeMany` does to the codes of a byte budget: the
 * result of a face is its file, or an ArgumentError where the smallest is too large.
 * @throws as `encodeMany`
 */
export async function* encodePngs<F extends FaceInput>(
  faces: AsyncIterable<F> | Iterable<F>,
  options: EncodePngsOptions,
): AsyncGenerator<Encoded<F, Uint8Array>, void, undefined> {
  const { openGpu, weights, config, quality, queue, signal } = options;
  const keeper = new DeviceKeeper(openGpu, options);
  const codecOn = keeper.made((gpu) => AutoencoderCodec.fromWeights(gpu, weights));
  const encode = async (pictures: readonly Uint8Array[]): Promise<PngResult[]> =>
    keeper.run(async (gpu) => {
      const codec = codecOn(gpu);
      if ('bytes' in quality) return smallestEnough(codec, pictures, quality.bytes, config.rates);
      return (await codec.encode(pictures, quality.rate)).map((result) => ({ result }));
    });
  try {
    for await (const batch of encodeInBatches(faces, { size: config, encode, queue, signal })) yield* batch;
  } finally {
    keeper.close();
  }
}

type PngResult = { result: Uint8Array } | { error: unknown };

/** Of each face the file of the highest rate that has at most so many bytes. */
async function smallestEnough(
  codec: AutoencoderCodec,
  faces: readonly Uint8Array[],
  bytes: number,
  rates: number,
): Promise<PngResult[]> {
  const results: PngResult[] = [];
  let open = [...faces.keys()];
  for (let rate = rates - 1; rate >= 0 && open.length > 0; rate--) {
    const files = await codec.encode(
      open.map((k) => faces[k]),
      rate,
    );
    for (const [i, k] of open.entries()) {
      const { length } = files[i];
      const error = new ArgumentError(`its smallest PNG has ${length} bytes; at most ${bytes} are allowed`);
      results[k] = length <= bytes ? { result: files[i] } : { error };
    }
    open = open.filter((k) => 'error' in results[k]);
  }
  return results;
}
