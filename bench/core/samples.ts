import { CounterRandom } from '../../src/common/random.js';
import { sizeOf } from '../../src/common/shapes.js';
import type { ConvWork, MatmulWork, Work } from './work.js';

type Operands = readonly [ArrayLike<number>, ArrayLike<number>];

/** Source position of a tap, and back: where the taps of one axis of one convolution meet. */
const inputAt = ({ shape }: ConvWork, axis: 0 | 1, output: number, tap: number): number =>
  output * shape.stride[axis] - shape.padding[axis] + tap * shape.dilation[axis];

/** Index of (n, y, x, c) in a picture of this height, width and depth. */
const pixel = (n: number, y: number, x: number, c: number, [h, w]: readonly [number, number], depth: number): number =>
  ((n * h + y) * w + x) * depth + c;

/** Calls `visit` for each pair of positions of one axis that share a tap, with the tap. */
function forEachPair(work: ConvWork, axis: 0 | 1, visit: (output: number, input: number, tap: number) => void): void {
  const { output, input, kernel } = work.shape;
  for (let s = 0; s < output[axis]; s++) {
    for (let tap = 0; tap < kernel[axis]; tap++) {
      const b = inputAt(work, axis, s, tap);
      if (b >= 0 && b < input[axis]) visit(s, b, tap);
    }
  }
}

function indicesOf(element: number, shape: readonly number[]): number[] {
  const out: number[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    out.unshift(element % shape[axis]);
    element = Math.floor(element / shape[axis]);
  }
  return out;
}

function convElement(work: ConvWork, [first, second]: Operands, element: number): number {
  const { shape, result } = work;
  const { batch, input, output, cin, cout, groups, kernel } = shape;
  const groupIn = cin / groups;
  const groupOut = cout / groups;
  const weight = (ky: number, kx: number, i: number, o: number): number =>
    ((ky * kernel[1] + kx) * groupIn + i) * cout + o;
  const at = indicesOf(element, work.output);
  let sum = 0;
  if (result === 'weights') {
    const [ky, kx, i, o] = at;
    const c = Math.floor(o / groupOut) * groupIn + i;
    forEachPair(work, 0, (sy, by, tapY) => {
      if (tapY !== ky) return;
      forEachPair(work, 1, (sx, bx, tapX) => {
        if (tapX !== kx) return;
        for (let n = 0; n < batch; n++) {
          sum += first[pixel(n, by, bx, c, input, cin)] * second[pixel(n, sy, sx, o, output, cout)];
        }
      });
    });
    return sum;
  }
  const [n, y, x, c] = at;
  forEachPair(work, 0, (sy, by, ky) => {
    if ((result === 'output' ? sy : by) !== y) return;
    forEachPair(work, 1, (sx, bx, kx) => {
      if ((result === 'output' ? sx : bx) !== x) return;
      if (result === 'output') {
        const group = Math.floor(c / groupOut) * groupIn;
        for (let i = 0; i < groupIn; i++) {
          sum += first[pixel(n, by, bx, group + i, input, cin)] * second[weight(ky, kx, i, c)];
        }
      } else {
        const group = Math.floor(c / groupIn) * groupOut;
        for (let o = group; o < group + groupOut; o++) {
          sum += first[pixel(n, sy, sx, o, output, cout)] * second[weight(ky, kx, c % groupIn, o)];
        }
      }
    });
  });
  return sum;
}

function matmulElement(work: MatmulWork, [a, b]: Operands, element: number): number {
  const [m, n] = work.output;
  const k = work.sumLength;
  const [row, column] = indicesOf(element, work.output);
  let sum = 0;
  for (let i = 0; i < k; i++) {
    sum += a[work.transposeA ? i * m + row : row * k + i] * b[work.transposeB ? column * k + i : i * n + column];
  }
  return sum;
}

/** One element of the result in float64. */
export function referenceElement(work: Work, operands: Operands, element: number): number {
  return work.type === 'matmul' ? matmulElement(work, operands, element) : convElement(work, operands, element);
}

/** A few elements of the result, spread at random over it, the same in each run, in float64. */
export function referenceSamples(work: Work, operands: Operands, count = 64): Map<number, number> {
  const source = new CounterRandom(3);
  const size = sizeOf(work.output);
  const samples = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const element = Math.min(size - 1, Math.floor(source.uniform() * size));
    if (!samples.has(element)) samples.set(element, referenceElement(work, operands, element));
  }
  return samples;
}

/** Largest error that float32 sums of this length may have, for results as large as `largest`. */
export function tolerance(work: Work, largest: number): number {
  return 2 ** -24 * (32 + 2 * work.sumLength) * largest;
}

/**
 * What is wrong with a result, in words, or null. All of its values must be finite, and the sampled ones right.
 */
export function wrongness(work: Work, values: Float32Array, samples: ReadonlyMap<number, number>): string | null {
  const size = sizeOf(work.output);
  if (values.length !== size) return `${values.length} values in place of ${size}`;
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) return `value ${bad} is ${values[bad]}`;
  const largest = Math.max(...[...samples.values()].map(Math.abs));
  const allowed = tolerance(work, largest);
  const wrong = [...samples].filter(([element, expected]) => !(Math.abs(values[element] - expected) <= allowed));
  if (wrong.length === 0) return null;
  const [element, expected] = wrong[0];
  return `${wrong.length} of ${samples.size} sampled values are wrong, such as ${values[element]} in place of ${expected}`;
}
