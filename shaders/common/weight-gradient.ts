import type { Precision } from '../../src/common/precision.js';
import { type Bindings, read, vectorType, write } from './bindings.js';
import { roundedVector, storedVector } from './operand.js';
import { wgsl } from './wgsl.js';

/** The weight gradient of a convolution, on an `input` that is padded so that no read needs a test. */
export interface WeightGradient {
  batch: number;
  kernel: readonly [number, number];
  stride: readonly [number, number];
  dilation: readonly [number, number];
  /**
   * Padded input: size, channels (a multiple of 4), where tap (0, 0) of output (0, 0) reads it, and how it is stored: in
   * `precision`, or as f32 to be rounded where it is read.
   */
  input: {
    height: number;
    width: number;
    channels: number;
    firstRow: number;
    firstColumn: number;
    stored: Precision;
  };
  /** Output (its gradient): size and channels in memory (a multiple of 4), and how it is stored. */
  output: { height: number; width: number; channels: number; stored: Precision };
  cin: number;
  cout: number;
  /** Parts that the sum over the pixels is split into; each writes its own array. */
  splitK: number;
  /** What both pictures are rounded to. */
  precision: Precision;
}

/** What the dense weight gradients bind: input, output (its gradient), partial [splitK, kh, kw, Cin, Cout]. */
export function weightGradientBindings({ input, output, cout }: WeightGradient): Bindings {
  return {
    input: read(storedVector(input.stored)),
    output: read(storedVector(output.stored)),
    partial: write(vectorType(cout % 4 === 0 ? 4 : 1)),
  };
}

/** WGSL that the dense weight gradients share: sizes, and where taps and pixels lie in the input. */
export function weightGradientHead(g: WeightGradient): string {
  return wgsl`
const INPUT_HEIGHT = ${g.input.height};
const INPUT_WIDTH = ${g.input.width};
const INPUT_VECS = ${g.input.channels / 4}; // vectors of 4 channels
const OUTPUT_HEIGHT = ${g.output.height};
const OUTPUT_WIDTH = ${g.output.width};
const OUTPUT_VECS = ${g.output.channels / 4};
const ROWS = ${g.batch} * OUTPUT_HEIGHT; // rows of pixels of all pictures
const CIN = ${g.cin};
const COUT = ${g.cout};
const KERNEL_WIDTH = ${g.kernel[1]};
const TAPS = ${g.kernel[0]} * KERNEL_WIDTH;
const STRIDE_H = ${g.stride[0]};
const STRIDE_W = ${g.stride[1]};
const SPLIT_K = ${g.splitK};

fn loadInput(at: i32) -> vec4f { return ${roundedVector('input[at]', g.input.stored, g.precision)}; }
fn loadOutput(at: i32) -> vec4f { return ${roundedVector('output[at]', g.output.stored, g.precision)}; }

/** How far into the input a tap of output (0, 0) reaches, in vectors. */
fn tapOffset(tap: i32) -> i32 {
  let row = ${g.input.firstRow} + tap / KERNEL_WIDTH * ${g.dilation[0]};
  let column = ${g.input.firstColumn} + tap % KERNEL_WIDTH * ${g.dilation[1]};
  return (row * INPUT_WIDTH + column) * INPUT_VECS;
}

/** Where the window of output (h, w) of picture n begins in the input, before its taps. */
fn windowStart(n: i32, h: i32, w: i32) -> i32 {
  return ((n * INPUT_HEIGHT + h * STRIDE_H) * INPUT_WIDTH + w * STRIDE_W) * INPUT_VECS;
}

/** Stores the gradients of the weights of a tap and an input channel, for the 4 output channels from 4·vec on. */
fn storeGradients(part: u32, tap: i32, ci: i32, vec: i32, value: vec4f) {
  if (tap >= TAPS || ci >= CIN) { return; }
  let at = ((i32(part) * TAPS + tap) * CIN + ci) * COUT;
#if ${g.cout % 4 === 0}
  if (vec < OUTPUT_VECS) { partial[at / 4 + vec] = value; }
#else
  for (var k = 0; k < 4; k++) {
    if (4 * vec + k < COUT) { partial[at + 4 * vec + k] = value[k]; }
  }
#endif
}`;
}

/** WGSL of the tiles that a workgroup multiplies: where the row vectors of its tile lie, from the first tap's first channel. */
export const weightGradientTileHead = `
const PIXELS = ROWS * OUTPUT_WIDTH;
const PIXELS_PER_PART = (PIXELS + SPLIT_K - 1) / SPLIT_K;
var<workgroup> rowOffset: array<i32, ROW_VECS>;

fn offsetOfRow(rowVec: i32) -> i32 {
  let m = min(rowVec, TAPS * INPUT_VECS - 1);
  return tapOffset(m / INPUT_VECS) + m % INPUT_VECS;
}

fn windowOf(pixel: i32) -> i32 {
  return windowStart(pixel / OUTPUT_WIDTH / OUTPUT_HEIGHT, pixel / OUTPUT_WIDTH % OUTPUT_HEIGHT, pixel % OUTPUT_WIDTH);
}`;
