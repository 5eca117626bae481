import { BatchNorm } from '../nn/layers/batch-norm.js';
import { Residual, Sequential } from '../nn/layers/containers.js';
import { Conv2d } from '../nn/layers/conv.js';
import { PReLU } from '../nn/layers/prelu.js';
import type { Layer } from '../nn/module.js';

/** A 3×3 conv, batch norm and PReLU. */
export const convNormAct = (inputs: number, outputs: number, stride = 1): Layer[] => [
  new Conv2d(inputs, outputs, 3, { stride, padding: 1, bias: false }),
  new BatchNorm(outputs),
  new PReLU(outputs),
];

/** x + f(x), where f has this many convs with batch norm and PReLU. */
export const convResidual = (channels: number, convs: number): Layer =>
  new Residual(new Sequential(Array.from({ length: convs }, () => convNormAct(channels, channels)).flat()));
