import { type FaceContainer, leastFaceBytes } from '../codec/budget-codec.js';
import { type ArchivedFace, packArchive } from '../codec/face-archive.js';
import { packFaceBare } from '../codec/face-bare.js';
import type { FaceSymbols } from '../codec/face-code.js';
import { packFaceFile } from '../codec/face-file.js';
import { ArgumentError } from '../common/errors.js';
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

/** One face encoded: its file, or why there is none; and its symbols where it goes into an archive. */
export type EncodedFace = { file: Uint8Array; symbols?: FaceSymbols } | { error: unknown };

/** Turns a batch of faces into files, one result a face. */
export type Encoder = (faces: readonly PhotoFace[]) => Promise<EncodedFace[]>;

/**
 * Faces in at most so many bytes, in a container of our own.
 * @param goesTo what each face goes to: the longest header of them counts
 * @throws ArgumentError for fewer bytes than a face takes; FileError, CheckpointError for the weights
 */
export async function budgetEncoder(
  session: CodecSession,
  { container, bytes }: EncodeSettings,
  goesTo: { files: boolean; archive: boolean },
): Promise<Encoder> {
  // A face of an archive has a longer header than a bare one, and a shorter one than a file.
  const holder = goesTo.files && !(goesTo.archive && container === 'bare') ? (container as FaceContainer) : 'archive';
  const least = leastFaceBytes((await session.weights('budget')).file.tables.model, holder);
  if (bytes! < least) throw new ArgumentError(`--bytes ${bytes}: a face takes at least ${least} bytes here`);
  return async (faces) => {
    const codec = await session.budgetCodec();
    const pixels = faces.map((face) => face.pixels);
    const pack = container === 'bare' ? packFaceBare : packFaceFile;
    const all = await codec.symbolsOf(pixels, { maxBytes: bytes! }, holder);
    return all.map((symbols) => ({ file: pack(symbols, codec.latents), symbols }));
  };
}

/**
 * Faces as PNGs: of one rate, or of the highest rate whose file is small enough.
 * @throws ArgumentError for a rate that the model has not; FileError, CheckpointError for the weights
 */
export async function pngEncoder(session: CodecSession, { bytes, rate }: EncodeSettings): Promise<Encoder> {
  const { rates } = (await session.weights('png')).file.config;
  if (rate !== undefined && rate >= rates) {
    throw new ArgumentError(`--rate ${rate}: this model has rates 0 (smallest files) to ${rates - 1}`);
  }
  return async (faces) => {
    const codec = await session.pngCodec();
    const pixels = faces.map((face) => face.pixels);
    if (bytes === undefined) return (await codec.encode(pixels, rate ?? 0)).map((file) => ({ file }));
    const results: (EncodedFace | undefined)[] = faces.map(() => undefined);
    for (let tried = codec.rates - 1; tried >= 0; tried--) {
      const open = [...faces.keys()].filter((k) => !results[k]);
      if (open.length === 0) break;
      const files = await codec.encode(
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
  };
}

/** The faces of one archive, each by its name. */
export class ArchiveContent {
  readonly #faces: ArchivedFace[] = [];
  readonly #inputs = new Map<string, string>();

  /** @throws ArgumentError where another input has that name: one of them could not be found again */
  claim(name: string, input: string): void {
    const other = this.#inputs.get(name);
    if (other !== undefined) {
      throw new ArgumentError(`${input}: its name in the archive would be "${name}", which is that of ${other}`);
    }
    this.#inputs.set(name, input);
  }

  add(name: string, face: FaceSymbols): void {
    this.#faces.push({ ...face, name });
  }

  get count(): number {
    return this.#faces.length;
  }

  async pack(session: CodecSession): Promise<Uint8Array> {
    return packArchive(this.#faces, (await session.budgetCodec()).latents);
  }
}
