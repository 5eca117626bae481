import { stat } from 'node:fs/promises';
import { pictureSum } from '../codec/container/face-journal.js';
import { FACES_AT_ONCE } from '../codec/encode-many.js';
import { batchesOf } from '../common/batch-queue.js';
import { ArgumentError } from '../common/errors.js';
import type { ArchiveWriter } from '../data/archives/archive-writer.js';
import { FileError, fileErrorReason, removeTemporaries, writeFileAtomic } from '../data/files/atomic-file.js';
import type { DoneList } from '../data/files/done-list.js';
import { LandmarkIndex, type PhotoLandmarks } from '../data/pictures/landmarks.js';
import { ownFileAt } from '../data/pictures/own-files.js';
import { PICTURE_FORMATS } from '../data/pictures/picture-format.js';
import { type ListedPicture, listPictures } from '../data/pictures/picture-listing.js';
import { complain, orComplain } from './complain.js';
import type { EncodedFace, Encoder } from './face-writer.js';
import { nameOfInput, type Outputs, stemOf } from './outputs.js';
import { type PhotoFace, readPhotoFaces } from './photo-faces.js';
import { DASH, inputName } from './stdin.js';
import { note, STDOUT_NAME } from './terminal.js';

/** Faces that are read ahead of the device. */
const QUEUE = 64;

/** The pictures of a run: those named, and those in the folders that were named. */
export interface Pictures {
  all: PictureInput[];
  /** Whether some are of a folder. */
  folders: boolean;
  /** Pictures of folders that are left out, as Cameo made them. */
  own: number;
}

/** A picture, or a folder of which there is something to complain when its turn comes. */
export type PictureInput = ListedPicture | { path: string; error: unknown };

/**
 * Lists the pictures that were named, and those of the folders. What Cameo made itself is left out of folders; by its name, a
 * restored picture is taken, and a compact file refused when its turn comes.
 */
export async function picturesOf(paths: readonly string[]): Promise<Pictures> {
  const all: PictureInput[] = [];
  let folders = false;
  let own = 0;
  for (const path of paths) {
    if (path === DASH) {
      all.push({ path, name: nameOfInput(path) });
      continue;
    }
    const isFolder = await stat(path).then(
      (info) => info.isDirectory(),
      () => false, // reading it will tell what is wrong
    );
    if (!isFolder) {
      all.push(await namedPicture(path));
      continue;
    }
    try {
      const listing = await listPictures(path);
      own += listing.own;
      if (listing.pictures.length === 0) {
        const made = listing.own === 0 ? '' : ` but ${listing.own} that Cameo made`;
        throw new FileError(`${path}: it is a folder without ${PICTURE_FORMATS} pictures${made}`);
      }
      for (const picture of listing.pictures) all.push(picture);
      folders = true;
    } catch (error) {
      all.push({ path, error });
    }
  }
  return { all, folders, own };
}

/** A picture that was given by its name. */
async function namedPicture(path: string): Promise<PictureInput> {
  const own = await ownFileAt(path);
  if (own === 'compact') {
    return { path, error: new ArgumentError(`${path}: it is a compact file already; \`cameo decode\` restores it`) };
  }
  if (own === 'picture') note(`${path} is a picture that Cameo made; encoded again, it loses more`);
  return { path, name: stemOf(path) };
}

/** Where the faces of a run go. */
export interface Targets {
  /** For a file of each face, called NAME and `suffix`. */
  files?: { outputs: Outputs; suffix: string; done: DoneList };
  archive?: ArchiveWriter;
  /** Takes the only file there is. @throws FileError where it cannot be written */
  stream?: (file: Uint8Array) => Promise<void>;
}

/** A file that is written. */
export interface WrittenFile {
  input: string;
  output: string;
  bytes: number;
}

/** A face to encode, and what is still to be made of it. */
interface OpenFace extends PhotoFace {
  picture: number;
  /** Path of its file, and what it is called in the list of those that are done. */
  output?: { path: string; name: string };
  intoArchive: boolean;
}

/** What a run has come to. */
export interface EncodeCounts {
  /** Faces encoded, to files where these are asked for. */
  encoded: number;
  /** Faces that an earlier run had finished. */
  resumed: number;
}

