import { ENCODER_VERSION } from '../codec/byte-budget.js';
import { encodeFace, type FaceSymbols } from '../codec/container/face-code.js';
import { type FaceContainer, type FaceHolder, leastFaceBytes, packInto } from '../codec/face-codec.js';
import { ArgumentError } from '../common/errors.js';
import type { DeviceKeeperOptions } from '../gpu/device-keeper.js';
import type { CodecSession } from './codec-session.js';
import type { PhotoFace } from './photo-faces.js';

/** What `cameo encode` was told of the files to make. */
export interface EncodeSettings {
  container: 'png' | FaceContainer;
  /** Most bytes of a face. */
  bytes?: number;
  /** Of the PNG codec. */
  rate?: number;
}

/** One face encoded: its file, or why there is none; and what goes into an archive. */
export type EncodedFace = { file: Uint8Array; symbols?: FaceSymbols; code?: Uint8Array } | { error: unknown };

/** Turns batches of faces into files, for as long as it takes: a device that is lost is opened anew. */
export interface Encoder {
  /** One result a face. */
  encode(faces: readonly PhotoFace[]): Promise<EncodedFace[]>;
  close(): void;
  /** All that decides what a face becomes. */
  facts: string;
}

/**
 * What each face goes to decides how much of its bytes are left for its code: the longest header counts.
 * @param goesTo a face of an archive has a longer header than a bare one, and a shorter one than a file
 */
export function holderOf(
  container: EncodeSettings['container'],
  goesTo: { files: boolean; archive: boolean },
): FaceHolder {
  return goesTo.files && container !== 'png' && !(goesTo.archive && container === 'bare') ? container : 'archive';
}

/**
 * Faces in at most so many bytes, in a container of our own.
 * @throws ArgumentError for fewer bytes than a face takes; FileError, CheckpointError for the weights
 */
export async function budgetEncoder(
  session: CodecSession,
  { container, maxBytes }: { container: FaceContainer; maxBytes: number },
  holder: FaceHolder,
  options: DeviceKeeperOptions,
): Promise<Encoder> {
  const { model } = (await session.weights('budget')).file.tables;
  const least = leastFaceBytes(model, holder);
  if (maxBytes < least) throw new ArgumentError(`--bytes ${maxBytes}: a face takes at least ${least} bytes here`);
  const keeper = await session.keepFaceCodec(options);
  const pack = packInto(container);
  return {
    async encode(faces) {
      const pixels = faces.map((face) => face.pixels);
      const all = await keeper.run((codec) => codec.symbolsOf(pixels, { maxBytes }, holder));
      return all.map((symbols) => {
        const code = encodeFace(symbols, model);
        return { file: pack(symbols, model, code), symbols, code };
      });
    },
    close: () => keeper.close(),
    facts: JSON.stringify({ model: model.idText, encoder: ENCODER_VERSION, container, bytes: maxBytes, holder }),
  };
}

/**
 * Faces as PNGs: of one rate, or of the highest rate whose file is small enough.
 * @throws ArgumentError for a rate that the model has not; FileError, CheckpointError for the weights
 */
export async function pngEncoder(
  session: CodecSession,
  { bytes, rate }: EncodeSettings,
  options: DeviceKeeperOptions,
): Promise<Encoder> {
  const { modelId, file: weights } = await session.weights('png');
  const { rates } = weights.config;
  if (rate !== undefined && rate >= rates) {
    throw new ArgumentError(`--rate ${rate}: this model has rates 0 (smallest files) to ${rates - 1}`);
  }
  const keeper = await session.keepPngCodec(options);
  return {
    async encode(faces) {
      const pixels = faces.map((face) => face.pixels);
      const encodeAt = (chosen: readonly Uint8Array[], at: number) => keeper.run((codec) => codec.encode(chosen, at));
      if (bytes === undefined) return (await encodeAt(pixels, rate ?? 0)).map((file) => ({ file }));
      const results: (EncodedFace | undefined)[] = faces.map(() => undefined);
      for (let tried = rates - 1; tried >= 0; tried--) {
        const open = [...faces.keys()].filter((k) => !results[k]);
        if (open.length === 0) break;
        const files = await encodeAt(
          open.map((k) => pixels[k]),
          tried,
        );
        for (const [i, k] of open.entries()) {
          const { length } = files[i];
          if (length <= bytes) results[k] = { file: files[i] };
          else if (tried === 0) {
            results[k] = {
              error: new ArgumentError(`its smallest PNG has ${length} bytes; at most ${bytes} are allowed`),
            };
          }
        }
      }
      return results as EncodedFace[];
    },
    close: () => keeper.close(),
    facts: JSON.stringify({ model: modelId, container: 'png', bytes, rate: rate ?? 0 }),
  };
}
