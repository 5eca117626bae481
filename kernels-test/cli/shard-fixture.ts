import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readKlt } from '../../src/codec/codec-weights.js';
import { bytesSource, FaceArchive } from '../../src/codec/container/face-archive.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { TINY, writeSmallFaceModel } from '../helpers/budget-fixture.js';
import { type CliRun, temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';
import { writeNamedFaces } from './named-faces.js';

/** A folder of faces, `in`, and a tiny model, with which shards are encoded in seconds. */

export const folder = temporaryFolder();
export const at = (...parts: string[]): string => join(folder, ...parts);

const gpu = await openGpu();
// The faces are as large as the command needs; everything else of the model is as small as possible.
const config = { ...TINY, width: 96, height: 112 };
const CAMEO_MODEL = await writeSmallFaceModel(gpu, at('face.safetensors'), 1, config);
export const otherModel = await writeSmallFaceModel(gpu, at('other.safetensors'), 2, config);
gpu.destroy();
export const env = { CAMEO_MODEL, CAMEO_ADAPTER: gpu.description.kind };
export const { model } = readKlt(readFileSync(CAMEO_MODEL)).tables!;

/** The variables of the systems whose tests may run this test. */
export const noArray = {
  SLURM_ARRAY_TASK_ID: undefined,
  JOB_COMPLETION_INDEX: undefined,
  CAMEO_SHARDS: undefined,
};

export const BYTES = ['--bytes', '60'];
export const run = (args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<CliRun> =>
  cameoHere(args, { ...env, ...noArray, ...more }, folder);

/** Runs a command, and asserts success. */
export async function works(args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<CliRun> {
  const result = await run(args, more);
  if (result.code !== 0) throw new Error(`${args.join(' ')}: ${result.stderr}`);
  return result;
}

/** Names of the faces, in the order in which a run encodes them. */
export const NAMES = [
  ...Array.from({ length: 9 }, (_, k) => `ann/${k + 1}`),
  ...Array.from({ length: 30 }, (_, k) => `bob/of 1999/face ${k + 1}`),
  'bob/of 1999/face',
  'z1',
  'z2',
  'z10',
];
await writeNamedFaces(at('in'), NAMES);

/** The names in an archive, in its order. */
export async function namesOf(path: string): Promise<string[]> {
  const archive = await FaceArchive.open(bytesSource(readFileSync(at(path))));
  return Promise.all(Array.from({ length: archive.count }, async (_, k) => (await archive.name(k))!));
}
