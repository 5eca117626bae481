import type { Command } from 'commander';
import { unpackFaceBare } from '../codec/container/face-bare.js';
import type { FaceSymbols } from '../codec/container/face-code.js';
import { unpackFaceFile } from '../codec/container/face-file.js';
import { FaceJournal } from '../codec/container/face-journal.js';
import { FACES_AT_ONCE } from '../codec/encode-many.js';
import { ArgumentError, FormatError, ModelMismatchError } from '../common/errors.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../data/align.js';
import { writePng } from '../data/image.js';
import { readRegularFile } from '../data/read-file.js';
import { damageError, damageOf, nameOfFace, numberOfFace, withArchive } from './archive-faces.js';
import { CodecSession } from './codec-session.js';
import { type CompactKind, compactKindOf, MOST_BYTES, SUFFIXES } from './compact-kind.js';
import { complain, orComplain } from './complain.js';
import { Outputs, stemOf } from './outputs.js';
import { say } from './terminal.js';

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
    .argument('<file...>', 'files and archives that `cameo encode` made')
    .requiredOption('-o, --out <dir>', `folder for the pictures NAME${DECODED_SUFFIX}; made where it is missing`)
    .option('--only <name>', 'of an archive, this face alone; the others are not read')
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else those that are shipped)')
    .addHelpText(
      'after',
      `
Examples:
  cameo decode small/*${SUFFIXES.file} -o restored
  cameo decode people${SUFFIXES.archive} -o restored --only ann

A file can be decoded only with the weights that encoded it; \`cameo info\` shows which they are.
What is damaged or foreign is named on standard error; the rest goes on, and the exit code is 1.`,
    )
    .action(decodeFiles);
}

/** Faces that wait for others, until a batch of them can be restored. */
class Restorer {
  readonly #faces: { input: string; output: string; face: FaceSymbols }[] = [];
  readonly #pngs: { input: string; name: string; bytes: Uint8Array }[] = [];

  constructor(
    readonly session: CodecSession,
    private readonly outputs: Outputs,
  ) {}

  /** A face that has been taken apart, for the picture `name`. @throws ArgumentError where another one has that name */
  addFace(input: string, name: string, face: FaceSymbols): void {
    this.#faces.push({ input, output: this.#claim(name, input), face });
  }

  /** A PNG, which the codec has still to take apart. */
  addPng(input: string, name: string, bytes: Uint8Array): void {
    this.#pngs.push({ input, name, bytes });
  }

  /** Restores what waits, where that is a batch, or where no more will come. */
  async run(last = false): Promise<void> {
    const most = last ? 1 : FACES_AT_ONCE;
    while (this.#faces.length >= most) await this.#restoreFaces();
    while (this.#pngs.length >= most) await this.#restorePngs();
  }

  #claim(name: string, input: string): string {
    return this.outputs.claim(`${name}${DECODED_SUFFIX}`, input);
  }

  async #restoreFaces(): Promise<void> {
    const codec = await this.session.budgetCodec();
    const batch = this.#faces.splice(0, FACES_AT_ONCE);
    await this.#write(batch, await codec.restore(batch.map(({ face }) => face)));
  }

  async #restorePngs(): Promise<void> {
    const codec = await this.session.pngCodec();
    const batch: { input: string; output: string; bytes: Uint8Array }[] = [];
    for (const { input, name, bytes } of this.#pngs.splice(0, FACES_AT_ONCE)) {
      await orComplain(input, () => {
        codec.unpack(bytes);
        batch.push({ input, output: this.#claim(name, input), bytes });
      });
    }
    await this.#write(batch, await codec.decode(batch.map(({ bytes }) => bytes)));
  }

  async #write(batch: readonly { input: string; output: string }[], faces: readonly Uint8Array[]): Promise<void> {
    for (const [k, { input, output }] of batch.entries()) {
      await orComplain(input, async () => {
        await this.outputs.ready(output);
        await writePng(output, { width: FACE_WIDTH, height: FACE_HEIGHT, data: faces[k] });
        say(`${input} -> ${output}`);
      });
    }
  }
}

async function decodeFiles(files: string[], { out, only, model }: DecodeOptions): Promise<void> {
  const session = await CodecSession.open(model);
  const restorer = new Restorer(session, await Outputs.in(out));
  try {
    for (const input of files) {
      const kind = await orComplain(input, () => compactKindOf(input));
      if (kind === 'archive') await addArchive(input, only, restorer);
      else if (kind) await orComplain(input, () => addFile(input, kind, only, restorer));
      await restorer.run();
    }
    await restorer.run(true);
  } finally {
    await session.close();
  }
}

async function addFile(
  input: string,
  kind: Exclude<CompactKind, 'archive'>,
  only: string | undefined,
  restorer: Restorer,
): Promise<void> {
  if (only !== undefined) throw new ArgumentError(`--only ${only} is for archives; this file is of one face`);
  const bytes = await readRegularFile(input, MOST_BYTES[kind]);
  const name = stemOf(input, SUFFIXES[kind]);
  if (kind === 'png') {
    await restorer.session.weights('png'); // those of the other codec cannot decode it
    restorer.addPng(input, name, bytes);
    return;
  }
  const latents = (await restorer.session.weights('budget')).file.tables.model;
  restorer.addFace(input, name, (kind === 'file' ? unpackFaceFile : unpackFaceBare)(bytes, latents));
}

/** Each face by itself: an archive that is damaged in one place still gives the others. */
async function addArchive(input: string, only: string | undefined, restorer: Restorer): Promise<void> {
  let failure: { error: unknown } | undefined; // of restoring, which no archive is to blame for
  await orComplain(input, () =>
    withArchive(input, async (archive, size) => {
      const latents = (await restorer.session.weights('budget')).file.tables.model;
      if (archive.modelId !== latents.idText) {
        throw new ModelMismatchError(`written by model ${archive.modelId}; the model loaded is ${latents.idText}`);
      }
      if (archive instanceof FaceJournal) {
        for (const one of damageOf(archive, size).damaged) complain(damageError(one), input);
      }
      const first = only === undefined ? 0 : await numberOfFace(archive, only);
      const end = only === undefined ? archive.count : first + 1;
      for (let k = first; k < end && !failure; k++) {
        await orComplain(`${input}, face ${k}`, async () => {
          const name = await nameOfFace(archive, k);
          const face = await archive.face(k, latents);
          restorer.addFace(`${input}, ${name}`, archive.named ? fileName(name) : `${stemOf(input)}-${name}`, face);
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
 * A name with "/" makes folders.
 * @throws FormatError for a name that would lead out of the folder: archives come from others
 */
function fileName(name: string): string {
  if (name.split('/').some((part) => part === '' || part === '.' || part === '..') || /[\\\p{Cc}]/u.test(name)) {
    throw new FormatError(`its name ${JSON.stringify(name)} cannot be that of a file`);
  }
  return name;
}
