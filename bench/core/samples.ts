import { CounterRandom } from '../../src/common/random.js';
import { sizeOf } from '../../src/common/shapes.js';
import type { ConvWork, MatmulWork, Work } from './work.js';

type Operands = readonly [ArrayLike<number>, ArrayLike<number>];

/** The input position, on one axis, that a tap of an output position reads. It may be outside the picture. */
const inputAt = ({ shape }: ConvWork, axis: 0 | 1, output: number, tap: number): number =>
  output * shape.stride[axis] - shape.padding[axis] + tap * shape.dilation[axis];

/** Index of element (n, y, x, c) in a batch of pictures of this height, width and number of channels. */
const pixel = (n: number, y: number, x: number, c: number, [h, w]: readonly [number, number], depth: number): number =>
  ((n * h + y) * w + x) * depth + c;

/** Calls `visit` for each output position, input position and tap of one axis that belong together. */
function forEachPair(work: ConvWork, axis: 0 | 1, visit: (output: number, input: number, tap: number) => void): void {
  const { output, input, kernel } = work.shape;
  for (let at = 0; at < output[axis]; at++) {
    for (let tap = 0; tap < kernel[axis]; tap++) {
      const position = inputAt(work, axis, at, tap);
      if (position >= 0 && position < input[axis]) visit(at, position, tap);
    }
  }
}

/** The index on each axis of an element in row-major order. */
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
    forEachPair(work, 0, (outY, inY, tapY) => {
      if (tapY !== ky) return;
      forEachPair(work, 1, (outX, inX, tapX) => {
        if (tapX !== kx) return;
        for (let n = 0; n < batch; n++) {
          sum += first[pixel(n, inY, inX, c, input, cin)] * second[pixel(n, outY, outX, o, output, cout)];
        }
      });
    });
    return sum;
  }
  const [n, y, x, c] = at;
  forEachPair(work, 0, (outY, inY, ky) => {
    if ((result === 'output' ? outY : inY) !== y) return;
    forEachPair(work, 1, (outX, inX, kx) => {
      if ((result === 'output' ? outX : inX) !== x) return;
      if (result === 'output') {
        const group = Math.floor(c / groupOut) * groupIn;
        for (let i = 0; i < groupIn; i++) {
          sum += first[pixel(n, inY, inX, group + i, input, cin)] * second[weight(ky, kx, i, c)];
        }
      } else {
        const group = Math.floor(c / groupIn) * groupOut;
        for (let o = group; o < group + groupOut; o++) {
          sum += first[pixel(n, outY, outX, o, output, cout)] * second[weight(ky, kx, c % groupIn, o)];
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

/** One element of the result, computed in float64. */
export function referenceElement(work: Work, operands: Operands, element: number): number {
  return work.type === 'matmul' ? matmulElement(work, operands, element) : convElement(work, operands, element);
}

/** Elements of the result at random places, computed in float64, by index. The places are the same in each run. */
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

/** What is wrong with a result, in words, or null: all values must be finite, and the sampled ones within the tolerance. */
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