/**
 * Encodes the faces of pictures in their order, a few at a time: what cannot be read or written is complained of, and the
 * rest goes on. Each face is finished before the next one is begun to be written: its file first, then its place in the
 * archive, so that whatever stops the program, the next run finds what is missing.
 *
 * @param onPicture told how many pictures are done
 * @param onFile told of each file that is written
 * @throws the signal's reason; ArgumentError where the unfinished archive is of other faces; errors of device and disk
 */
export async function encodePictures(
  pictures: readonly PictureInput[],
  { files, archive, stream }: Targets,
  encoder: Encoder,
  options: {
    landmarks?: PhotoLandmarks;
    signal: AbortSignal;
    onPicture: (done: number) => void;
    onFile: (file: WrittenFile) => void;
  },
): Promise<EncodeCounts> {
  const { signal, onPicture, onFile } = options;
  const named = pictures.filter((picture): picture is ListedPicture => !('error' in picture));
  const landmarks = options.landmarks && new LandmarkIndex(options.landmarks, named);
  const counts: EncodeCounts = { encoded: 0, resumed: 0 };
  let reached = 0;
  const reach = (picture: number): void => {
    reached = Math.max(reached, picture + 1);
    onPicture(reached);
  };

  async function* openFaces(): AsyncGenerator<OpenFace> {
    for (const [picture, input] of pictures.entries()) {
      const { path } = input;
      const read = (): Promise<PhotoFace[]> => {
        if ('error' in input) throw input.error;
        return readPhotoFaces(path, landmarks, complain, input.name);
      };
      const faces = (await orComplain(inputName(path), read)) ?? [];
      if (stream && faces.length > 1) {
        complain(
          new ArgumentError(`it has ${faces.length} faces; ${STDOUT_NAME} takes the file of one`),
          inputName(path),
        );
        continue;
      }
      for (const face of faces) {
        const name = files && `${face.name}${files.suffix}`;
        const claimed = await orComplain(face.input, async () => {
          archive?.claim(face.name, face.input);
          const path = name && files.outputs.claim(name, face.input);
          if (path) await files?.outputs.check(path);
          return { path };
        });
        if (!claimed) continue;
        const intoArchive = archive !== undefined && !archive.holds(face.name, face.pixels);
        const isDone = claimed.path && files?.done.has(name!, pictureSum(face.pixels)) && (await isThere(claimed.path));
        const output = claimed.path && !isDone ? { path: claimed.path, name: name! } : undefined;
        if (intoArchive || output || stream) yield { ...face, picture, output, intoArchive };
        else {
          counts.resumed++;
          reach(picture);
        }
      }
    }
  }

  const writeFace = async (face: OpenFace, one: Exclude<EncodedFace, { error: unknown }>): Promise<void> => {
    const { input, name, pixels, output, intoArchive } = face;
    let missing = false;
    if (output && files) {
      const written = await orComplain(input, async () => {
        await files.outputs.ready(output.path);
        if (files.done.resumed > 0) await removeTemporaries(output.path);
        await writeFileAtomic(output.path, one.file);
        return true;
      });
      if (written) {
        await files.done.add(output.name, pictureSum(pixels));
        onFile({ input, output: output.path, bytes: one.file.length });
      } else missing = true;
    }
    if (stream) {
      const sent = await orComplain(input, () => stream(one.file).then(() => true));
      if (sent) onFile({ input, output: STDOUT_NAME, bytes: one.file.length });
      else missing = true;
    }
    if (intoArchive && archive && one.symbols && one.code) {
      await archive.add(name, pixels, one.symbols, one.code);
    }
    if (!missing) counts.encoded++;
  };

  for await (const batch of batchesOf(openFaces(), { size: FACES_AT_ONCE, queue: QUEUE, signal })) {
    const encoded = await encoder.encode(batch);
    for (const [k, face] of batch.entries()) {
      const one = encoded[k];
      if ('error' in one) complain(one.error, face.input);
      else await writeFace(face, one);
      reach(face.picture);
    }
  }
  return counts;
}

/** Whether a file is there that is not empty, as after a power cut. */
async function isThere(path: string): Promise<boolean> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new FileError(`${path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  });
  return info !== undefined && info.size > 0;
}
