import type { Shader } from '../src/common/shader.js';
import type { Pair } from '../src/common/shapes.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { declareSums, endBlock, finalSum, levelsOf } from './common/blocks.js';
import type { ChannelWidth } from './common/channel-walk.js';
import { axisTerms, type ConvShape, forwardAxis, slidingWindow } from './common/conv-geometry.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** The weight gradient of a depthwise convolution. */
export interface DepthwiseWeightGradient {
  shape: ConvShape;
  /** Adjacent channels of an invocation; divides the channels. */
  width: ChannelWidth;
  /** Taps [rows, columns] whose sums an invocation keeps. */
  block: Pair;
  /** Rows and columns of the output in a strip. */
  steps: number;
  pixels: number;
  /** Parts that the sum over all strips is split into; each writes its own array. */
  splitK: number;
}

/**
 * An invocation keeps the sums of a block of taps for `width` channels, and goes down the strips of its part. Each row of a
 * strip is loaded once, and the rows of the output (its gradient) whose windows later rows of the input are in stay in
 * registers: y{age}_{column}. At the edges of a strip, zeros replace outputs. Multiplied by a NaN or an infinity of the
 * input they would give NaN, so a sum that is not finite is made again product by product.
 *
 * Bindings: input, output, partial [splitK, kh, kw, 1, C] (written).
 */
