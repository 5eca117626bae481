import { clamp } from '../ops/unary.js';
import type { Tensor } from '../tensor/tensor.js';

/** Stands for no upper bound: a power of ten near the largest number that float32 holds. */
const UNBOUNDED = 1e38;

export const relu = (x: Tensor): Tensor => clamp(x, 0, UNBOUNDED);
export const relu6 = (x: Tensor): Tensor => clamp(x, 0, 6);
