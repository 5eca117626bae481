import type { Precision } from '../../src/common/precision.js';
import { type Bindings, read, vectorType, write } from './bindings.js';
import { type AxisPhase, type AxisPlan, axisSteps, type Blocks } from './conv-geometry.js';
import { type Epilogue, epilogueArray, epilogueFunctions } from './epilogue.js';
import { roundedVector, storedVector } from './operand.js';
import { unroll } from './unroll.js';
import { wgsl } from './wgsl.js';

/** A gather convolution on a source that is padded, so that no read needs a test. */
export interface GatherConv {
  batch: number;
  vertical: AxisPlan;
  horizontal: AxisPlan;
  /**
   * Padded source: [H, W] and channels (a multiple of 4), the zeros before its first row and column, and how it is stored:
   * in `precision`, or as f32 to be rounded where it is read.
   */
  source: { height: number; width: number; channels: number; top: number; left: number; stored: Precision };
  dest: { height: number; width: number; channels: number };
  /** Where a dest pixel is a block of pixels of the picture that is stored. */
  blocks?: Blocks;
  /** Columns of the weight array's tap grid. */
  kernelWidth: number;
  /**
   * How the weights lie: [taps, source channels, dest channels padded to 4], or transposed, [taps, dest channels, source
   * channels], which an input gradient reads as they are.
   */
  transposed: boolean;
  epilogue: Epilogue;
  /** What the operands are rounded to; the weights are stored so. */
  precision: Precision;
}

const phaseText = ({ start, count, firstTap, taps, firstOffset }: AxisPhase, before: number): string =>
  `Phase(${start}, ${count}, ${firstTap}, ${taps}, ${firstOffset + before}),`;

/** Channels of the picture that is stored. */
const storedChannels = ({ dest, blocks }: Pick<GatherConv, 'dest' | 'blocks'>): number =>
  blocks ? blocks.picture[2] : dest.channels;

/** What the dense gathers bind: source, weights, what the epilogue needs, dest. */
export function gatherBindings({ source, dest, blocks, epilogue, precision }: GatherConv): Bindings {
  const channels = storedChannels({ dest, blocks });
  return {
    source: read(storedVector(source.stored)),
    weights: read(storedVector(precision)),
    epilogue: epilogueArray(epilogue, channels, 4),
    dest: write(vectorType(channels % 4 === 0 && !blocks ? 4 : 1)),
  };
}

/** WGSL that the dense gathers share: sizes, phases, and where pixels are loaded from and stored to. */
export function gatherHead(conv: GatherConv): string {
  const { vertical, horizontal, source, dest, epilogue } = conv;
  return wgsl`
const SOURCE_HEIGHT = ${source.height};
const SOURCE_WIDTH = ${source.width};
const SOURCE_VECS = ${source.channels / 4}; // vectors of 4 channels
const DEST_HEIGHT = ${dest.height};
const DEST_WIDTH = ${dest.width};
const DEST_CHANNELS = ${dest.channels};
const DEST_VECS = ${Math.ceil(dest.channels / 4)};
const KERNEL_WIDTH = ${conv.kernelWidth};
const SOURCE_STRIDE_H = ${vertical.sourceStride};
const SOURCE_STRIDE_W = ${horizontal.sourceStride};
const DEST_STRIDE_H = ${vertical.destStride};
const DEST_STRIDE_W = ${horizontal.destStride};
const STEPS_H = ${axisSteps(vertical)}; // dest rows of a phase; the last phases may have one less
const STEPS_W = ${axisSteps(horizontal)};
const POSITIONS = ${conv.batch} * STEPS_H * STEPS_W; // dest pixels of a phase

${epilogueFunctions(epilogue, storedChannels(conv), 4)}

/** The dest positions stride·step + start (step < count) of one axis, which use the same taps: see AxisPhase. */
struct Phase { start: i32, count: i32, firstTap: i32, taps: i32, firstOffset: i32 }
const PHASES_H = array(${unroll(vertical.phases.length, (k) => phaseText(vertical.phases[k], source.top))});
const PHASES_W = array(${unroll(horizontal.phases.length, (k) => phaseText(horizontal.phases[k], source.left))});
const PHASES_ACROSS = ${horizontal.phases.length};

/** Where tap (i, j) of a phase stands in the kernel. */
fn tapIndex(h: Phase, w: Phase, i: i32, j: i32) -> i32 {
  return (h.firstTap + i * ${vertical.tapStride}) * KERNEL_WIDTH + w.firstTap + j * ${horizontal.tapStride};
}

/** How far into the source tap (i, j) reaches from where a position begins, in vectors. */
fn tapOffset(h: Phase, w: Phase, i: i32, j: i32) -> i32 {
  let row = h.firstOffset + i * ${vertical.offsetStride};
  return (row * SOURCE_WIDTH + w.firstOffset + j * ${horizontal.offsetStride}) * SOURCE_VECS;
}

/** Where the window of the position at step (h, w) of picture n begins in the source, before its taps. */
fn windowStart(n: i32, h: i32, w: i32) -> i32 {
  return ((n * SOURCE_HEIGHT + h * SOURCE_STRIDE_H) * SOURCE_WIDTH + w * SOURCE_STRIDE_W) * SOURCE_VECS;
}

fn loadSource(at: i32) -> vec4f { return ${roundedVector('source[at]', source.stored, conv.precision)}; }

${conv.blocks ? storeBlocks(conv.blocks) : storePixels(dest.channels % 4 === 0)}`;
}

