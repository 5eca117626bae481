import { clamp } from '../ops/unary.js';
import type { Tensor } from '../tensor/tensor.js';

export const relu6 = (x: Tensor): Tensor => clamp(x, 0, 6);
