import type { Command } from 'commander';
import { ArgumentError } from '../common/errors.js';
import { type MergeResult, mergeArchives } from '../data/archives/merge-archives.js';
import { MAX_SHARDS } from '../data/archives/shards.js';
import { CodecSession } from './codec-session.js';
import { SUFFIXES } from './compact-kind.js';
import { stopOnInterrupt } from './interrupt.js';
import { addJson, beginJson, JSON_HELP } from './json-output.js';
import { integer } from './numbers.js';
import { claimFile } from './outputs.js';
import { startProgress } from './progress.js';
import { DASH } from './stdin.js';
import { say, warn } from './terminal.js';

interface MergeCommandOptions {
  out: string;
  shards?: number;
  model?: string;
  json?: boolean;
}

/** Adds `cameo merge` to the program. */
export function addMergeCommand(program: Command): void {
  program
    .command('merge')
    .description('join archives, such as the shards of several machines; needs no GPU')
    .argument('<archive...>', 'files of `cameo encode --archive`, of one model')
    .requiredOption('-o, --out <file>', `the joined archive, NAME${SUFFIXES.archive}`)
    .option(
      '--shards <n>',
      'the number of shards: refuse to join if one of them is missing, or is there twice',
      integer(1, MAX_SHARDS),
    )
    .option('--model <file>', 'weights that made the archives (default: CAMEO_MODEL, else the shipped weights)')
    .option('--json', `the summary as ${JSON_HELP}`)
    .addHelpText(
      'after',
      `
Example:
  cameo merge people-*${SUFFIXES.archive} -o people${SUFFIXES.archive} --shards 8

All faces are read and checked before anything is written. An archive that is damaged, unfinished, or of another model, and a name that is there twice, are named
on standard error; then nothing is written, and the exit code is 1. The codes of the faces do not change. The faces are in the order in which \`cameo encode\` takes
the pictures of a folder. An archive of the name of --out is replaced; another file is not.
An archive does not say of which shard it is: --shards finds out by the names of the faces.
Keys of --json: archive { path, faces, bytes } or null, from [{ path, faces }], errors; if the run was stopped: stopped`,
    )
    .action(merge);
}

async function merge(archives: string[], options: MergeCommandOptions): Promise<void> {
  const { out, shards, model: weights, json } = options;
  if (json) beginJson('merge');
  addJson({ archive: null, from: [] });
  if (out === DASH || archives.includes(DASH)) {
    throw new ArgumentError(`${DASH}: archives are read and written in parts; expected files`);
  }
  const session = await CodecSession.open(weights);
  const stop = stopOnInterrupt('stopping …');
  let bar: ReturnType<typeof startProgress> | undefined;
  try {
    const { model } = (await session.weights('codec')).file.tables;
    await claimFile(out, [...archives, weights]);
    const merged = await mergeArchives(archives, out, {
      model,
      shards,
      signal: stop.signal,
      onProgress: (done, total) => {
        bar ??= startProgress(total, 'faces');
        bar.update(done);
      },
    });
    bar?.stop();
    tell(out, merged);
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    bar?.stop();
    addJson({ stopped: true });
    warn('stopped; nothing was written');
    process.exitCode = 130;
  } finally {
    bar?.stop();
    stop.release();
    await session.close();
  }
}

function tell(path: string, { faces, bytes, from }: MergeResult): void {
  addJson({ archive: { path, faces, bytes }, from });
  say(`${faces} faces of ${from.length} archives -> ${path}  ${bytes} bytes`);
}