export function depthwiseWeightGradientShader(gradient: DepthwiseWeightGradient): Shader {
  const { shape, width, block, steps, pixels, splitK } = gradient;
  const { batch, input, output, kernel, dilation, stride } = shape;
  const [blocksH, blocksW] = [Math.ceil(kernel[0] / block[0]), Math.ceil(kernel[1] / block[1])];
  const ofBlock = { ...shape, kernel: block };
  const { first, oldest, terms } = slidingWindow(forwardAxis(ofBlock, 0));
  const columnTerms = axisTerms(forwardAxis(ofBlock, 1), pixels);
  const inputRows = [...new Set(terms.map(({ row }) => row))];
  const inputColumns = [...new Set(columnTerms.map(({ source }) => source))];
  const [stripsH, stripsW] = [Math.ceil(output[0] / steps), Math.ceil(output[1] / pixels)];
  const stripsPerPart = Math.ceil((batch * stripsH * stripsW) / splitK);
  const levels = levelsOf(stripsPerPart * steps * pixels);
  // Columns that lie inside for all strips need no test, which saves 8 % of the time on lavapipe.
  const lastColumn = (stripsW - 1) * pixels;
  const lastInput = lastColumn * stride[1] + (blocksW - 1) * block[1] * dilation[1];
  const alwaysInput = (column: number): boolean => column >= 0 && lastInput + column < input[1];

  /** The products with the numbers x0, x1, … of an input row. */
  const products = (inputRow: number): string => {
    const ofRow = terms.filter(({ row }) => row === inputRow);
    return unroll(columnTerms.length, (k) =>
      unroll(ofRow.length, (l) => {
        const [across, down] = [columnTerms[k], ofRow[l]];
        const sum = `sum${down.tap}_${across.tap}`;
        return `${sum} = fma(x${inputColumns.indexOf(across.source)}, y${down.age}_${across.dest}, ${sum});`;
      }),
    );
  };

  const V = vectorType(width);
  return shader(
    { input: read(V), output: read(V), partial: write(V) },
    (declarations) => wgsl`
alias V = ${V}; // the adjacent channels of an invocation
${declarations}
const UNITS = ${shape.cin / width}; // of adjacent channels
const INPUT_H = ${input[0]};
const INPUT_W = ${input[1]};
const OUTPUT_H = ${output[0]};
const OUTPUT_W = ${output[1]};
const KERNEL_H = ${kernel[0]};
const KERNEL_W = ${kernel[1]};
const TAPS_H = ${block[0]}; // of an invocation
const TAPS_W = ${block[1]};
const BLOCKS_H = ${blocksH}; // of taps
const BLOCKS_W = ${blocksW};
const STRIP_STEPS = ${steps};
const STRIP_PIXELS = ${pixels};
const STRIPS_H = ${stripsH};
const STRIPS_W = ${stripsW};
const STRIPS = ${batch} * STRIPS_H * STRIPS_W;
const STRIPS_PER_PART = ${stripsPerPart};
const OLDEST = ${oldest}; // steps until the window has passed
${nonFiniteFunctions(width)}

/** The sum of a part for one tap, over the existing products only. */
fn sumOfProducts(part: i32, tapH: i32, tapW: i32, unit: i32) -> V {
  var total = V();
  // Not seen by the compiler, as below: SwiftShader would unroll the loops, for minutes and gigabytes.
  let products = select(0, STRIP_STEPS * STRIP_PIXELS, arrayLength(&output) > 0u);
  for (var strip = part * STRIPS_PER_PART; strip < min((part + 1) * STRIPS_PER_PART, STRIPS); strip++) {
    var sum = V();
    for (var k = 0; k < products; k++) {
      let n = strip / STRIPS_W / STRIPS_H;
      let outputH = strip / STRIPS_W % STRIPS_H * STRIP_STEPS + k / STRIP_PIXELS;
      let outputW = strip % STRIPS_W * STRIP_PIXELS + k % STRIP_PIXELS;
      let h = outputH * ${stride[0]} + tapH * ${dilation[0]} - ${shape.padding[0]};
      let w = outputW * ${stride[1]} + tapW * ${dilation[1]} - ${shape.padding[1]};
      if (outputH >= OUTPUT_H || outputW >= OUTPUT_W || h < 0 || h >= INPUT_H || w < 0 || w >= INPUT_W) { continue; }
      let at = ((n * OUTPUT_H + outputH) * OUTPUT_W + outputW) * UNITS + unit;
      sum = fma(input[((n * INPUT_H + h) * INPUT_W + w) * UNITS + unit], output[at], sum);
    }
    total += sum;
  }
  return total;
}

fn storeGradient(part: i32, h: i32, w: i32, unit: i32, value: V) {
  if ((h < KERNEL_H) & (w < KERNEL_W)) { partial[((part * KERNEL_H + h) * KERNEL_W + w) * UNITS + unit] = value; }
}

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32(${splitK} * BLOCKS_H * BLOCKS_W * UNITS)) { return; }
  let unit = i32(i) % UNITS;
  let tapW = i32(i) / UNITS % BLOCKS_W * TAPS_W;
  let tapH = i32(i) / UNITS / BLOCKS_W % BLOCKS_H * TAPS_H;
  let part = i32(i) / UNITS / BLOCKS_W / BLOCKS_H;
  ${declareSums(levels, block[0], block[1], 'V')}
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take seconds over the result.
  let most = i32(arrayLength(&output));
  let strip0 = part * STRIPS_PER_PART;
  let stripEnd = min(strip0 + STRIPS_PER_PART, min(STRIPS, most));
  for (var strip = strip0; strip < stripEnd; strip++) {
    let n = strip / STRIPS_W / STRIPS_H;
    let first = strip / STRIPS_W % STRIPS_H * STRIP_STEPS;
    let outputColumn = strip % STRIPS_W * STRIP_PIXELS;
    ${unroll(
      pixels,
      (c) => wgsl`
    let outputInside${c} = ${lastColumn + c < output[1]} || outputColumn + ${c} < OUTPUT_W;
    let outputAt${c} = min(outputColumn + ${c}, OUTPUT_W - 1) * UNITS + unit;
    ${unroll(oldest + 1, (age) => `var y${age}_${c} = V();`)}`,
    )}
    ${unroll(
      inputColumns.length,
      (x) => wgsl`
    let column${x} = outputColumn * ${stride[1]} + tapW * ${dilation[1]} + ${inputColumns[x]};
    let inside${x} = ${alwaysInput(inputColumns[x])} || (column${x} >= 0 && column${x} < INPUT_W);
    let at${x} = clamp(column${x}, 0, INPUT_W - 1) * UNITS + unit;`,
    )}
    let rows = min(min(STRIP_STEPS, OUTPUT_H - first), most);
    for (var step = 0; step < rows + OLDEST; step++) {
      let outputRow = (n * OUTPUT_H + min(first + step, OUTPUT_H - 1)) * OUTPUT_W * UNITS;
      ${unroll(pixels, (c) => `y0_${c} = select(V(), output[outputRow + outputAt${c}], step < rows && outputInside${c});`)}
      ${unroll(
        inputRows.length,
        (y) => wgsl`
      {
        let h = (first + step) * ${stride[0]} + tapH * ${dilation[0]} + ${first + inputRows[y]};
        let insideRow = h >= 0 && h < INPUT_H;
        let row = (n * INPUT_H + clamp(h, 0, INPUT_H - 1)) * INPUT_W * UNITS;
        ${unroll(inputColumns.length, (x) => `let x${x} = select(V(), input[row + at${x}], insideRow && inside${x});`)}
        ${products(inputRows[y])}
      }`,
      )}
      ${unroll(oldest, (k) => unroll(pixels, (c) => `y${oldest - k}_${c} = y${oldest - k - 1}_${c};`))}
    }
    ${endBlock(levels, block[0], block[1], 'strip - strip0', 'V')}
  }
  var finite = true; // summed up by &: Tint makes invalid SPIR-V of a long chain of &&
  ${unroll(block[0], (a) => unroll(block[1], (b) => `finite = finite & all(isFinite(${finalSum(levels, a, b)}));`))}
  if (!finite) {
    let taps = select(0, TAPS_H * TAPS_W, most > 0);
    for (var tap = 0; tap < taps; tap++) {
      let h = tapH + tap / TAPS_W;
      let w = tapW + tap % TAPS_W;
      storeGradient(part, h, w, unit, sumOfProducts(part, h, w, unit));
    }
    return;
  }
  ${unroll(block[0], (a) =>
    unroll(block[1], (b) => `storeGradient(part, tapH + ${a}, tapW + ${b}, unit, ${finalSum(levels, a, b)});`),
  )}
}`,
  );
}
