import { CheckpointError } from '../common/errors.js';
import { parseJson } from '../common/json.js';
import { type HostTensors, withoutPrefix, withPrefix } from '../nn/host-tensor.js';
import { readSafetensors, readSafetensorsMetadata, writeSafetensors } from '../nn/safetensors.js';
import type { TrainingSource } from './training-source.js';

/** Metadata of every checkpoint; a training may add more. */
export interface CheckpointState<Config> {
  /** Steps done. */
  step: number;
  config: Config;
  /** Absent in checkpoints of earlier versions. */
  source?: TrainingSource | null;
}

/** The kind of a checkpoint. */
export interface CheckpointFormat<State> {
  /** The key of its metadata. */
  key: string;
  /** What messages call the training, e.g. `autoencoder training`. */
  training: string;
  /** Keys of checkpoints that are not read any more, and what a message says of them. */
  earlier?: Readonly<Record<string, string>>;
  /** The state, with settings that came later filled in. @throws an error that says what is wrong with it */
  check(state: State): State;
}

/** @param parts tensors by the prefix of their names, in the order of the file */
export function writeCheckpoint<State>(
  { key }: CheckpointFormat<State>,
  state: State,
  parts: Readonly<Record<string, HostTensors>>,
): Uint8Array {
  const tensors: HostTensors = new Map(
    Object.entries(parts).flatMap(([prefix, part]) => [...withPrefix(part, `${prefix}.`)]),
  );
  return writeSafetensors(tensors, new Map([[key, JSON.stringify(state)]]));
}

/** Whether a safetensors file is a checkpoint of this kind. @throws CheckpointError for no safetensors file */
export const isCheckpointOf = ({ key }: Pick<CheckpointFormat<unknown>, 'key'>, bytes: Uint8Array): boolean =>
  readSafetensorsMetadata(bytes).has(key);

/** @throws CheckpointError for a file of another kind, or whose state is damaged */
export function parseCheckpoint<State extends CheckpointState<unknown>>(
  { key, training, earlier = {}, check }: CheckpointFormat<State>,
  bytes: Uint8Array,
): { tensors: HostTensors; state: State } {
  const { tensors, metadata } = readSafetensors(bytes);
  for (const [old, what] of Object.entries(earlier)) if (metadata.has(old)) throw new CheckpointError(what);
  const text = metadata.get(key);
  if (!text) throw new CheckpointError(`not a checkpoint of ${training}: metadata "${key}" is missing`);
  try {
    const state = check(parseJson(text, key) as State);
    if (!Number.isInteger(state.step) || state.step < 0) throw new CheckpointError(`step ${state.step}`);
    return { tensors, state };
  } catch (cause) {
    throw new CheckpointError(`the checkpoint's metadata is damaged: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The network's weights in a checkpoint of a training by stages; null for a file that is no such checkpoint.
 * @throws CheckpointError for a damaged one
 */
export function networkIn<State extends CheckpointState<unknown>>(
  format: CheckpointFormat<State>,
  bytes: Uint8Array,
): HostTensors | null {
  return isCheckpointOf(format, bytes) ? withoutPrefix(parseCheckpoint(format, bytes).tensors, 'model.') : null;
}
