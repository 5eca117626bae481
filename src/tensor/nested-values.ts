import { checkList, describe, isList } from '../common/arguments.js';
import { ShapeError } from '../common/errors.js';
import type { NumberArray, TensorValues } from './float32-values.js';

/** Values as nested lists of equal lengths: `[[1, 2, 3], [4, 5, 6]]` has shape [2, 3]. The innermost may be typed arrays. */
export type NestedValues = NumberArray | readonly (number | NestedValues)[];

/**
 * The values in row-major order, and their shape; a list of numbers has one axis.
 * @throws ShapeError for lists of different lengths or depths; ArgumentError for values that are not a list
 */
export function flatten(values: NestedValues): { data: TensorValues; shape: number[] } {
  checkList('Tensor', 'values', values, 'a list of numbers');
  const shape: number[] = [];
  for (let inner: unknown = values; isList(inner); inner = inner[0]) shape.push(inner.length);
  if (shape.length === 1) return { data: values as TensorValues, shape };
  const data: number[] = [];
  const visit = (list: ArrayLike<unknown>, axis: number, path: string): void => {
    for (let k = 0; k < list.length; k++) {
      const entry = list[k];
      const at = `${path}[${k}]`;
      if (axis === shape.length) {
        if (isList(entry)) throw new ShapeError(`Tensor: ${at} is a list; expected a number, as its neighbours are`);
        data.push(entry as number);
      } else if (!isList(entry)) {
        throw new ShapeError(`Tensor: ${at} is ${describe(entry)}; expected a list of ${shape[axis]} values`);
      } else if (entry.length !== shape[axis]) {
        throw new ShapeError(
          `Tensor: ${at} has ${entry.length} values; expected ${shape[axis]}, as its neighbours have`,
        );
      } else visit(entry, axis + 1, at);
    }
  };
  visit(values, 1, 'values');
  return { data, shape };
}
