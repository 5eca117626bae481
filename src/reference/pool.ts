import type { Pool2dAttrs } from '../common/op-attrs.js';
import type { Shape } from '../common/shapes.js';
import { type NdArray, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

type Visit = (output: number, rows: readonly [number, number], columns: readonly [number, number], n: number) => void;

/** Calls `visit` for every output pixel with where its channels start, and its window inside the picture (ends exclusive). */
function forEachWindow(input: Shape, output: Shape, attrs: Pool2dAttrs, visit: Visit): void {
  const [batch, h, w, channels] = input;
  const [, ho, wo] = output;
  const [top, , left] = attrs.padding;
  const inside = (first: number, kernel: number, size: number): [number, number] => [
    Math.max(first, 0),
    Math.min(first + kernel, size),
  ];
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < ho; oy++) {
      const rows = inside(oy * attrs.stride[0] - top, attrs.kernel[0], h);
      for (let ox = 0; ox < wo; ox++) {
        const columns = inside(ox * attrs.stride[1] - left, attrs.kernel[1], w);
        visit(((n * ho + oy) * wo + ox) * channels, rows, columns, n);
      }
    }
  }
}

/** Calls `visit` for every output element with the element of x that wins: the first NaN, else the first of the largest. */
function forEachMaximum(
  x: NdArray,
  output: Shape,
  attrs: Pool2dAttrs,
  visit: (output: number, at: number) => void,
): void {
  const [, h, w, channels] = x.shape;
  forEachWindow(x.shape, output, attrs, (out, rows, columns, n) => {
    for (let c = 0; c < channels; c++) {
      let best = -1;
      for (let y = rows[0]; y < rows[1]; y++) {
        for (let col = columns[0]; col < columns[1]; col++) {
          const at = ((n * h + y) * w + col) * channels + c;
          const wins = x.data[at] > x.data[best] || Number.isNaN(x.data[at]);
          if (best < 0 || (wins && !Number.isNaN(x.data[best]))) best = at;
        }
      }
      visit(out + c, best);
    }
  });
}

export const maxPool2d: ReferenceRule<Pool2dAttrs> = {
  forward([x], attrs, shape) {
    const out = zeros(shape);
    forEachMaximum(x, shape, attrs, (i, at) => {
      out.data[i] = x.data[at];
    });
    return out;
  },
  backward([x], _output, dy, attrs) {
    const dx = zeros(x.shape);
    forEachMaximum(x, dy.shape, attrs, (i, at) => {
      dx.data[at] += dy.data[i];
    });
    return [dx];
  },
};

/** Calls `visit` for every pair of an output element and an element of x in its window, with one over the window's pixels. */
function forEachShare(
  input: Shape,
  output: Shape,
  attrs: Pool2dAttrs,
  visit: (output: number, at: number, share: number) => void,
): void {
  const [, h, w, channels] = input;
  forEachWindow(input, output, attrs, (out, rows, columns, n) => {
    const share = 1 / ((rows[1] - rows[0]) * (columns[1] - columns[0]));
    for (let y = rows[0]; y < rows[1]; y++) {
      for (let col = columns[0]; col < columns[1]; col++) {
        const first = ((n * h + y) * w + col) * channels;
        for (let c = 0; c < channels; c++) visit(out + c, first + c, share);
      }
    }
  });
}

export const avgPool2d: ReferenceRule<Pool2dAttrs> = {
  forward([x], attrs, shape) {
    const out = zeros(shape);
    forEachShare(x.shape, shape, attrs, (i, at, share) => {
      out.data[i] += x.data[at] * share;
    });
    return out;
  },
  backward([x], _output, dy, attrs) {
    const dx = zeros(x.shape);
    forEachShare(x.shape, dy.shape, attrs, (i, at, share) => {
      dx.data[at] += dy.data[i] * share;
    });
    return [dx];
  },
};
