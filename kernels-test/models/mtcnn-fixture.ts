import { sizeOf } from '../../src/common/shapes.js';
import { Mtcnn } from '../../src/models/mtcnn.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { pyTorchShape } from '../../src/nn/layout.js';
import { randomValues } from '../helpers/harness.js';

/** Random weights of MTCNN by name, in PyTorch's layouts, with which values keep their magnitude from layer to layer. */
export function inventedWeights(seed: number): HostTensors {
  const entries = [...new Mtcnn().entries()];
  return new Map(
    entries.map(([name, { shape, layout }], k) => {
      const there = pyTorchShape(shape, layout);
      const fanIn = sizeOf(there) / there[0];
      const data = randomValues(sizeOf(there), seed + k).map((value) => value / Math.sqrt(fanIn + 1));
      return [name, { shape: [...there], data }];
    }),
  );
}
