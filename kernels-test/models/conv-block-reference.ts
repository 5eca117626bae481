import { sizeOf } from '../../src/common/shapes.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import type { Layer } from '../../src/nn/module.js';
import { referenceOps } from '../../src/ops/registry.js';
import type { NdArray } from '../../src/reference/ndarray.js';
import { randomValues, toNdArray } from '../helpers/harness.js';

/** The blocks of src/models/conv-blocks.ts in float64, with weights by name. */
export function blockReference(weights: HostTensors) {
  const tensor = (name: string): NdArray => toNdArray(weights.get(name)!.data, weights.get(name)!.shape);
  const conv = (input: NdArray, weight: string, stride: number, bias: NdArray | null): NdArray =>
    referenceOps.conv2d.forward(bias ? [input, tensor(weight), bias] : [input, tensor(weight)], {
      stride: [stride, stride],
      padding: [1, 1, 1, 1],
      dilation: [1, 1],
      groups: 1,
    });
  /** The conv, batch norm and PReLU that start at this index of a sequence. */
  const unit = (input: NdArray, part: string, first: number, stride = 1): NdArray => {
    const norm = ['weight', 'bias', 'running_mean', 'running_var'].map((name) =>
      tensor(`${part}.${first + 1}.${name}`),
    );
    const sum = conv(input, `${part}.${first}.weight`, stride, null);
    const normal = referenceOps.batchNormInference.forward([sum, ...norm], { eps: 1e-5 });
    return referenceOps.prelu.forward([normal, tensor(`${part}.${first + 2}.weight`)], {});
  };
  const add = (a: NdArray, b: NdArray): NdArray => referenceOps.add.forward([a, b], {});
  const residual = (input: NdArray, part: string, convs: number): NdArray => {
    let y = input;
    for (let k = 0; k < convs; k++) y = unit(y, `${part}.body`, 3 * k);
    return add(input, y);
  };
  return { tensor, conv, unit, add, residual };
}

/** Random weights of a network of such blocks, with which values keep their magnitude from layer to layer. */
export function inventedWeights(network: Layer, seed: number): HostTensors {
  return new Map(
    [...network.entries()].map(([name, { shape }], k) => {
      if (name.endsWith('running_var')) return [name, { shape, data: randomValues(sizeOf(shape), seed + k, [0.5, 2]) }];
      const fanIn = shape.length > 1 ? shape.slice(0, -1).reduce((product, size) => product * size, 1) : 1;
      const data = randomValues(sizeOf(shape), seed + k).map((value) => value / Math.sqrt(fanIn));
      return [name, { shape, data }];
    }),
  );
}
