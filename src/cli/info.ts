import type { Command } from 'commander';
import type { FaceCollection } from '../codec/container/face-archive.js';
import { readBareHeader, unpackFaceBare } from '../codec/container/face-bare.js';
import { BITSTREAM_VERSION } from '../codec/container/face-code.js';
import { readFaceFileHeader, unpackFaceFile } from '../codec/container/face-file.js';
import { FaceJournal } from '../codec/container/face-journal.js';
import type { LatentModel } from '../codec/entropy/latent-model.js';
import { unpackLatentsPng } from '../codec/png/container.js';
import { readRegularFile } from '../data/read-file.js';
import { damageError, damageOf, nameOfFace, withArchive } from './archive-faces.js';
import { CodecSession } from './codec-session.js';
import { compactKindOf, MOST_BYTES } from './compact-kind.js';
import { complain, orComplain } from './complain.js';
import { sizeText } from './numbers.js';
import { print } from './terminal.js';
import { areShipped, type CodecKind, type Weights } from './weights.js';

/** Faces of an archive that are listed where not all are asked for. */
const LISTED = 20;

interface InfoOptions {
  all?: boolean;
  model?: string;
}

/** Adds `cameo info` to the program. */
export function addInfoCommand(program: Command): void {
  program
    .command('info')
    .description('tell what is in small files and archives, and check them; needs no GPU')
    .argument('<file...>', 'files that `cameo encode` made')
    .option('--all', `list every face of an archive, not just ${LISTED}`)
    .option('--model <file>', 'weights to compare with (default: CAMEO_MODEL, else those that are shipped)')
    .addHelpText('after', '\nExample:\n  cameo info small/face.cameo people.cameos')
    .action(async (files: string[], { all, model }: InfoOptions) => {
      const session = await CodecSession.open(model);
      for (const file of files) {
        await orComplain(file, async () => {
          const kind = await compactKindOf(file);
          if (kind === 'archive') {
            await withArchive(file, (archive, size) => describeArchive(file, archive, size, session, all ?? false));
            return;
          }
          const bytes = await readRegularFile(file, MOST_BYTES[kind]);
          const describe = { png: describePng, file: describeFace, bare: describeBare }[kind];
          print(`${file}: ${await describe(bytes, session)}`);
        });
      }
    });
}

/** Weights to compare with, where there are some: those chosen, whatever their kind, else the shipped ones. */
async function weightsFor(session: CodecSession, kind: CodecKind): Promise<Weights | undefined> {
  if (session.chosen) return session.chosen;
  return areShipped(kind) ? session.weights(kind) : undefined;
}

/** The model of the latents, where it is that of the file. */
function tablesOf(weights: Weights | undefined, modelId: string): LatentModel | undefined {
  return weights?.kind === 'budget' && weights.modelId.endsWith(modelId) ? weights.file.tables.model : undefined;
}

/** @param modelId as much of it as the file has: its end */
function modelLine(modelId: string, weights: Weights | undefined): string {
  const model = `  model ${modelId.padStart(8, '.')}`;
  if (!weights) return `${model}: no weights to compare with`;
  return weights.modelId.endsWith(modelId)
    ? `${model}: matches ${weights.path}`
    : `${model}: does not match ${weights.path}, which is ${weights.modelId}`;
}

const checkText = (checked: boolean): string => (checked ? 'checksum ok' : 'not checked: that takes its model');
const colourText = (grey: boolean): string => (grey ? 'grey' : 'colour');

async function describePng(bytes: Uint8Array, session: CodecSession): Promise<string> {
  const { version, rate, modelId, latents } = unpackLatentsPng(bytes);
  const { height, width, channels } = latents;
  return [
    `${sizeText(bytes.length)}, checksum ok`,
    `  PNG, format version ${version}, rate ${rate}, latents ${height}×${width}×${channels} (height×width×channels)`,
    modelLine(modelId, await weightsFor(session, 'png')),
  ].join('\n');
}

async function describeFace(bytes: Uint8Array, session: CodecSession): Promise<string> {
  const { version, modelId, t, grey } = readFaceFileHeader(bytes);
  const weights = await weightsFor(session, 'budget');
  const model = tablesOf(weights, modelId);
  if (model) unpackFaceFile(bytes, model);
  return [
    `${sizeText(bytes.length)}, ${checkText(!!model)}`,
    `  face file, format version ${version}, step ${t}, ${colourText(grey)}`,
    modelLine(modelId, weights),
  ].join('\n');
}

async function describeBare(bytes: Uint8Array, session: CodecSession): Promise<string> {
  const { version, modelIdEnd, t, grey } = readBareHeader(bytes);
  const weights = await weightsFor(session, 'budget');
  const model = tablesOf(weights, modelIdEnd);
  if (model) unpackFaceBare(bytes, model);
  return [
    `${sizeText(bytes.length)}, ${checkText(!!model)}`,
    `  bare face, format version ${version}, step ${t}, ${colourText(grey)}`,
    modelLine(modelIdEnd, weights),
  ].join('\n');
}

/** Prints at once, since an archive may be long; a face that is damaged gets a complaint, and the others are told. */
async function describeArchive(
  path: string,
  archive: FaceCollection,
  size: number,
  session: CodecSession,
  all: boolean,
): Promise<void> {
  const weights = await weightsFor(session, 'budget');
  const model = tablesOf(weights, archive.modelId);
  const { count, named, modelId } = archive;
  const kind = archive instanceof FaceJournal ? 'unfinished archive' : 'archive';
  print(
    `${path}: ${size} bytes, ${kind} of ${count} faces ${named ? 'with' : 'without'} names, ${(size / Math.max(1, count)).toFixed(1)} bytes a face\n` +
      `  format version ${BITSTREAM_VERSION}${model ? '' : `, faces ${checkText(false)}`}\n${modelLine(modelId, weights)}`,
  );
  const listed = all ? count : Math.min(count, LISTED);
  let whole = 0;
  for (let k = 0; k < count; k++) {
    try {
      if (model) await archive.face(k, model);
      const [name, { bytes, t, grey }] = [await nameOfFace(archive, k), await archive.entry(k)];
      if (k < listed) print(`  ${JSON.stringify(name)}: ${bytes} bytes, step ${t}, ${colourText(grey)}`);
      whole++;
    } catch (error) {
      complain(error, `${path}, face ${k}`);
    }
  }
  if (listed < count) print(`  … and ${count - listed} more (--all lists them)`);
  if (model) print(`  ${whole} of ${count} faces whole`);
  if (archive instanceof FaceJournal) {
    const { damaged, tail } = damageOf(archive, size);
    if (tail > 0) print(`  and ${tail} bytes of a face that was not finished`);
    for (const one of damaged) complain(damageError(one), path);
  }
}
