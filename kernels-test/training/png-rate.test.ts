import * as assert from 'uvu/assert';
import { latentsFromSymbols } from '../../src/codec/latents.js';
import { packLatentsPng } from '../../src/codec/png/container.js';
import { ArgumentError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { PNG_FIT, PngRate } from '../../src/training/png-rate.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('rate of PNG');

const MAGNITUDES = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 127];
const KNOTS = [
  ...MAGNITUDES.slice(1)
    .reverse()
    .map((value) => -value),
  ...MAGNITUDES,
];
const ZERO = MAGNITUDES.length - 1;
const RUN = 5;

/** The weight of each knot for a value: linear between two neighbouring knots. */
function shareOf(value: number): Float64Array {
  const shares = new Float64Array(KNOTS.length);
  const clamped = Math.min(127, Math.max(-127, value));
  let k = 0;
  while (k < KNOTS.length - 2 && KNOTS[k + 1] <= clamped) k++;
  const part = (clamped - KNOTS[k]) / (KNOTS[k + 1] - KNOTS[k]);
  shares[k] = 1 - part;
  shares[k + 1] = part;
  return shares;
}

function roundEven(value: number): number {
  const down = Math.floor(value);
  if (value - down === 0.5) return down % 2 === 0 ? down : down + 1;
  return Math.round(value);
}

/** The estimate in float64, one symbol after the other. @param values channel after channel */
function estimate(values: readonly number[], rounded: readonly number[]) {
  const use = (all: readonly number[]) => {
    const shares = all.map(shareOf);
    const zeros = shares.map((own) => own[ZERO]);
    const inRun = zeros.map((_, i) =>
      Array.from({ length: RUN }, (_, k) => zeros[i - 1 - k] ?? 0).reduce((product, zero) => product * zero, 1),
    );
    return { shares, zeros, inRun };
  };
  const hard = use(rounded);
  const counts = KNOTS.map((_, k) => hard.shares.reduce((total, own) => total + own[k], 0));
  counts[ZERO] -= hard.zeros.reduce((total, zero, i) => total + zero * hard.inRun[i], 0);
  const total = counts.reduce((a, b) => a + b, 0);
  const prices = counts.map((count, k) => {
    const below = k > 0 ? KNOTS[k] - KNOTS[k - 1] : 1;
    const above = k + 1 < KNOTS.length ? KNOTS[k + 1] - KNOTS[k] : 1;
    return Math.max(1, Math.log2(total / Math.max(count, 0.5)) + Math.log2((below + above) / 2));
  });
  const { shares, zeros, inRun } = use(values);
  let [literals, runs] = [0, 0];
  shares.forEach((own, i) => {
    own.forEach((share, k) => {
      literals += share * prices[k];
    });
    literals -= zeros[i] * inRun[i] * prices[ZERO];
    runs += inRun[i] * (1 - zeros[i]);
  });
  runs += inRun.at(-1)! * zeros.at(-1)!;
  return { literals, runs, bits: PNG_FIT.literals * literals + PNG_FIT.runs * runs + PNG_FIT.rest };
}

/** Values of one face in NHWC order, and the same channel after channel. */
function faceOf(random: CounterRandom, [h, w, c]: readonly number[], spread: (channel: number) => number) {
  const data = Float32Array.from({ length: h * w * c }, (_, i) => {
    const uniform = random.uniform() - 0.5;
    return -spread(i % c) * Math.sign(uniform) * Math.log(1 - 2 * Math.abs(uniform));
  });
  const planes = Array.from({ length: h * w * c }, (_, i) => data[(i % (h * w)) * c + Math.floor(i / (h * w))]);
  return { data, planes };
}

