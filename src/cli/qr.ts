import { type Command, Option } from 'commander';
import { packFaceBare } from '../codec/container/face-bare.js';
import { ArgumentError, FormatError, ImageError } from '../common/errors.js';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { encodePng } from '../data/pictures/image.js';
import { LandmarkIndex } from '../data/pictures/landmarks.js';
import { markPng } from '../data/pictures/own-files.js';
import {
  QR_BORDER,
  QR_CAPACITY,
  type QrCorrection,
  qrModules,
  qrPicture,
  qrSvg,
  qrVersion,
} from '../data/pictures/qr-code.js';
import { CodecSession } from './codec-session.js';
import { FaceFinder } from './face-finder.js';
import { addFaceOptions, checkFaceOptions, type FaceOptions } from './face-options.js';
import { codecEncoder, DEFAULT_BYTES, warnOfFewBytes } from './face-writer.js';
import { GIVEN_FACE_HELP, givenFace } from './given-face.js';
import { addJson, beginJson, JSON_HELP } from './json-output.js';
import { integer } from './numbers.js';
import { claimFile } from './outputs.js';
import { type PhotoFace, readLandmarkInput, readPhotoFaces } from './photo-faces.js';
import { DASH, inputName } from './stdin.js';
import { STDOUT_NAME, say, takeStdoutForData, writeData } from './terminal.js';

/** Default pixels of a module. */
const DEFAULT_SCALE = 6;

interface QrOptions extends FaceOptions {
  out: string;
  bytes?: number;
  ecc: QrCorrection;
  scale: number;
  border: number;
  landmarks?: string;
  model?: string;
  json?: boolean;
}

/** Adds `cameo qr` to the program. */
export function addQrCommand(program: Command): void {
  const command = program
    .command('qr')
    .description('put a face into a QR code')
    .argument('<face>', GIVEN_FACE_HELP)
    .requiredOption('-o, --out <file>', `picture of the code, .png or .svg; "${DASH}": a PNG to ${STDOUT_NAME}`)
    .option(
      '--bytes <n>',
      `most bytes of the face (default: ${DEFAULT_BYTES}); fewer bytes make a coarser code`,
      integer(1, 65536),
    )
    .addOption(
      new Option(
        '--ecc <level>',
        'error correction: the share of the code that may be damaged, about 7, 15, 25 or 30 %',
      )
        .choices(Object.keys(QR_CAPACITY))
        .default('medium'),
    )
    .option('--scale <n>', 'pixels of a module (a small square of the code)', integer(1, 40), DEFAULT_SCALE)
    .option(
      '--border <n>',
      `width of the light border (quiet zone), in modules; the standard asks for ${QR_BORDER}`,
      integer(1, 20),
      QR_BORDER,
    )
    .option('--landmarks <file>', 'JSON file with five landmarks for each face, as for `cameo encode`')
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else the shipped weights)')
    .option('--json', JSON_HELP);
  addFaceOptions(command, 'all')
    .addHelpText(
      'after',
      `
Examples:
  cameo qr ann.jpg -o code.png --bytes 300 --faces largest
  cameo qr small/ann.cameo -o ann.svg --ecc high
  cameo qr people.cameos:ann -o code.png

The code holds the bare container in byte mode, at most ${Object.entries(QR_CAPACITY)
        .map(([level, bytes]) => `${bytes} bytes (${level})`)
        .join(', ')}.
A compact file is put into it unchanged. \`cameo decode code.png -o DIR\` restores the face, also from a photograph of the code.
Keys of --json: input, output, bytes, version, modules (a side, without the border), correction, model, errors`,
    )
    .action(async (path: string, options: QrOptions) => {
      if (options.json) beginJson('qr');
      await makeCode(path, options);
    });
}

/** @throws ArgumentError, FileError for a place where the code cannot be written */
async function checkPlace(path: string, { out, json, landmarks, model }: QrOptions): Promise<void> {
  if (out === DASH) {
    if (json) throw new ArgumentError(`-o ${DASH} and --json: ${STDOUT_NAME} can take only one of them`);
    takeStdoutForData();
    return;
  }
  if (!/\.(png|svg)$/i.test(out)) throw new ArgumentError(`-o ${out}: expected a name that ends in .png or .svg`);
  await claimFile(out, [path, landmarks, model]);
}

