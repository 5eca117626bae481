import { stat } from 'node:fs/promises';
import { unpackFaceBare } from '../codec/container/face-bare.js';
import type { FaceSymbols } from '../codec/container/face-code.js';
import { unpackFaceFile } from '../codec/container/face-file.js';
import { unpackLatentsPng } from '../codec/png/container.js';
import { ArgumentError, ModelMismatchError } from '../common/errors.js';
import { FileError } from '../data/files/atomic-file.js';
import { openRegularFile } from '../data/files/read-file.js';
import { nameOfFace, numberOfFace, withArchive } from './archive-faces.js';
import type { CodecSession } from './codec-session.js';
import { type CompactFace, kindOfFile, readCompactFace } from './compact-kind.js';
import { DASH, inputName } from './stdin.js';
import { canRead } from './weights.js';

/** One face that an argument of the command names: compact, or in a picture that still has to be read. */
export type GivenFace =
  | { kind: 'symbols'; name: string; face: FaceSymbols }
  | { kind: 'png'; name: string; bytes: Uint8Array }
  | { kind: 'picture'; name: string; path: string };

/** A compact face. */
export type GivenCompactFace = Exclude<GivenFace, { kind: 'picture' }>;

/** Source of the weights for compact faces, which are read if there are any. */
export type CodecSource = Pick<CodecSession, 'weights'>;

const FORMS = 'a photograph or an aligned face, a compact file, or ARCHIVE:NAME for a face of an archive';

/** How an argument may name a face, for --help. */
export const GIVEN_FACE_HELP = `${FORMS}; "${DASH}": standard input`;

/**
 * What an argument names; compact faces are read and checked.
 * @throws FileError, FormatError for what cannot be read; ModelMismatchError for a compact face of other weights; ArgumentError
 *   for a face that an archive does not have, or if none of its faces was chosen
 */
export async function givenFace(path: string, codecs: CodecSource): Promise<GivenFace> {
  const inArchive = await archiveAndName(path);
  if (inArchive) return archivedFace(inArchive.archive, inArchive.name, codecs);
  if (await isFolder(path)) throw new FileError(`${path}: it is a folder; expected ${FORMS}`);
  const kind = (await kindOfFile(path)) ?? 'picture'; // reading it will report that it is not one
  if (kind === 'archive') return archivedFace(path, undefined, codecs);
  if (kind === 'picture') return { kind, name: inputName(path), path };
  return compactFace(inputName(path), await readCompactFace(path, kind), codecs);
}

/** A compact face, taken apart. @throws as `givenFace` */
export async function compactFace(
  name: string,
  { kind, bytes }: CompactFace,
  codecs: CodecSource,
): Promise<GivenCompactFace> {
  if (kind === 'png') {
    const { modelId } = unpackLatentsPng(bytes);
    const weights = await codecs.weights('autoencoder');
    if (!canRead(weights, modelId)) throw otherModel(name, modelId, weights.modelId);
    return { kind, name, bytes };
  }
  const { model } = (await codecs.weights('codec')).file.tables;
  return { kind: 'symbols', name, face: (kind === 'file' ? unpackFaceFile : unpackFaceBare)(bytes, model) };
}

const otherModel = (name: string, written: string, loaded: string): ModelMismatchError =>
  new ModelMismatchError(`${name}: written by model ${written}; the model loaded is ${loaded}`);

function archivedFace(path: string, name: string | undefined, codecs: CodecSource): Promise<GivenCompactFace> {
  const shown = inputName(path);
  return withArchive(path, async (archive) => {
    const weights = await codecs.weights('codec');
    const { model } = weights.file.tables;
    if (!canRead(weights, archive.modelId)) throw otherModel(shown, archive.modelId, model.idText);
    if (name === undefined && archive.count !== 1) {
      throw new ArgumentError(
        `${shown}: an archive of ${archive.count} faces; name one as ${path}:NAME (\`cameo info\` lists them)`,
      );
    }
    const k = name === undefined ? 0 : await numberOfFace(archive, name);
    return { kind: 'symbols', name: `${shown}:${await nameOfFace(archive, k)}`, face: await archive.face(k, model) };
  });
}

/** The two parts of ARCHIVE:NAME; undefined for a path that is a file itself, or names no archive. */
async function archiveAndName(path: string): Promise<{ archive: string; name: string } | undefined> {
  if (!path.includes(':') || (await isFile(path))) return undefined;
  for (let at = path.indexOf(':'); at >= 0; at = path.indexOf(':', at + 1)) {
    const archive = path.slice(0, at);
    const isArchive = archive === DASH || (await isFile(archive));
    if (isArchive && (await kindOfFile(archive)) === 'archive') return { archive, name: path.slice(at + 1) };
  }
  return undefined;
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );

const isFile = (path: string): Promise<boolean> =>
  openRegularFile(path).then(
    async ({ file }) => {
      await file.close();
      return true;
    },
    () => false,
  );
