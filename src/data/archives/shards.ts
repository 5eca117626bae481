import { createHash } from 'node:crypto';
import { ArgumentError } from '../../common/errors.js';

/*
 * Pictures are divided among machines by a hash of their names, so that each machine finds its share without the others,
 * whatever the order of its arguments.
 */

/** A share of all pictures. */
export interface Shard {
  /** From 1. */
  number: number;
  /** Number of all shards. */
  count: number;
}

/** The most shards of one set of pictures. */
export const MAX_SHARDS = 100_000;
const HASHED_BYTES = 6;

/** The form in which names are compared: as they are after writing and reading, with composed letters. */
export const nameKey = (name: string): string =>
  // UTF-8 has no halves of surrogate pairs, and reading it removes a byte order mark.
  name
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .replace(/^\ufeff/, '')
    .normalize('NFC');

/** The first 48 bits of the SHA-256 of a name in its compared form, as UTF-8; the most significant byte first. */
export const nameHash = (name: string): number =>
  createHash('sha256').update(nameKey(name)).digest().readUIntBE(0, HASHED_BYTES);

/**
 * The number, from 1, of the shard that a picture belongs to: its hash modulo `count`, and 1. This must never change, because shards of
 * one set may be encoded by different versions.
 * @param name of the picture, as an archive has it, without the number of a face
 */
export const shardOf = (name: string, count: number): number => 1 + (nameHash(name) % count);

/** "2/8" */
export const shardText = ({ number, count }: Shard): string => `${number}/${count}`;

/** @throws ArgumentError for a text that is not as "2/8", with a number from 1 to the count */
export function parseShard(text: string): Shard {
  const [, number, count] = (/^(\d+)\/(\d+)$/.exec(text.trim()) ?? []).map(Number);
  if (number >= 1 && number <= count && count <= MAX_SHARDS) return { number, count };
  throw new ArgumentError(
    `--shard ${text}: expected auto, or number/count, as 2/8, with a number from 1 to the count, and a count of at most ${MAX_SHARDS}`,
  );
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Names of the variables. */
const SLURM = { id: 'SLURM_ARRAY_TASK_ID', count: 'SLURM_ARRAY_TASK_COUNT', min: 'SLURM_ARRAY_TASK_MIN' } as const;
const INDEX = 'JOB_COMPLETION_INDEX';
const COUNT = 'CAMEO_SHARDS';

/**
 * The shard that a Slurm job array or an indexed Job of Kubernetes gives this process.
 * @throws ArgumentError if variables are missing, are not integers, or contradict each other
 */
export function shardOfEnvironment(variables: Variables): Shard {
  const inSlurm = isSet(variables, SLURM.id);
  if (inSlurm && isSet(variables, INDEX)) {
    throw new ArgumentError(
      `--shard auto: both ${SLURM.id} and ${INDEX} are set; expected those of one system, or --shard number/count`,
    );
  }
  if (inSlurm) return slurmShard(variables);
  if (isSet(variables, INDEX)) return indexedShard(variables);
  throw new ArgumentError(
    `--shard auto: neither ${SLURM.id} (Slurm) nor ${INDEX} (Kubernetes) is set; expected a job array or an indexed Job, or --shard number/count`,
  );
}

function slurmShard(variables: Variables): Shard {
  const id = integerOf(variables, SLURM.id, 0);
  const min = integerOf(variables, SLURM.min, 0);
  const count = integerOf(variables, SLURM.count, 1);
  if (id < min || id >= min + count) {
    throw new ArgumentError(
      `--shard auto: ${SLURM.id} is ${id}, with ${SLURM.min} ${min} and ${SLURM.count} ${count}; expected an id from ${min} to ${min + count - 1}: give the array as one range without gaps`,
    );
  }
  if (isSet(variables, COUNT)) {
    const said = integerOf(variables, COUNT, 1);
    if (said !== count) {
      throw new ArgumentError(
        `--shard auto: ${COUNT} is ${said}, but ${SLURM.count} is ${count}; expected the same, as all tasks of the array have it`,
      );
    }
  }
  return { number: id - min + 1, count };
}

function indexedShard(variables: Variables): Shard {
  const index = integerOf(variables, INDEX, 0);
  const count = integerOf(variables, COUNT, 1);
  if (index < count) return { number: index + 1, count };
  throw new ArgumentError(
    `--shard auto: ${INDEX} is ${index}, but ${COUNT} is ${count}; expected an index from 0 to ${count - 1}: set ${COUNT} to the completions of the Job`,
  );
}

const isSet = (variables: Variables, name: string): boolean => (variables[name] ?? '') !== '';

/** @throws ArgumentError if a variable is missing or is not an integer of at least `low` */
function integerOf(variables: Variables, name: string, low: number): number {
  if (!isSet(variables, name)) {
    throw new ArgumentError(`--shard auto: ${name} is not set; expected an integer of at least ${low}`);
  }
  const text = variables[name]!;
  const value = Number(text);
  const high = name === COUNT || name === SLURM.count ? MAX_SHARDS : Number.MAX_SAFE_INTEGER;
  if (/^\d+$/.test(text) && value >= low && value <= high) return value;
  const range = high === MAX_SHARDS ? `from ${low} to ${high}` : `of at least ${low}`;
  throw new ArgumentError(`--shard auto: ${name} is "${text}"; expected an integer ${range}`);
}
