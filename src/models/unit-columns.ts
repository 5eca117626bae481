import { type Shape, sizeOf } from '../common/shapes.js';

/** The first unit vectors, as orthonormal columns: the last axis is that of the columns. */
export function unitColumns(shape: Shape): Float32Array {
  const columns = shape.at(-1)!;
  const values = new Float32Array(sizeOf(shape));
  for (let k = 0; k < Math.min(columns, values.length / columns); k++) values[k * columns + k] = 1;
  return values;
}
