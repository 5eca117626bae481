import { stat } from 'node:fs/promises';
import { pictureSum } from '../codec/container/face-journal.js';
import { ArgumentError } from '../common/errors.js';
import type { ArchiveWriter } from '../data/archives/archive-writer.js';
import { type Shard, shardOf } from '../data/archives/shards.js';
import { FileError, fileErrorReason, removeTemporaries, writeFileAtomic } from '../data/files/atomic-file.js';
import type { DoneList } from '../data/files/done-list.js';
import { LandmarkIndex, type PhotoLandmarks } from '../data/pictures/landmarks.js';
import { ownFileAt } from '../data/pictures/own-files.js';
import { PICTURE_FORMATS } from '../data/pictures/picture-format.js';
import { type ListedPicture, listPictures } from '../data/pictures/picture-listing.js';
import { complain, orComplain } from './complain.js';
import type { FaceFinder } from './face-finder.js';
import type { Encoder, FaceFile } from './face-writer.js';
import { nameOfInput, type Outputs, stemOf } from './outputs.js';
import { type PhotoFace, type PhotoReading, readPhotoFaces } from './photo-faces.js';
import { DASH, inputName } from './stdin.js';
import { note, STDOUT_NAME } from './terminal.js';

/** The pictures of a run: those that were named, and those of the named folders. */
export interface Pictures {
  all: PictureInput[];
  /** Whether some are of a folder. */
  folders: boolean;
  /** Pictures of folders that are left out, as Cameo made them. */
  own: number;
}

/** A picture, or an error of a folder, which is reported when its turn comes. */
export type PictureInput = ListedPicture | { path: string; error: unknown };

/**
 * Lists the pictures that were named, and those of the folders. Files that Cameo made are left out of folders. If they are
 * named, a restored picture is taken, and a compact file is refused when its turn comes.
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
      () => false, // reading it will say what is wrong
    );
    if (!isFolder) {
      all.push(await namedPicture(path));
      continue;
    }
    try {
      const listing = await listPictures(path);
      own += listing.own;
      if (listing.pictures.length === 0) {
        const made = listing.own === 0 ? '' : ` except ${listing.own} that Cameo wrote`;
        throw new FileError(`${path}: the folder has no ${PICTURE_FORMATS} pictures${made}`);
      }
      for (const picture of listing.pictures) all.push(picture);
      folders = true;
    } catch (error) {
      all.push({ path, error });
    }
  }
  return { all, folders, own };
}

/** The pictures of a shard; errors of folders and files that were named are of every shard. */
export const picturesOfShard = (all: readonly PictureInput[], { number, count }: Shard): PictureInput[] =>
  all.filter((picture) => 'error' in picture || shardOf(picture.name, count) === number);

/** A picture that was given by its name. */
async function namedPicture(path: string): Promise<PictureInput> {
  const own = await ownFileAt(path);
  if (own === 'compact') {
    return { path, error: new ArgumentError(`${path}: it is already a compact file; \`cameo decode\` restores it`) };
  }
  if (own === 'picture') note(`${path} is a picture that Cameo wrote; encoding it again loses more quality`);
  return { path, name: stemOf(path) };
}

/** Where the faces of a run go. */
export interface Targets {
  /** For a file of each face, called NAME and `suffix`. */
  files?: { outputs: Outputs; suffix: string; done: DoneList };
  archive?: ArchiveWriter;
  /** Takes the only file. @throws FileError if it cannot be written */
  stream?: (file: Uint8Array) => Promise<void>;
}

/** A file that is written. */
export interface WrittenFile {
  input: string;
  output: string;
  bytes: number;
}

/** A face to encode, and the outputs that are still missing. */
interface OpenFace {
  /** What messages call it. */
  input: string;
  name: string;
  rgb: Uint8Array;
  /** Number of its picture. */
  picture: number;
  /** Path of its file, and what it is called in the list of those that are done. */
  output?: { path: string; name: string };
  intoArchive: boolean;
}

/** The progress of a run. */
export interface EncodeCounts {
  /** Number of faces encoded, and written to files if these are asked for. */
  encoded: number;
  /** Faces that an earlier run had finished. */
  resumed: number;
}

export interface EncodeOptions {
  landmarks?: PhotoLandmarks;
  /** All pictures that a key of the landmarks may name, also those of other shards. */
  listed: readonly PictureInput[];
  /** Finds the faces of photographs that are not listed. */
  finder: FaceFinder;
  /** Called with how many pictures are done. */
  onPicture: (done: number) => void;
  /** Called for each file that is written. */
  onFile: (file: WrittenFile) => void;
}

/**
 * Encodes the faces of pictures in their order, a few at a time. Pictures that cannot be read or written are reported, and the
 * run continues. Each face is written completely before the next one: first its file, then its entry in the archive. So
 * whatever stops the program, the next run finds what is missing.
 *
 * @throws the signal's reason; ArgumentError if the unfinished archive is of other faces; errors of device and disk
 */
