import { ArgumentError } from '../common/errors.js';

/** The smallest number that every device holds; smaller ones may become 0. */
const SMALLEST = 2 ** -126;

/**
 * Checks a constant in the precision that kernels use: finite as float32, and not rounded to 0 unless it is 0.
 * @param where the function's name, which starts the message
 * @param least the constant is at least this; `above`: it is above it
 * @throws ArgumentError that names the constant
 */
export function checkFloat32(where: string, name: string, value: number, min = -Infinity, above = false): void {
  const fail = (expected: string): never => {
    throw new ArgumentError(`${where}: ${name} is ${value}; expected ${expected}`);
  };
  const bound = min === -Infinity ? '' : above ? ` above ${min}` : ` of at least ${min}`;
  if (typeof value !== 'number' || !Number.isFinite(value)) fail(`a finite number${bound}`);
  if (above ? value <= min : value < min) fail(`a finite number${bound}`);
  if (!Number.isFinite(Math.fround(value))) fail(`a number${bound} that float32 holds, up to 3.4e38`);
  if (value !== 0 && Math.abs(value) < SMALLEST)
    fail(`a number${bound} that float32 does not take for 0, from 1.2e-38`);
}