const close = (actual: number, expected: number, tolerance: number, what: string): void =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected}`);

test('estimate and gradient agree with float64, over odd shapes', async () => {
  const gpu = await testGpu();
  const rate = new PngRate(gpu);
  const random = new CounterRandom(11);
  for (const shape of [
    [1, 1, 1],
    [3, 5, 2],
    [7, 6, 5],
  ] as const) {
    const faces = [0.4, 4].map((spread) => faceOf(random, shape, (channel) => spread / (1 + channel)));
    const all = Float32Array.from(faces.flatMap(({ data }) => [...data]));
    const [bits, loss, dx] = scope(gpu, () => {
      const x = Tensor.from(gpu, all, [2, ...shape]);
      const tape = new Tape();
      const { bits, loss } = tape.record(() => rate.bits(x));
      return [bits, loss, tape.gradients(loss, [x]).get(x)!];
    });
    const [found, [sum], gradient] = [await bits.read(), await loss.read(), await dx.read()];
    for (const tensor of [bits, loss, dx]) tensor.dispose();
    const expected = faces.map(({ planes }) => {
      const rounded = planes.map(roundEven);
      return { own: estimate(planes, rounded), hard: estimate(rounded, rounded) };
    });
    expected.forEach(({ hard }, n) => {
      close(found[n], hard.bits, 1e-4 * hard.bits, `bits of face ${n} of [${shape}]`);
    });
    const total = expected.reduce((bits, { own }) => bits + own.bits, 0);
    close(sum, total, 1e-4 * total, `loss of [${shape}]`);
    const [h, w, c] = shape;
    faces.forEach(({ planes }, n) => {
      const rounded = planes.map(roundEven);
      for (let i = 0; i < planes.length; i++) {
        const near = Math.min(...KNOTS.map((knot) => Math.abs(planes[i] - knot)));
        if (near < 2e-3) continue; // the slope changes at a knot
        const shifted = (by: number): number => {
          const moved = [...planes];
          moved[i] += by;
          return estimate(moved, rounded).bits;
        };
        const slope = (shifted(1e-4) - shifted(-1e-4)) / 2e-4;
        const at = n * h * w * c + (i % (h * w)) * c + Math.floor(i / (h * w));
        close(gradient[at], slope, 1e-3 * (1 + Math.abs(slope)), `gradient ${i} of face ${n} of [${shape}]`);
      }
    });
  }
  rate.dispose();
});

test('the estimate follows the sizes of real files', async () => {
  const gpu = await testGpu();
  const rate = new PngRate(gpu);
  const random = new CounterRandom(3);
  const shape = [7, 6, 24] as const;
  for (const spread of [1, 3, 8]) {
    const faces = Array.from({ length: 6 }, () => faceOf(random, shape, (channel) => spread * 0.88 ** channel));
    const symbols = faces.map(({ data }) => data.map(roundEven));
    const all = Float32Array.from(symbols.flatMap((own) => [...own]));
    const estimated = scope(gpu, () => rate.bits(Tensor.from(gpu, all, [6, ...shape])).bits);
    const bits = await estimated.read();
    estimated.dispose();
    const files = symbols.map((own) =>
      packLatentsPng(latentsFromSymbols(own, ...shape), { modelId: '00000000', rate: 0 }),
    );
    // PNG, zlib, and the block of the header.
    const frame = 57 + 6 + 7;
    const mean = (all: ArrayLike<number>): number => Array.from(all).reduce((a, b) => a + b, 0) / all.length;
    const [guessed, real] = [mean(bits) / 8 + frame, mean(files.map(({ length }) => length))];
    close(guessed, real, 0.06 * real, `spread ${spread}`);
  }
  rate.dispose();
});

test('values of another rank are refused', async () => {
  const gpu = await testGpu();
  const rate = new PngRate(gpu);
  const x = Tensor.zeros(gpu, [4, 6]);
  const { message } = await rejection(async () => rate.bits(x), ArgumentError);
  x.dispose();
  assert.match(message, /shape \[4,6\]; expected \[N,h,w,C\]/);
  rate.dispose();
});

test.run();
