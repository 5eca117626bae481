import { withDefaults } from '../common/arguments.js';
import { ArgumentError, CheckpointError } from '../common/errors.js';
import { sameShape } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Tensor } from '../tensor/tensor.js';
import { checkTensors, type HostTensor, type HostTensors, readTensors } from './host-tensor.js';
import type { Parameter } from './parameter.js';

/** What has parameters: a `Module`. */
interface HasState {
  entries(): Map<string, Parameter>;
  stateTensors(): Map<string, Tensor>;
}

/** Reads all parameters and buffers of a module back, as they are at the moment of the call. */
export function saveState(module: HasState): Promise<HostTensors> {
  return readTensors(module.stateTensors());
}

export interface LoadOptions {
  /** Take what fits by name and shape, and leave the rest as it is; default false. */
  partial?: boolean;
}

/** What a partial load left out, by name. */
export interface LoadResult {
  /** Parameters of the module that keep their values. */
  missing: string[];
  /** Tensors of the file that the module does not know. */
  unexpected: string[];
  /** Parameters that have another shape in the file; they keep their values. */
  otherShape: string[];
}

/**
 * Gives a module the values of a checkpoint, which must hold exactly its parameters and buffers, in the layouts of this
 * engine (`fromPyTorchLayout` converts), unless `partial` is set.
 * @param gpu needed where the module has no values yet
 * @returns what was left out; all lists are empty without `partial`
 * @throws CheckpointError that names what is missing, unexpected, of another shape or not finite, or where nothing fits; the module is
 * unchanged then. ArgumentError where the GPU is needed, or a parameter that the file lacks has no values yet
 */
export function loadState(
  module: HasState,
  tensors: ReadonlyMap<string, HostTensor>,
  gpu?: Gpu,
  options?: LoadOptions,
): LoadResult {
  const { partial } = withDefaults<Required<LoadOptions>>('loadState', options, { partial: false });
  const entries = module.entries();
  const known = [...entries].filter(([name]) => tensors.has(name));
  const fits = ([name, { shape }]: [string, Parameter]) => sameShape(tensors.get(name)!.shape, shape);
  const chosen = new Map(partial ? known.filter(fits) : entries);
  if (chosen.size === 0 && entries.size > 0) {
    throw new CheckpointError('loadState: no tensor of the file fits the network by name and shape');
  }
  const given = partial ? new Map([...chosen.keys()].map((name) => [name, tensors.get(name)!])) : tensors;
  checkTensors(given, chosen, 'the network');
  for (const [name, parameter] of entries) {
    if (parameter.hasValues || (gpu && chosen.has(name))) continue;
    if (!gpu) throw new ArgumentError('loadState: the network has no values yet, so it needs to know the GPU');
    throw new ArgumentError(`loadState: the file lacks "${name}", which has no values yet: call initialize first`);
  }
  for (const [name, parameter] of chosen) {
    parameter.set(parameter.hasValues ? parameter.tensor.gpu : gpu!, given.get(name)!.data);
  }
  return {
    missing: [...entries.keys()].filter((name) => !tensors.has(name)),
    unexpected: [...tensors.keys()].filter((name) => !entries.has(name)),
    otherShape: known.filter((entry) => !fits(entry)).map(([name]) => name),
  };
}
