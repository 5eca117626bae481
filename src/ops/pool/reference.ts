import type { Shape } from '../../common/shapes.js';
import { type NdArray, zeros } from '../../reference/ndarray.js';
import type { ReferenceRule } from '../../reference/reference-op.js';
import type { AvgPoolAttrs, PoolAttrs } from './pool.js';

/**
 * Calls `visit` for every output element with the elements of x in its window, in row-major order, and with what a mean of
 * the window divides by.
 */
function forEachWindow(
  { shape: input }: NdArray,
  output: Shape,
  attrs: AvgPoolAttrs,
  visit: (output: number, elements: number[], count: number) => void,
): void {
  const { kernel, stride, padding, dilation = kernel.map(() => 1), countIncludePad, sum } = attrs;
  const channels = input[input.length - 1];
  let out = 0;
  /** Goes on along `axis` with the pixels that the window has along the axes before it. */
  const along = (axis: number, pixels: number[], count: number): void => {
    if (axis === kernel.length) {
      for (let c = 0; c < channels; c++) {
        visit(
          out++,
          pixels.map((pixel) => pixel * channels + c),
          sum ? 1 : countIncludePad ? count : pixels.length,
        );
      }
      return;
    }
    const size = input[1 + axis];
    for (let window = 0; window < output[1 + axis]; window++) {
      const taps = Array.from(
        { length: kernel[axis] },
        (_, k) => window * stride[axis] - padding[2 * axis] + k * dilation[axis],
      );
      const inside = taps.filter((tap) => tap >= 0 && tap < size);
      const counted = taps.filter((tap) => tap < size + padding[2 * axis + 1]);
      along(
        axis + 1,
        pixels.flatMap((pixel) => inside.map((tap) => pixel * size + tap)),
        count * counted.length,
      );
    }
  };
  for (let n = 0; n < input[0]; n++) along(0, [n], 1);
}

/** Which element of a window wins: the first NaN, else the first of the largest. */
function winnerOf(x: NdArray, elements: number[]): number {
  const nan = elements.find((at) => Number.isNaN(x.data[at]));
  return nan ?? elements.reduce((best, at) => (x.data[at] > x.data[best] ? at : best));
}

export const maxPoolReference: ReferenceRule<PoolAttrs> = {
  forward([x], attrs, shape) {
    const out = zeros(shape);
    forEachWindow(x, shape, attrs, (i, elements) => {
      out.data[i] = x.data[winnerOf(x, elements)];
    });
    return out;
  },
  backward([x], _output, dy, attrs) {
    const dx = zeros(x.shape);
    forEachWindow(x, dy.shape, attrs, (i, elements) => {
      dx.data[winnerOf(x, elements)] += dy.data[i];
    });
    return [dx];
  },
};

export const avgPoolReference: ReferenceRule<AvgPoolAttrs> = {
  forward([x], attrs, shape) {
    const out = zeros(shape);
    forEachWindow(x, shape, attrs, (i, elements, count) => {
      for (const at of elements) out.data[i] += x.data[at] / count;
    });
    return out;
  },
  backward([x], _output, dy, attrs) {
    const dx = zeros(x.shape);
    forEachWindow(x, dy.shape, attrs, (i, elements, count) => {
      for (const at of elements) dx.data[at] += dy.data[i] / count;
    });
    return [dx];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const poolReferences = {
  maxPool2d: maxPoolReference,
  avgPool2d: avgPoolReference,
  maxPool: maxPoolReference,
  avgPool: avgPoolReference,
};