/** WGSL that stores dest pixels as they are. */
const storePixels = (wholeVectors: boolean): string => wgsl`
/** Where the dest pixel at step (h, w) of picture n begins, in elements of dest. */
fn destStart(n: i32, h: i32, w: i32) -> i32 {
  let pixel = (n * DEST_HEIGHT + h) * DEST_WIDTH + w;
  return pixel * ${wholeVectors ? 'DEST_VECS' : 'DEST_CHANNELS'};
}

/** Stores the 4 channels from 4·vec on of the pixel that begins at \`start\`. */
fn storeDest(start: i32, vec: i32, value: vec4f) {
#if ${wholeVectors}
  if (vec < DEST_VECS) { dest[start + vec] = value; }
#else
  for (var k = 0; k < 4; k++) {
    if (4 * vec + k < DEST_CHANNELS) { dest[start + 4 * vec + k] = value[k]; }
  }
#endif
}`;

/** WGSL that stores dest pixels as blocks of a picture, as far as they lie within it. */
function storeBlocks({ stride, before, picture: [height, width, channels] }: Blocks): string {
  return wgsl`
/** A block of picture n: where the picture begins in dest, the block's first row, and its first element in a row. */
struct Block { start: i32, top: i32, left: i32 }
const ROW = ${width * channels}; // elements of a row of the picture, and of a block
const BLOCK_ROW = ${stride[1] * channels};

fn destStart(n: i32, h: i32, w: i32) -> Block {
  return Block(n * ${height} * ROW, h * ${stride[0]} - ${before[0]}, w * BLOCK_ROW - ${before[1] * channels});
}

fn storeDest(block: Block, vec: i32, value: vec4f) {
  ${unroll(
    4,
    (k) => wgsl`{
    let channel = 4 * vec + ${k};
    let row = block.top + channel / BLOCK_ROW;
    let at = block.left + channel % BLOCK_ROW;
    if (channel < DEST_CHANNELS && row >= 0 && row < ${height} && at >= 0 && at < ROW) {
      dest[block.start + row * ROW + at] = value[${k}];
    }
  }`,
  )}
}`;
}

/**
 * WGSL for kernels that take the dest pixels of a phase as one axis: where the window of a position begins, and storing
 * there. Positions past the last one repeat it, and are not stored.
 */
export const gatherPositions = `
fn windowOf(position: i32) -> i32 {
  let p = min(position, POSITIONS - 1);
  return windowStart(p / STEPS_W / STEPS_H, p / STEPS_W % STEPS_H, p % STEPS_W);
}

fn storePosition(h: Phase, w: Phase, position: i32, vec: i32, value: vec4f) {
  let stepW = position % STEPS_W;
  let stepH = position / STEPS_W % STEPS_H;
  if (position < POSITIONS && stepH < h.count && stepW < w.count) {
    let n = position / STEPS_W / STEPS_H;
    storeDest(destStart(n, stepH * DEST_STRIDE_H + h.start, stepW * DEST_STRIDE_W + w.start), vec, value);
  }
}`;
