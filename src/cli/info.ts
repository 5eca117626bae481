import type { Command } from 'commander';
import type { ByteSource, FaceCollection } from '../codec/container/face-archive.js';
import { readBareHeader, unpackFaceBare } from '../codec/container/face-bare.js';
import { BITSTREAM_VERSION } from '../codec/container/face-code.js';
import { readFaceFileHeader, unpackFaceFile } from '../codec/container/face-file.js';
import { FaceJournal } from '../codec/container/face-journal.js';
import type { LatentModel } from '../codec/entropy/latent-model.js';
import { unpackLatentsPng } from '../codec/png/container.js';
import { FormatError } from '../common/errors.js';
import { quoted } from '../common/text.js';
import { archiveEnd } from '../data/archives/stored-faces.js';
import { damageError, damageOf, nameOfFace, withArchive } from './archive-faces.js';
import { CodecSession } from './codec-session.js';
import { compactKindOf, readCompactFace } from './compact-kind.js';
import { complain, orComplain } from './complain.js';
import { addJson, beginJson, isJson, JSON_HELP } from './json-output.js';
import { sizeText } from './numbers.js';
import { inputName } from './stdin.js';
import { print } from './terminal.js';
import { areShipped, type CodecKind, canRead, type Weights } from './weights.js';

/** Number of faces of an archive that are listed by default. */
const LISTED = 20;

interface InfoOptions {
  all?: boolean;
  model?: string;
  json?: boolean;
}

/** Adds `cameo info` to the program. */
export function addInfoCommand(program: Command): void {
  program
    .command('info')
    .description('show what small files and archives hold, and check them; needs no GPU')
    .argument('<file...>', 'files that `cameo encode` made, and pictures of QR codes; "-": standard input')
    .option('--all', `list every face of an archive, not only ${LISTED}`)
    .option('--model <file>', 'weights to compare with (default: CAMEO_MODEL, else the shipped weights)')
    .option('--json', JSON_HELP)
    .addHelpText(
      'after',
      `
Example:
  cameo info small/face.cameo people.cameos

Keys of --json: files [{ path, kind, qr (whether it was in a QR code), bytes, version, model, matches (null without weights), checked, and for one face qIndex (its
quantization index; called step before), grey and detailed, or rate; for an archive faces, whole (null if not checked), named, unfinished, list [{ name, bytes, qIndex, grey, detailed }] }], errors`,
    )
    .action(async (files: string[], { all, model, json }: InfoOptions) => {
      if (json) beginJson('info');
      const session = await CodecSession.open(model);
      const described: object[] = [];
      for (const file of files) {
        const path = inputName(file);
        await orComplain(path, async () => {
          const kind = await compactKindOf(file);
          if (kind === 'archive') {
            await withArchive(file, async (archive, _size, source) => {
              described.push(await describeArchive(path, archive, source, session, all ?? false));
            });
            return;
          }
          const { kind: container, bytes, qr } = await readCompactFace(file, kind);
          const face = await { png: describePng, file: describeFace, bare: describeBare }[container](bytes, session);
          if (qr) face.title += ' in a QR code';
          described.push({ path, kind: container, qr, bytes: bytes.length, ...describedOf(face) });
          if (!isJson()) printFace(path, bytes.length, face);
        });
      }
      addJson({ files: described });
    });
}

/** Weights to compare with, if there are any: the chosen ones, of any kind, else the shipped ones. */
async function weightsFor(session: CodecSession, kind: CodecKind): Promise<Weights | undefined> {
  if (session.chosen) return session.chosen;
  return areShipped(kind) ? session.weights(kind) : undefined;
}

/** The model of the latents, if it reads the file. */
function tablesOf(weights: Weights | undefined, modelId: string): LatentModel | undefined {
  return weights?.kind === 'codec' && canRead(weights, modelId) ? weights.file.tables.model : undefined;
}

interface FaceDescription {
  version: number;
  /** The part of the model's id that the file has: its end. */
  model: string;
  weights: Weights | undefined;
  /** Whether the face was found intact; needs its model. */
  checked: boolean;
  qIndex?: number;
  grey?: boolean;
  detailed?: boolean;
  rate?: number;
  /** Height, width, channels of the latents. */
  latents?: number[];
  /** In words. */
  title: string;
}

/** Whether the weights decode the file; null without any to compare with. */
const matches = (model: string, weights: Weights | undefined): boolean | null =>
  weights ? canRead(weights, model) : null;

const describedOf = ({ title: _title, weights, ...described }: FaceDescription) => ({
  ...described,
  matches: matches(described.model, weights),
});

function printFace(path: string, bytes: number, face: FaceDescription): void {
  const { version, model, weights, checked, qIndex, grey, detailed, rate, latents, title } = face;
  const size = `${path}: ${sizeText(bytes)}, ${checkText(checked)}`;
  const coding = latents
    ? `rate ${rate}, latents ${latents.join('×')} (height×width×channels)`
    : `quantization index ${qIndex}, ${colourText(grey!, detailed!)}`;
  print(`${size}\n  ${title}, format version ${version}, ${coding}\n${modelLine(model, weights)}`);
}

