import { CheckpointError } from '../common/errors.js';
import { formatShape, sameShape, sizeOf } from '../common/shapes.js';
import type { Tensor } from '../tensor/tensor.js';

/** A float32 array in host memory, row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Tensors by name, as checkpoint files hold them. */
export type HostTensors = Map<string, HostTensor>;

/** Reads tensors back; all of them as they are at the moment of the call. */
export async function readTensors(tensors: ReadonlyMap<string, Tensor>): Promise<HostTensors> {
  const read = async ([name, tensor]: [string, Tensor]) =>
    [name, { shape: tensor.shape, data: await tensor.read() }] as const;
  return new Map(await Promise.all([...tensors].map(read)));
}

/**
 * Checks that `given` holds exactly the tensors of `wanted`.
 * @param owner who needs them, e.g. `the network`
 * @throws CheckpointError that names the tensors that are missing or unexpected, or the first of another shape or
 *   with a value that is not finite
 */
export function checkTensors(
  given: ReadonlyMap<string, HostTensor>,
  wanted: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  owner: string,
): void {
  const missing = [...wanted.keys()].filter((name) => !given.has(name));
  const unexpected = [...given.keys()].filter((name) => !wanted.has(name));
  if (missing.length > 0 || unexpected.length > 0) {
    const parts: string[] = [];
    if (missing.length > 0) parts.push(`the file lacks ${listNames(missing)}, which ${owner} needs`);
    if (unexpected.length > 0) parts.push(`the file has ${listNames(unexpected)}, which ${owner} does not know`);
    throw new CheckpointError(parts.join('; '));
  }
  for (const [name, { shape }] of wanted) {
    const tensor = given.get(name)!;
    if (!sameShape(tensor.shape, shape)) {
      const found = formatShape(tensor.shape);
      throw new CheckpointError(`${name}: the file has ${found}, ${owner} needs ${formatShape(shape)}`);
    }
    if (tensor.data.length !== sizeOf(shape)) {
      throw new CheckpointError(`${name}: ${tensor.data.length} values do not fill ${formatShape(shape)}`);
    }
  }
  checkFiniteTensors(given);
}

/** @throws CheckpointError that names the first tensor with NaN or infinity among its values */
export function checkFiniteTensors<T extends ReadonlyMap<string, HostTensor>>(tensors: T): T {
  for (const [name, { data }] of tensors) {
    // A loop, as `findIndex` takes ten times as long for millions of values.
    for (let k = 0; k < data.length; k++) {
      if (Number.isFinite(data[k])) continue;
      throw new CheckpointError(`${name}: value ${k} is ${data[k]}; expected finite numbers`);
    }
  }
  return tensors;
}

/** At most five names, and how many more there are. */
function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => `"${name}"`);
  return names.length > 5 ? `${shown.join(', ')} and ${names.length - 5} more` : shown.join(', ');
}

/** The tensors whose names start with `prefix`, under the rest of their names. */
export function withoutPrefix<T>(tensors: ReadonlyMap<string, T>, prefix: string): Map<string, T> {
  const chosen = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(chosen.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** The tensors under names that start with `prefix`. */
export function withPrefix<T>(tensors: ReadonlyMap<string, T>, prefix: string): Map<string, T> {
  return new Map([...tensors].map(([name, tensor]) => [prefix + name, tensor]));
}
