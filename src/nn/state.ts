import { ArgumentError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkTensors, type HostTensor, type HostTensors, readTensors } from './host-tensor.js';
import type { Module } from './module.js';

/** Reads all parameters and buffers of a module back, as they are at the moment of the call. */
export function saveState(module: Module): Promise<HostTensors> {
  return readTensors(module.stateTensors());
}

/**
 * Gives a module the values of a checkpoint, which must hold exactly its parameters and buffers, in the layouts of this
 * engine (`fromPyTorchLayout` converts).
 * @param gpu needed where the module has no values yet
 * @throws CheckpointError that names what is missing, unexpected or of another shape; the module is unchanged then
 */
export function loadState(module: Module, tensors: ReadonlyMap<string, HostTensor>, gpu?: Gpu): void {
  const entries = module.entries();
  checkTensors(tensors, entries, 'the network');
  for (const [name, parameter] of entries) {
    const device = parameter.hasValues ? parameter.tensor.gpu : gpu;
    if (!device) throw new ArgumentError('loadState: the network has no values yet, so it needs to know the GPU');
    parameter.set(device, tensors.get(name)!.data);
  }
}