/** @param modelId as much of it as the file has: its end */
function modelLine(modelId: string, weights: Weights | undefined): string {
  const model = `  model ${modelId.padStart(8, '.')}`;
  if (!weights) return `${model}: no weights to compare with`;
  return canRead(weights, modelId)
    ? `${model}: matches ${weights.path}`
    : `${model}: does not match ${weights.path}, which is ${weights.modelId}`;
}

const checkText = (checked: boolean): string =>
  checked ? 'checksum ok' : 'not checked: this needs the model that wrote it';
const colourText = (grey: boolean, detailed: boolean): string =>
  `${grey ? 'grey' : 'colour'}${detailed ? ', with a detail layer' : ''}`;

async function describePng(bytes: Uint8Array, session: CodecSession): Promise<FaceDescription> {
  const { version, rate, modelId, latents } = unpackLatentsPng(bytes);
  const { height, width, channels } = latents;
  const weights = await weightsFor(session, 'autoencoder');
  return { title: 'PNG', version, model: modelId, weights, checked: true, rate, latents: [height, width, channels] };
}

async function describeFace(bytes: Uint8Array, session: CodecSession): Promise<FaceDescription> {
  const { version, modelId, qIndex, grey, detailed } = readFaceFileHeader(bytes);
  const weights = await weightsFor(session, 'codec');
  const model = tablesOf(weights, modelId);
  if (model) unpackFaceFile(bytes, model);
  return { title: 'face file', version, model: modelId, weights, checked: !!model, qIndex, grey, detailed };
}

async function describeBare(bytes: Uint8Array, session: CodecSession): Promise<FaceDescription> {
  const { version, modelIdEnd, qIndex, grey, detailed } = readBareHeader(bytes);
  const weights = await weightsFor(session, 'codec');
  const model = tablesOf(weights, modelIdEnd);
  if (model) unpackFaceBare(bytes, model);
  return { title: 'bare face', version, model: modelIdEnd, weights, checked: !!model, qIndex, grey, detailed };
}

/**
 * Prints each face at once unless --json is given, because an archive may be long. A damaged face is reported, and the others
 * are still listed.
 * @returns the same as keys
 */
async function describeArchive(
  path: string,
  archive: FaceCollection,
  source: ByteSource,
  session: CodecSession,
  all: boolean,
): Promise<object> {
  const tell = isJson() ? () => {} : print;
  const { size } = source;
  const weights = await weightsFor(session, 'codec');
  const model = tablesOf(weights, archive.modelId);
  const { count, named, modelId } = archive;
  const unfinished = archive instanceof FaceJournal;
  tell(
    `${path}: ${size} bytes, ${unfinished ? 'unfinished archive' : 'archive'} of ${count} faces ${named ? 'with' : 'without'} names, ${(size / Math.max(1, count)).toFixed(1)} bytes a face\n` +
      `  format version ${BITSTREAM_VERSION}${model ? '' : `, faces ${checkText(false)}`}\n${modelLine(modelId, weights)}`,
  );
  const listed = all ? count : Math.min(count, LISTED);
  const list: object[] = [];
  let whole = 0;
  for (let k = 0; k < count; k++) {
    try {
      if (model) await archive.face(k, model);
      const [name, { bytes, qIndex, grey, detailed }] = [await nameOfFace(archive, k), await archive.entry(k)];
      if (k < listed) {
        tell(`  ${quoted(name)}: ${bytes} bytes, quantization index ${qIndex}, ${colourText(grey, detailed)}`);
        if (isJson()) list.push({ name, bytes, qIndex, grey, detailed });
      }
      whole++;
    } catch (error) {
      complain(error, `${path}, face ${k}`);
    }
  }
  if (listed < count) tell(`  … and ${count - listed} more (--all lists them)`);
  if (model) tell(`  ${whole} of ${count} faces intact`);
  if (!unfinished && whole === count) await orComplain(path, () => checkEnd(source, archive));
  if (unfinished) {
    const { damaged, tail } = damageOf(archive, size);
    if (tail > 0) tell(`  and ${tail} bytes of an unfinished face`);
    for (const one of damaged) complain(damageError(one), path);
  }
  return {
    path,
    kind: 'archive',
    bytes: size,
    version: BITSTREAM_VERSION,
    model: modelId,
    matches: matches(modelId, weights),
    checked: !!model,
    faces: count,
    whole: model ? whole : null,
    named,
    unfinished,
    list,
  };
}

/** @throws FormatError if the archive goes on after its last face, as one does that another file was appended to */
async function checkEnd(source: ByteSource, archive: FaceCollection): Promise<void> {
  const end = await archiveEnd(source, archive);
  if (source.size > end)
    throw new FormatError(`${source.size - end} bytes after its last face, at byte ${end}, are of no face`);
}
