import { ENCODER_VERSION } from '../codec/byte-budget.js';
import type { FaceSymbols } from '../codec/container/face-code.js';
import { encodeMany, type FaceInput, type FailedFace } from '../codec/encode-many.js';
import { type AnyContainer, type FaceContainer, minFaceBytes } from '../codec/face-target.js';
import { encodePngs } from '../codec/png/encode-pngs.js';
import { ArgumentError } from '../common/errors.js';
import type { DeviceKeeperOptions } from '../gpu/device-keeper.js';
import type { CodecSession } from './codec-session.js';
import { noteWarning } from './complain.js';
import { openDevice } from './device.js';

/** Default bytes of a face. */
export const DEFAULT_BYTES = 500;

/**
 * With fewer bytes, many restored faces are no longer recognised: of faces of 150, 100 and 60 bytes, 99, 86 and 62 % are accepted as
 * their own originals by the less tolerant of two recognisers (results/codecs/low-rates.md).
 */
const FEWEST_BYTES = 150;

/** Warns if faces of at most `maxBytes` are too small to be recognised. */
export function warnOfFewBytes(maxBytes: number): void {
  if (maxBytes >= FEWEST_BYTES) return;
  noteWarning(
    null,
    'bytes',
    `with fewer than ${FEWEST_BYTES} bytes, restored faces are often not recognised (docs/codec.md); this run allows ${maxBytes}`,
  );
}

/** Options of `cameo encode` for the files. */
export interface EncodeSettings {
  container: 'png' | FaceContainer;
  /** Maximum bytes of a face. */
  bytes?: number;
  /** Of the PNG codec. */
  rate?: number;
}

/** One face encoded: its file, and what goes into an archive. */
export interface FaceFile<F> {
  input: F;
  file: Uint8Array;
  symbols?: FaceSymbols;
  code?: Uint8Array;
}

/** Turns faces into files; a device that is lost is opened again. */
export interface Encoder {
  /** One result for each face, in their order. */
  encode<F extends FaceInput>(faces: AsyncIterable<F>): AsyncGenerator<FaceFile<F> | FailedFace<F>>;
  /** Everything that determines the result of a face, as a text. */
  settings: string;
}

/**
 * The outputs of a face determine how many of its bytes are left for its code; the longest header counts.
 * @param goesTo a face of an archive has a longer header than a bare one, and a shorter one than a file
 */
export function countedContainer(
  container: EncodeSettings['container'],
  goesTo: { files: boolean; archive: boolean },
): AnyContainer {
  return goesTo.files && container !== 'png' && !(goesTo.archive && container === 'bare') ? container : 'archive';
}

/**
 * Faces in at most so many bytes, in a container of our own.
 * @param counted the container whose header is counted
 * @throws ArgumentError for fewer bytes than a face takes; FileError, CheckpointError for the weights
 */
export async function codecEncoder(
  session: CodecSession,
  { container, maxBytes: bytes }: { container: FaceContainer; maxBytes: number },
  counted: AnyContainer,
  options: DeviceKeeperOptions,
): Promise<Encoder> {
  const { file: weights } = await session.weights('codec');
  const { model } = weights.tables;
  const min = minFaceBytes(model, counted);
  if (bytes < min) throw new ArgumentError(`--bytes ${bytes}: a face takes at least ${min} bytes`);
  return {
    async *encode(faces) {
      for await (const face of encodeMany(faces, {
        ...options,
        openGpu: openDevice,
        weights,
        bytes,
        container: counted,
      })) {
        if ('error' in face) yield face;
        else yield { input: face.input, file: face.pack(container), symbols: face.symbols, code: face.code };
      }
    },
    // The last key keeps the name that it had in the first version.
    settings: JSON.stringify({ model: model.idText, encoder: ENCODER_VERSION, container, bytes, holder: counted }),
  };
}

/**
 * Faces as PNGs: of one rate, or of the highest rate whose file is small enough.
 * @throws ArgumentError for a rate that the model does not have; FileError, CheckpointError for the weights
 */
export async function autoencoderEncoder(
  session: CodecSession,
  { bytes, rate }: EncodeSettings,
  options: DeviceKeeperOptions,
): Promise<Encoder> {
  const { modelId, file, bytes: weights } = await session.weights('autoencoder');
  const { config } = file;
  if (rate !== undefined && rate >= config.rates) {
    throw new ArgumentError(`--rate ${rate}: this model has rates 0 (smallest files) to ${config.rates - 1}`);
  }
  const quality = bytes === undefined ? { rate: rate ?? 0 } : { bytes };
  return {
    async *encode(faces) {
      for await (const face of encodePngs(faces, { ...options, openGpu: openDevice, weights, config, quality })) {
        if ('error' in face) yield face;
        else yield { input: face.input, file: face.result };
      }
    },
    settings: JSON.stringify({ model: modelId, container: 'png', bytes, rate: rate ?? 0 }),
  };
}