async function makeCode(path: string, options: QrOptions): Promise<void> {
  const { out, ecc, scale, border, bytes: wanted } = options;
  checkFaceOptions(options);
  await checkPlace(path, options);
  if (wanted !== undefined && wanted > QR_CAPACITY[ecc]) {
    throw new ArgumentError(`--bytes ${wanted}: a QR code with --ecc ${ecc} holds at most ${QR_CAPACITY[ecc]}`);
  }
  const session = await CodecSession.open(options.model);
  try {
    const { name, bytes } = await bareFace(path, options, session);
    if (bytes.length > QR_CAPACITY[ecc]) {
      throw new ArgumentError(
        `${name}: the face takes ${bytes.length} bytes; a QR code with --ecc ${ecc} holds at most ${QR_CAPACITY[ecc]}`,
      );
    }
    const { modelId } = await session.weights('codec');
    const modules = qrModules(bytes, { correction: ecc, border });
    const side = modules.length - 2 * border;
    const version = qrVersion(modules, border);
    const file = /\.svg$/i.test(out)
      ? qrSvg(modules, scale)
      : markPng(await encodePng(qrPicture(modules, scale)), `QR code of a face by model ${modelId}`);
    if (typeof file !== 'string' && out === DASH) await writeData(file);
    else await writeFileAtomic(out, file);
    const output = out === DASH ? STDOUT_NAME : out;
    addJson({ input: name, output, bytes: bytes.length, version, modules: side, correction: ecc, model: modelId });
    say(
      `${name} -> ${output}  ${bytes.length} bytes, version ${version}, ${side}×${side} modules, error correction ${ecc}`,
    );
  } finally {
    await session.close();
  }
}

/**
 * The face in the bare container.
 * @throws ArgumentError for a compact face of more bytes than were asked for, and for a photograph of several faces
 */
async function bareFace(
  path: string,
  options: QrOptions,
  session: CodecSession,
): Promise<{ name: string; bytes: Uint8Array }> {
  const { model } = (await session.weights('codec')).file.tables;
  const given = await givenFace(path, session);
  const { name } = given;
  const maxBytes = options.bytes ?? DEFAULT_BYTES;
  if (given.kind === 'png') {
    throw new FormatError(
      `${name}: a PNG of the autoencoder cannot go into a QR code; give the photograph or a .cameo file`,
    );
  }
  if (given.kind === 'symbols') {
    const bytes = packFaceBare(given.face, model);
    if (options.bytes === undefined || bytes.length <= maxBytes) return { name, bytes };
    throw new ArgumentError(
      `${name}: the face takes ${bytes.length} bytes, more than --bytes ${maxBytes}; give the photograph instead`,
    );
  }
  warnOfFewBytes(maxBytes);
  const encoder = await codecEncoder(session, { container: 'bare', maxBytes }, 'bare', {});
  const face = await pictureFace(given.path, options);
  for await (const one of encoder.encode(only(face))) {
    if ('error' in one) throw one.error;
    return { name: face.input, bytes: one.file };
  }
  throw new ArgumentError(`${name}: nothing was encoded`);
}

async function* only({
  input,
  name,
  pixels,
}: PhotoFace): AsyncGenerator<{ input: string; name: string; rgb: Uint8Array }> {
  yield { input, name, rgb: pixels };
}

/** The face of a picture. @throws as `readPhotoFaces`; ArgumentError if it has several and none was chosen */
async function pictureFace(path: string, options: QrOptions): Promise<PhotoFace> {
  const { landmarks: list } = options;
  const landmarks = list === undefined ? undefined : new LandmarkIndex(await readLandmarkInput(list), [{ path }]);
  const finder = new FaceFinder(options);
  const onBadFace = (cause: unknown, input: string): never => {
    throw new ImageError(`${input}: ${(cause as Error).message}`, { cause });
  };
  const faces = await readPhotoFaces(path, { landmarks, finder, onBadFace }).finally(() => finder.close());
  if (faces.length === 1) return faces[0];
  throw new ArgumentError(
    `${inputName(path)}: it has ${faces.length} faces, but a code holds one; choose it with --face or --faces largest`,
  );
}
