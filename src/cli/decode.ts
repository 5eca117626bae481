import type { Command } from 'commander';
import { unpackFaceBare } from '../codec/container/face-bare.js';
import type { FaceSymbols } from '../codec/container/face-code.js';
import { unpackFaceFile } from '../codec/container/face-file.js';
import { FaceJournal } from '../codec/container/face-journal.js';
import { FACES_AT_ONCE } from '../codec/encode-many.js';
import { unpackLatentsPng } from '../codec/png/container.js';
import { ArgumentError, FormatError, ModelMismatchError } from '../common/errors.js';
import { quoted, shownName } from '../common/text.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { encodePng } from '../data/pictures/image.js';
import { markPng } from '../data/pictures/own-files.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../detection/align.js';
import { damageError, damageOf, nameOfFace, numberOfFace, withArchive } from './archive-faces.js';
import { CodecSession } from './codec-session.js';
import { compactKindOf, type OneFaceKind, readCompactFace, SUFFIXES } from './compact-kind.js';
import { complain, noteWarning, orComplain } from './complain.js';
import { nameOfInput, Outputs } from './outputs.js';
import { DASH, inputName } from './stdin.js';
import { STDOUT_NAME, say, takeStdoutForData, writeData } from './terminal.js';
import { canRead } from './weights.js';

/** Not just ".png": decoding beside the original must not overwrite it. */
const DECODED_SUFFIX = '.decoded.png';

interface DecodeOptions {
  out: string;
  only?: string;
  model?: string;
}

/** Adds `cameo decode` to the program. */
export function addDecodeCommand(program: Command): void {
  program
    .command('decode')
    .description('restore faces from small files')
    .argument(
      '<file...>',
      'files and archives that `cameo encode` made, and pictures of the QR codes of `cameo qr`; "-": standard input',
    )
    .requiredOption(
      '-o, --out <dir>',
      `folder for the pictures NAME${DECODED_SUFFIX}, made if it is missing; "-": one picture to standard output`,
    )
    .option('--only <name>', 'restore only this face of an archive; the others are not read')
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else the shipped weights)')
    .addHelpText(
      'after',
      `
Examples:
  cameo decode small/*${SUFFIXES.file} -o restored
  cameo decode people${SUFFIXES.archive} -o restored --only ann
  cameo decode photograph-of-a-code.jpg -o restored
  cameo decode - -o - < face${SUFFIXES.file} > face.png

A file can be decoded only with the weights that encoded it; \`cameo info\` shows which these are.
A text chunk in each picture says that it is restored, so \`cameo encode\` and training leave it out of a folder.
A file that is damaged or not of this kind is named on standard error; the others are still restored, and the exit code is 1.`,
    )
    .action(decodeFiles);
}

/** Faces that wait until a batch of them can be restored. */
class Restorer {
  readonly #faces: { input: string; output: string; face: FaceSymbols }[] = [];
  readonly #pngs: { input: string; name: string; bytes: Uint8Array }[] = [];

  constructor(
    readonly session: CodecSession,
    readonly outputs: RestoredFaces,
  ) {}

  /** An unpacked face, for the picture `name`. @throws ArgumentError if another one has that name */
  addFace(input: string, name: string, face: FaceSymbols): void {
    this.#faces.push({ input, output: this.#claim(name, input), face });
  }

  /** A PNG, which the codec still has to unpack. */
  addPng(input: string, name: string, bytes: Uint8Array): void {
    this.#pngs.push({ input, name, bytes });
  }

  /** Restores the waiting faces, if they are a batch or the last ones. */
  async run(last = false): Promise<void> {
    const max = last ? 1 : FACES_AT_ONCE;
    while (this.#faces.length >= max) await this.#restoreFaces();
    while (this.#pngs.length >= max) await this.#restorePngs();
  }

  #claim(name: string, input: string): string {
    return this.outputs.claim(name, input);
  }

  async #restoreFaces(): Promise<void> {
    const codec = await this.session.faceCodec();
    const batch = this.#faces.splice(0, FACES_AT_ONCE);
    await this.#write(batch, await codec.restore(batch.map(({ face }) => face)), codec.modelId);
  }

  async #restorePngs(): Promise<void> {
    const codec = await this.session.autoencoderCodec();
    const batch: { input: string; output: string; bytes: Uint8Array }[] = [];
    for (const { input, name, bytes } of this.#pngs.splice(0, FACES_AT_ONCE)) {
      await orComplain(input, () => {
        codec.unpack(bytes);
        batch.push({ input, output: this.#claim(name, input), bytes });
      });
    }
    await this.#write(batch, await codec.decode(batch.map(({ bytes }) => bytes)), codec.modelId);
  }

  async #write(
    batch: readonly { input: string; output: string }[],
    faces: readonly Uint8Array[],
    modelId: string,
  ): Promise<void> {
    for (const [k, { input, output }] of batch.entries()) {
      await orComplain(input, async () => {
        const picture = { width: FACE_WIDTH, height: FACE_HEIGHT, data: faces[k] };
        await this.outputs.write(output, markPng(await encodePng(picture), `restored by model ${modelId}`));
        say(`${input} -> ${output}`);
      });
    }
  }
}

