import { stat } from 'node:fs/promises';
import { pictureSum } from '../codec/container/face-journal.js';
import { FACES_AT_ONCE } from '../codec/encode-many.js';
import { batchesOf } from '../common/batch-queue.js';
import type { ArchiveWriter } from '../data/archive-writer.js';
import { FileError, fileErrorReason, removeTemporaries, writeFileAtomic } from '../data/atomic-file.js';
import type { DoneList } from '../data/done-list.js';
import { LandmarkIndex, type PhotoLandmarks } from '../data/landmarks.js';
import { PICTURE_FORMATS } from '../data/picture-format.js';
import { type ListedPicture, listPictures } from '../data/picture-listing.js';
import { complain, orComplain } from './complain.js';
import type { EncodedFace, Encoder } from './face-writer.js';
import { sizeText } from './numbers.js';
import { type Outputs, stemOf } from './outputs.js';
import { type PhotoFace, readPhotoFaces } from './photo-faces.js';

/** Faces that are read ahead of the device. */
const QUEUE = 64;

/** The pictures of a run: those named, and those in the folders that were named. */
export interface Pictures {
  all: PictureInput[];
  /** Whether some are of a folder. */
  folders: boolean;
}

/** A picture, or a folder of which there is something to complain when its turn comes. */
export type PictureInput = ListedPicture | { path: string; error: unknown };

/** Lists the pictures that were named, and those of the folders. */
export async function picturesOf(paths: readonly string[]): Promise<Pictures> {
  const all: PictureInput[] = [];
  let folders = false;
  for (const path of paths) {
    const isFolder = await stat(path).then(
      (info) => info.isDirectory(),
      () => false, // reading it will tell what is wrong
    );
    if (!isFolder) {
      all.push({ path, name: stemOf(path) });
      continue;
    }
    try {
      const pictures = await listPictures(path);
      if (pictures.length === 0) throw new FileError(`${path}: it is a folder without ${PICTURE_FORMATS} pictures`);
      for (const picture of pictures) all.push(picture);
      folders = true;
    } catch (error) {
      all.push({ path, error });
    }
  }
  return { all, folders };
}

/** Where the faces of a run go. */
export interface Targets {
  /** For a file of each face, called NAME and `suffix`. */
  files?: { outputs: Outputs; suffix: string; done: DoneList };
  archive?: ArchiveWriter;
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
  { files, archive }: Targets,
  encoder: Encoder,
  options: {
    landmarks?: PhotoLandmarks;
    signal: AbortSignal;
    onPicture: (done: number) => void;
    onFile: (line: string) => void;
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
      const faces = (await orComplain(path, read)) ?? [];
      for (const face of faces) {
        const name = files && `${face.name}${files.suffix}`;
        const claimed = await orComplain(face.input, () => {
          archive?.claim(face.name, face.input);
          return { path: name && files.outputs.claim(name, face.input) };
        });
        if (!claimed) continue;
        const intoArchive = archive !== undefined && !archive.holds(face.name, face.pixels);
        const isDone = claimed.path && files?.done.has(name!, pictureSum(face.pixels)) && (await isThere(claimed.path));
        const output = claimed.path && !isDone ? { path: claimed.path, name: name! } : undefined;
        if (intoArchive || output) yield { ...face, picture, output, intoArchive };
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
        onFile(`${input} -> ${output.path}  ${sizeText(one.file.length)}`);
      } else missing = true;
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