export async function encodePictures(
  pictures: readonly PictureInput[],
  targets: Targets,
  encoder: Encoder,
  options: EncodeOptions,
): Promise<EncodeCounts> {
  const run = new EncodeRun(pictures, targets, options);
  for await (const face of encoder.encode(run.openFaces())) {
    if ('error' in face) complain(face.error, face.input.input);
    else await run.write(face);
    run.reach(face.input.picture);
  }
  return run.counts;
}

class EncodeRun {
  readonly counts: EncodeCounts = { encoded: 0, resumed: 0 };
  readonly #reading: PhotoReading;
  #reached = 0;

  constructor(
    private readonly pictures: readonly PictureInput[],
    private readonly targets: Targets,
    private readonly options: EncodeOptions,
  ) {
    const { landmarks, finder, listed } = options;
    const named = listed.filter((picture): picture is ListedPicture => !('error' in picture));
    const index = landmarks && new LandmarkIndex(landmarks, named);
    this.#reading = { landmarks: index, finder, onBadFace: complain };
  }

  /** Records that a picture and those before it are done. */
  reach(picture: number): void {
    this.#reached = Math.max(this.#reached, picture + 1);
    this.options.onPicture(this.#reached);
  }

  /** The faces of all pictures that still lack an output. */
  async *openFaces(): AsyncGenerator<OpenFace> {
    for (const [picture, input] of this.pictures.entries()) {
      for (const face of await this.#facesOf(input)) {
        const open = await this.#open(face, picture);
        if (open === 'done') {
          this.counts.resumed++;
          this.reach(picture);
        } else if (open) yield open;
      }
    }
  }

  /** The faces of a picture; none after an error, which is reported. */
  async #facesOf(input: PictureInput): Promise<PhotoFace[]> {
    const { path } = input;
    const read = (): Promise<PhotoFace[]> => {
      if ('error' in input) throw input.error;
      return readPhotoFaces(path, this.#reading, input.name);
    };
    const faces = (await orComplain(inputName(path), read)) ?? [];
    if (!this.targets.stream || faces.length <= 1) return faces;
    const reason = `it has ${faces.length} faces, but ${STDOUT_NAME} can take only one; choose it with --face or --faces largest`;
    complain(new ArgumentError(reason), inputName(path));
    return [];
  }

  /** The missing outputs of a face; undefined if its name is taken. */
  async #open({ input, name, pixels: rgb }: PhotoFace, picture: number): Promise<OpenFace | 'done' | undefined> {
    const { files, archive, stream } = this.targets;
    const fileName = files && `${name}${files.suffix}`;
    const claimed = await orComplain(input, async () => {
      archive?.claim(name, input);
      const path = fileName && files.outputs.claim(fileName, input);
      if (path) await files?.outputs.check(path);
      return { path };
    });
    if (!claimed) return undefined;
    const { path } = claimed;
    const intoArchive = archive !== undefined && !archive.holds(name, rgb);
    const isDone = path && files?.done.has(fileName!, pictureSum(rgb)) && (await isThere(path));
    const output = path && !isDone ? { path, name: fileName! } : undefined;
    return intoArchive || output || stream ? { input, name, rgb, picture, output, intoArchive } : 'done';
  }

  /** Writes a face to where it goes. */
  async write({ input: face, file, symbols, code }: FaceFile<OpenFace>): Promise<void> {
    const { archive, stream } = this.targets;
    const { input, name, rgb, intoArchive } = face;
    let missing = false;
    if (face.output && !(await this.#writeFile(face, file))) missing = true;
    if (stream) {
      const sent = await orComplain(input, () => stream(file).then(() => true));
      if (sent) this.options.onFile({ input, output: STDOUT_NAME, bytes: file.length });
      else missing = true;
    }
    if (intoArchive && archive && symbols && code) await archive.add(name, rgb, symbols, code);
    if (!missing) this.counts.encoded++;
  }

  /** @returns false after an error, which is reported */
  async #writeFile({ input, rgb, output }: OpenFace, file: Uint8Array): Promise<boolean> {
    const { files } = this.targets;
    if (!files || !output) return true;
    const written = await orComplain(input, async () => {
      await files.outputs.ready(output.path);
      if (files.done.resumed > 0) await removeTemporaries(output.path);
      await writeFileAtomic(output.path, file);
      return true;
    });
    if (!written) return false;
    await files.done.add(output.name, pictureSum(rgb));
    this.options.onFile({ input, output: output.path, bytes: file.length });
    return true;
  }
}

/** Whether a file exists and is not empty, as it may be after a power cut. */
async function isThere(path: string): Promise<boolean> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new FileError(`${path}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  });
  return info !== undefined && info.size > 0;
}
