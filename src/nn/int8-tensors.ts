import { CheckpointError } from '../common/errors.js';
import { sameShape, sizeOf } from '../common/shapes.js';
import type { HostTensor, HostTensors } from './host-tensor.js';

// A tensor NAME [..., columns] may be stored in 8 bits a value, as three tensors: NAME.half F16 [..., h] has the first h
// columns (it is missing where h is 0), NAME.int8 I8 [..., columns − h] the others in steps, and NAME.scale F32 [columns − h]
// the step of each of those columns. Readers get NAME with value · step, rounded once to float32: the same everywhere.

/** Metadata of a file with such tensors: the version of what is told above. */
export const INT8_KEY = 'cameo.int8';
const VERSION = '1';
const [HALF, INT8, SCALE] = ['.half', '.int8', '.scale'];

/** The three parts of each tensor as one. @throws CheckpointError that names the part that is missing or does not fit */
export function joinInt8(tensors: HostTensors, version: string): HostTensors {
  const expect = (fits: unknown, name: string, found: unknown, expected: unknown): void => {
    if (!fits) throw new CheckpointError(`safetensors: "${name}" is ${found}; expected ${expected}`);
  };
  expect(version === VERSION, INT8_KEY, version, VERSION);
  const joined: HostTensors = new Map(tensors);
  for (const [part, { shape, data }] of tensors) {
    if (!part.endsWith(INT8)) continue;
    const name = part.slice(0, -INT8.length);
    const [scale, half] = [tensors.get(name + SCALE), tensors.get(name + HALF)];
    const outer = shape.slice(0, -1);
    const columns = shape[outer.length];
    const steps = scale?.data ?? [];
    expect(
      scale && sameShape(scale.shape, [columns]),
      name + SCALE,
      scale ? `[${scale.shape}]` : 'missing',
      `[${columns}]`,
    );
    const bad = steps.findIndex((step: number) => !(step > 0 && step < Infinity));
    expect(bad < 0, name + SCALE, `${steps[bad]} at ${bad}`, 'numbers above 0');
    const first = half?.shape.at(-1) ?? 0;
    expect(!half || sameShape(half.shape, [...outer, first]), name + HALF, `[${half?.shape}]`, `[${outer},n]`);
    const all = first + columns;
    const values = new Float32Array(sizeOf(outer) * all);
    for (let to = 0, whole = 0, rest = 0; to < values.length; to++) {
      const k = (to % all) - first;
      values[to] = k < 0 ? half!.data[whole++] : data[rest++] * steps[k];
    }
    for (const suffix of [HALF, INT8, SCALE]) joined.delete(name + suffix);
    joined.set(name, { shape: [...outer, all], data: values });
  }
  return joined;
}

/** A tensor in parts, and how `writeSafetensors` is to store them. */
export interface Int8Parts {
  tensors: HostTensors;
  half: string[];
  int8: string[];
  /** The metadata that its file needs. */
  metadata: readonly [string, string];
}

/**
 * A tensor in 8 bits a value, each rounded to the nearest step.
 * @param first columns to keep as F16
 * @param steps the least step of each of the other columns; where it is left out, or too small for the largest value of the
 *   column, the step is that value over 127
 */
export function splitInt8(name: string, { shape, data }: HostTensor, first = 0, steps?: ArrayLike<number>): Int8Parts {
  const all = shape.at(-1)!;
  const rows = data.length / all;
  const columns = all - first;
  const scale = Float32Array.from({ length: columns }, (_, k) => {
    let largest = 0;
    for (let row = 0; row < rows; row++) largest = Math.max(largest, Math.abs(data[row * all + first + k]));
    return Math.max(steps?.[k] ?? 0, largest / 127) || 1;
  });
  const values = new Float32Array(rows * columns);
  const kept = new Float32Array(rows * first);
  for (let row = 0; row < rows; row++) {
    kept.set(data.subarray(row * all, row * all + first), row * first);
    for (let k = 0; k < columns; k++) {
      const value = Math.round(data[row * all + first + k] / scale[k]);
      values[row * columns + k] = Math.min(127, Math.max(-127, value));
    }
  }
  const outer = shape.slice(0, -1);
  const tensors: HostTensors = new Map([
    [name + INT8, { shape: [...outer, columns], data: values }],
    [name + SCALE, { shape: [columns], data: scale }],
  ]);
  if (first > 0) tensors.set(name + HALF, { shape: [...outer, first], data: kept });
  return { tensors, half: first > 0 ? [name + HALF] : [], int8: [name + INT8], metadata: [INT8_KEY, VERSION] };
}
