import { CheckpointError } from '../common/errors.js';
import { formatShape, stridesOf } from '../common/shapes.js';
import type { HostTensor, HostTensors } from './host-tensor.js';
import type { Module } from './module.js';
import type { ParameterLayout } from './parameter.js';

/** For each axis here, the axis of PyTorch that it is. */
const AXES: Record<Exclude<ParameterLayout, 'plain'>, readonly number[]> = {
  conv: [2, 3, 1, 0],
  convTranspose: [2, 3, 1, 0],
  linear: [1, 0],
};

/** Axis k of the result is axis `axes[k]` of x. */
export function transposeValues(x: HostTensor, axes: readonly number[]): HostTensor {
  const shape = axes.map((axis) => x.shape[axis]);
  const strides = stridesOf(x.shape);
  const steps = axes.map((axis) => strides[axis]);
  const data = new Float32Array(x.data.length);
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    data[to] = x.data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++index[axis] < shape[axis]) break;
      from -= steps[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return { shape, data };
}

/** The shape that PyTorch's tensor has for a parameter of a shape here. */
export function pyTorchShape(shape: readonly number[], layout: ParameterLayout): readonly number[] {
  if (layout === 'plain') return shape;
  const axes = AXES[layout];
  return shape.map((_, k) => shape[axes.indexOf(k)]);
}

function convert(name: string, x: HostTensor, layout: ParameterLayout, toHere: boolean): HostTensor {
  if (layout === 'plain') return x;
  const axes = AXES[layout];
  if (x.shape.length !== axes.length) {
    throw new CheckpointError(`${name}: the file has ${formatShape(x.shape)}, the network needs rank ${axes.length}`);
  }
  return transposeValues(x, toHere ? axes : axes.map((_, k) => axes.indexOf(k)));
}

function convertAll(module: Module, tensors: ReadonlyMap<string, HostTensor>, toHere: boolean): HostTensors {
  const entries = module.entries();
  return new Map(
    [...tensors].map(([name, x]) => [name, convert(name, x, entries.get(name)?.layout ?? 'plain', toHere)]),
  );
}

/**
 * The tensors of a PyTorch state dict in the layouts of this engine, for loadState. `num_batches_tracked`, which
 * PyTorch keeps beside running statistics and does not use, is left out; names that the module does not know stay.
 * @throws CheckpointError for a tensor of another rank than its layout
 */
export function fromPyTorchLayout(module: Module, tensors: ReadonlyMap<string, HostTensor>): HostTensors {
  return convertAll(module, withoutCounters(tensors), true);
}

/** The tensors without `num_batches_tracked`. */
export function withoutCounters(tensors: ReadonlyMap<string, HostTensor>): HostTensors {
  return new Map([...tensors].filter(([name]) => !/(^|\.)num_batches_tracked$/.test(name)));
}

/** The tensors of saveState in PyTorch's layouts. */
export function toPyTorchLayout(module: Module, tensors: ReadonlyMap<string, HostTensor>): HostTensors {
  return convertAll(module, tensors, false);
}
