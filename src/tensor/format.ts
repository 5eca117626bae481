import { checkCount } from '../common/arguments.js';
import { sizeOf } from '../common/shapes.js';
import type { AnyTensor } from './tensor.js';

/**
 * Shape and values of a tensor as text, for people: `Tensor [2,2]` and then `[[1, 2],` and ` [3, 4]]`. Numbers have up to five
 * significant digits. Of an axis of more than `most` entries, the first and the last half are shown. It waits for the GPU.
 * @param most entries of an axis to show, at least 1; default 6
 * @throws ArgumentError
 */
export async function formatTensor(tensor: AnyTensor, most = 6): Promise<string> {
  checkCount('formatTensor', 'most', most);
  const values = await tensor.read();
  const { shape } = tensor;
  const number = (value: number): string => String(Number(value.toPrecision(5)));
  const part = (axis: number, first: number): string => {
    if (axis === shape.length) return number(values[first]);
    const stride = sizeOf(shape.slice(axis + 1));
    const head = Math.ceil(most / 2);
    const shown = Array.from({ length: shape[axis] }, (_, k) => k).filter(
      (k) => shape[axis] <= most || k < head || k >= shape[axis] - (most - head),
    );
    const parts = shown.map((k) => part(axis + 1, first + k * stride));
    if (shape[axis] > most) parts.splice(head, 0, '…');
    return `[${parts.join(axis === shape.length - 1 ? ', ' : `,\n${' '.repeat(axis + 1)}`)}]`;
  };
  return `${tensor}\n${part(0, 0)}`;
}