/** Where restored faces go. */
interface RestoredFaces {
  /** What the picture of an archive's face is called. @throws FormatError for a name that would lead out of the folder */
  fileName(name: string, input: string): string;
  /** The file name of a face's picture. @throws ArgumentError if another one has that name */
  claim(name: string, input: string): string;
  write(output: string, png: Uint8Array): Promise<void>;
}

async function picturesIn(folder: string, inputs: readonly string[]): Promise<RestoredFaces> {
  const outputs = await Outputs.in(folder);
  outputs.protect(inputs);
  return {
    fileName,
    claim: (name, input) => outputs.claim(`${name}${DECODED_SUFFIX}`, input),
    async write(output, png) {
      await outputs.ready(output);
      await writeFileAtomic(output, png);
    },
  };
}

function pictureToStdout(): RestoredFaces {
  takeStdoutForData();
  let first: string | undefined;
  return {
    fileName: (name) => name,
    claim(_name, input) {
      if (first !== undefined) {
        throw new ArgumentError(`${input}: ${STDOUT_NAME} can take only one picture, and already has that of ${first}`);
      }
      first = input;
      return STDOUT_NAME;
    },
    write: (_output, png) => writeData(png),
  };
}

async function decodeFiles(files: string[], { out, only, model }: DecodeOptions): Promise<void> {
  if (out === DASH && files.length > 1) {
    throw new ArgumentError(`-o -: ${STDOUT_NAME} can take only one picture, but ${files.length} files are given`);
  }
  const session = await CodecSession.open(model);
  const restorer = new Restorer(session, await (out === DASH ? pictureToStdout() : picturesIn(out, files)));
  try {
    for (const input of files) {
      const kind = await orComplain(inputName(input), () => compactKindOf(input));
      if (kind === 'archive') await addArchive(input, only, restorer);
      else if (kind) await orComplain(inputName(input), () => addFile(input, kind, only, restorer));
      await restorer.run();
    }
    await restorer.run(true);
  } finally {
    await session.close();
  }
}

async function addFile(
  input: string,
  kind: OneFaceKind | 'picture',
  only: string | undefined,
  restorer: Restorer,
): Promise<void> {
  if (only !== undefined) throw new ArgumentError(`--only ${only} is for archives; this file has one face`);
  const { kind: container, bytes } = await readCompactFace(input, kind);
  const shown = inputName(input);
  const name = nameOfInput(input, kind === 'picture' ? undefined : SUFFIXES[kind]);
  if (container === 'png') {
    await restorer.session.weights('autoencoder'); // the other codec's weights cannot decode it
    unpackLatentsPng(bytes); // throws for a damaged file, before the device is opened
    restorer.addPng(shown, name, bytes);
    return;
  }
  const latents = (await restorer.session.weights('codec')).file.tables.model;
  restorer.addFace(shown, name, (container === 'file' ? unpackFaceFile : unpackFaceBare)(bytes, latents));
}

/** Restores each face by itself, so that an archive with one damaged place still gives the other faces. */
async function addArchive(input: string, only: string | undefined, restorer: Restorer): Promise<void> {
  const shown = inputName(input);
  let failure: { error: unknown } | undefined; // a failure of restoring, which is not the archive's fault
  await orComplain(shown, () =>
    withArchive(input, async (archive, size) => {
      const weights = await restorer.session.weights('codec');
      const latents = weights.file.tables.model;
      if (!canRead(weights, archive.modelId)) {
        throw new ModelMismatchError(`written by model ${archive.modelId}; the model loaded is ${latents.idText}`);
      }
      if (archive instanceof FaceJournal) {
        for (const one of damageOf(archive, size).damaged) complain(damageError(one), shown);
      }
      const first = only === undefined ? 0 : await numberOfFace(archive, only);
      const end = only === undefined ? archive.count : first + 1;
      for (let k = first; k < end && !failure; k++) {
        await orComplain(`${shown}, face ${k}`, async () => {
          const name = await nameOfFace(archive, k);
          const face = await archive.face(k, latents);
          const label = `${shown}, ${shownName(name)}`;
          const picture = archive.named ? restorer.outputs.fileName(name, label) : `${nameOfInput(input)}-${name}`;
          restorer.addFace(label, picture, face);
        });
        await restorer.run().catch((error: unknown) => {
          failure = { error };
        });
      }
    }),
  );
  if (failure) throw failure.error;
}

/**
 * A name with "/" makes folders. Characters that not every system allows in file names are written as "%" and their numbers.
 * @throws FormatError for a name that would lead out of the folder, because archives may be untrusted
 */
function fileName(name: string, input: string): string {
  if (name.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    throw new FormatError(`its name ${quoted(name)} cannot be used as a file name`);
  }
  const safe = name.replace(/[\\\p{Cc}]/gu, (letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`);
  if (safe !== name) noteWarning(input, 'name', `its name cannot be used as a file name; it is called ${safe} instead`);
  return safe;
}
