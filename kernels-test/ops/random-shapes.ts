import { CounterRandom } from '../../src/common/random.js';
import type { ConvVariant } from '../../src/ops/conv/choose.js';
import { conv2dOp, convTranspose2dOp } from '../../src/ops/conv/conv.js';
import type { Conv2dAttrs } from '../../src/ops/conv/shape.js';
import { matmulOp } from '../../src/ops/matmul/matmul.js';
import type { MatmulVariant } from '../../src/ops/matmul/plan.js';
import { checkOp, gpuSuite, testGpu } from '../helpers/harness.js';
import { THOROUGH } from '../helpers/thorough.js';

class Draw {
  readonly #random: CounterRandom;
  constructor(k: number) {
    this.#random = new CounterRandom(20261124, k);
  }
  /** An integer from low to high, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.#random.uniform() * (high - low + 1));
  }
  of<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)];
  }
}

/** A number of channels, mostly small and odd, sometimes whole tiles. */
const channels = (draw: Draw): number => draw.of([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16, 17, 20, 32, 33]);

function convAttrs(draw: Draw): Conv2dAttrs {
  const size = (low: number, high: number) => [draw.integer(low, high), draw.integer(low, high)] as const;
  return {
    stride: draw.of([[1, 1], [2, 2], size(1, 3)] as const),
    padding: draw.of([
      [0, 0, 0, 0],
      [1, 1, 1, 1],
      [draw.integer(0, 3), draw.integer(0, 3), draw.integer(0, 3), draw.integer(0, 3)],
    ] as const),
    dilation: draw.of([[1, 1], [1, 1], size(1, 2)] as const),
    groups: 1,
  };
}

/** A number of pixels along an axis that is enough for at least one window. */
const extent = (draw: Draw, kernel: number, dilation: number, padding: number): number =>
  Math.max(1, dilation * (kernel - 1) + 1 - padding) + draw.integer(0, 7);

const CONVS: readonly (ConvVariant | undefined)[] = ['naive', 'register', 'tiled', 'register', 'blocks', undefined];
const MATMULS: readonly (MatmulVariant | undefined)[] = ['naive', 'register', 'tiled', undefined];

async function checkConv(draw: Draw, transposed: boolean): Promise<void> {
  const attrs = convAttrs(draw);
  const kernel = [draw.integer(1, 4), draw.integer(1, 4)];
  const depthwise = draw.integer(0, 3) === 0;
  const cin = channels(draw);
  const cout = depthwise ? cin : channels(draw);
  const groups = depthwise ? cin : 1;
  const [top, bottom, left, right] = attrs.padding;
  const batch = draw.integer(1, 3);
  const variant = draw.of(CONVS);
  const bias = draw.of([true, false]);
  // The sums of a pass, or over the pixels of a batch, have at most this many terms.
  const sumLength = kernel[0] * kernel[1] * Math.max(cin, cout) + batch * 40 * 40;
  if (transposed) {
    // The output must not be empty: (H − 1)·stride + dilation·(k − 1) + 1 > padding.
    const x = [batch, draw.integer(3, 7), draw.integer(3, 7), cin];
    const shrink = [top + bottom, left + right].map((sum, k) => sum >= 2 * attrs.stride[k] + kernel[k]);
    const padding = shrink.includes(true) ? ([0, 0, 0, 0] as const) : attrs.padding;
    const inputs = [x, [...kernel, cout / groups, cin], ...(bias ? [[cout]] : [])];
    const full = { ...attrs, padding, groups, outputPadding: [0, 0] as const };
    const implementation = convTranspose2dOp({ variant });
    await checkOp({ op: 'convTranspose2d', attrs: full, inputs, sumLength, implementation });
    return;
  }
  const h = extent(draw, kernel[0], attrs.dilation[0], top + bottom);
  const w = extent(draw, kernel[1], attrs.dilation[1], left + right);
  const inputs = [[batch, h, w, cin], [...kernel, cin / groups, cout], ...(bias ? [[cout]] : [])];
  await checkOp({
    op: 'conv2d',
    attrs: { ...attrs, groups },
    inputs,
    sumLength,
    implementation: conv2dOp({ variant }),
  });
}

async function checkMatmul(draw: Draw): Promise<void> {
  const [m, n, k] = [draw.integer(1, 70), draw.integer(1, 70), draw.integer(1, 130)];
  const [transposeA, transposeB] = [draw.of([true, false]), draw.of([true, false])];
  await checkOp({
    op: 'matmul',
    attrs: { transposeA, transposeB },
    inputs: [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]],
    sumLength: Math.max(m, n, k),
    implementation: matmulOp({ variant: draw.of(MATMULS) }),
  });
}

async function checkColumns(draw: Draw): Promise<void> {
  const shape = [draw.integer(2, 5), draw.integer(1, 20), draw.integer(1, 20), channels(draw)];
  const perChannel = shape.slice(-1);
  const rows = shape[0] * shape[1] * shape[2];
  if (draw.of([true, false])) {
    const slope = draw.of([[1], perChannel]);
    await checkOp({ op: 'prelu', attrs: {}, inputs: [shape, slope], sumLength: rows * perChannel[0] });
  } else {
    const inputs = [shape, perChannel, perChannel];
    // The gradient divides by a deviation near 1, and its terms cancel.
    await checkOp({ op: 'batchNormTraining', attrs: { eps: 1e-5 }, inputs, sumLength: 4 * rows, scale: 4 });
  }
}

const FAMILIES: [name: string, share: number, check: (draw: Draw) => Promise<void>][] = [
  ['conv2d', 4, (draw) => checkConv(draw, false)],
  ['convTranspose2d', 3, (draw) => checkConv(draw, true)],
  ['matmul', 2, checkMatmul],
  ['batch norm and PReLU', 1, checkColumns],
];
const PATTERN = FAMILIES.flatMap(([name, share]) => Array<string>(share).fill(name));

/**
 * Tests a property: for any shape, every kernel agrees with float64, forward and backward. The shapes are drawn from
 * a seed; case k depends on k alone, so that one that fails can be run by itself, with CAMEO_RANDOM_SHAPES=FIRST:COUNT.
 * Kernels are specialised to their shape, and LLVM takes about ten times as long over one as SwiftShader's compiler, so
 * lavapipe gets a tenth of them. Without --thorough, both get two in ten of their share.
 */
export async function testRandomShapes(first: number, count: number): Promise<void> {
  const test = gpuSuite('random shapes');
  const lavapipe = (await testGpu()).description.kind === 'lavapipe';
  const share = (THOROUGH ? 1 : 0.2) * (lavapipe ? 0.1 : 1);
  const wanted = process.env.CAMEO_RANDOM_SHAPES ?? `${first}:${share * count}`;
  const [from, number] = wanted.split(':').map(Number);
  for (const [name, , check] of FAMILIES) {
    const cases = Array.from({ length: number }, (_, k) => from + k).filter((k) => PATTERN[k % 10] === name);
    test(`${cases.length} shapes of ${name}`, async () => {
      for (const k of cases) {
        try {
          await check(new Draw(k));
        } catch (error) {
          throw new Error(`case ${k}: ${(error as Error).message}`, { cause: error });
        }
      }
    });
  }
  test.run();
}
