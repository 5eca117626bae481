import { refuse, withDefaults } from '../../common/arguments.js';
import { ShapeError } from '../../common/errors.js';
import { formatShape } from '../../common/shapes.js';
import { composed } from '../../tensor/tape.js';
import type { Tensor } from '../../tensor/tensor.js';
import { add } from '../binary.js';
import { pad, reshape, slice } from '../layout.js';
import { checkIntegers, checkRank } from '../shape-checks.js';
import { conv2d, convTranspose2d } from './conv.js';

// Convolutions of one and of three axes, composed of those of two.

/** Options of a convolution along one axis. */
export interface Conv1dOptions {
  /** Default 1. */
  stride?: number;
  /** Before and after the line: one number for both, or [before, after]; default 0. */
  padding?: number | readonly [before: number, after: number];
  /** Default 1. */
  dilation?: number;
  /** Default 1. */
  groups?: number;
}

/** Options of a transposed convolution along one axis. */
export interface ConvTranspose1dOptions extends Conv1dOptions {
  /** Elements to add at the end of the output, below the stride; default 0. */
  outputPadding?: number;
}

/** Options of a convolution of volumes. */
export interface Conv3dOptions {
  /** One number for all axes, or [depth, rows, columns]; default 1. */
  stride?: number | readonly number[];
  /** One number for all sides, [depth, rows, columns], or [front, back, top, bottom, left, right]; default 0. */
  padding?: number | readonly number[];
  /** As the stride. */
  dilation?: number | readonly number[];
  /** Default 1. */
  groups?: number;
}

/** @throws ShapeError, ArgumentError */
function checkTensors(op: string, x: Tensor, w: Tensor, layouts: readonly [string, string]): void {
  [x, w].forEach((tensor, k) => {
    const name = ['input', 'weights'][k];
    if (!Array.isArray(tensor?.shape)) refuse(op, name, tensor, 'a tensor');
    checkRank(op, name, tensor.shape, layouts[0].split(',').length, layouts[k]);
  });
}

/** @throws ShapeError */
function checkChannels(op: string, x: Tensor, w: Tensor, expected: number): void {
  const channels = x.shape[x.shape.length - 1];
  if (channels === expected) return;
  throw new ShapeError(
    `${op}: weights ${formatShape(w.shape)} expect ${expected} input channels, but the input ${formatShape(x.shape)} has ${channels}`,
  );
}

/** A number, or a list of as many as one of the counts, as a list of the last count. @throws ArgumentError */
function listOf(op: string, name: string, value: number | readonly number[], counts: readonly number[], min: number) {
  const list = typeof value === 'number' ? new Array<number>(counts[0]).fill(value) : value;
  const count = counts.includes(list?.length) ? list.length : counts[0];
  checkIntegers(op, name, list, count, min);
  const last = counts[counts.length - 1];
  return list.length === last ? list : list.flatMap((entry) => [entry, entry]);
}

/** The options of a convolution of pictures of one row. @throws ArgumentError */
function rowOptions(op: string, { stride, padding, dilation, groups }: Required<Conv1dOptions>) {
  checkIntegers(op, 'stride', [stride], 1, 1);
  checkIntegers(op, 'dilation', [dilation], 1, 1);
  checkIntegers(op, 'groups', [groups], 1, 1);
  const [before, after] = listOf(op, 'padding', padding, [2], 0);
  return {
    stride: [1, stride],
    padding: [0, 0, before, after],
    dilation: [1, dilation],
    groups,
  } as const;
}

/** A line as a picture of one row, and weights likewise. */
function asRows(x: Tensor, w: Tensor): [Tensor, Tensor] {
  return [reshape(x, [x.shape[0], 1, x.shape[1], x.shape[2]]), reshape(w, [1, ...w.shape])];
}

const asLine = (y: Tensor): Tensor => reshape(y, [y.shape[0], y.shape[2], y.shape[3]]);

const DEFAULTS = { stride: 1, padding: 0, dilation: 1, groups: 1 };

/**
 * 1-D convolution: `conv2d` of pictures of one row.
 * @param x [N,L,Cin]
 * @param w [k,Cin/groups,Cout]
 * @param bias [Cout] or null
 * @returns [N,Lo,Cout] with Lo = ⌊(L + before + after − dilation·(k − 1) − 1)/stride⌋ + 1
 * @throws ShapeError, ArgumentError
 */
export function conv1d(x: Tensor, w: Tensor, bias: Tensor | null = null, options?: Conv1dOptions): Tensor {
  const attrs = rowOptions('conv1d', withDefaults<Required<Conv1dOptions>>('conv1d', options, DEFAULTS));
  checkTensors('conv1d', x, w, ['[N,L,Cin]', '[k,Cin/groups,Cout]']);
  checkChannels('conv1d', x, w, w.shape[1] * attrs.groups);
  return composed(x, () => asLine(conv2d(...asRows(x, w), bias, attrs)));
}

/**
 * 1-D transposed convolution: `convTranspose2d` of pictures of one row.
 * @param x [N,L,Cin]
 * @param w [k,Cout/groups,Cin]
 * @param bias [Cout] or null
 * @returns [N,Lo,Cout] with Lo = (L − 1)·stride − (before + after) + dilation·(k − 1) + 1 + outputPadding
 * @throws ShapeError, ArgumentError
 */
export function convTranspose1d(
  x: Tensor,
  w: Tensor,
  bias: Tensor | null = null,
  options?: ConvTranspose1dOptions,
): Tensor {
  const op = 'convTranspose1d';
  const defaults = { ...DEFAULTS, outputPadding: 0 };
  const { outputPadding, ...rest } = withDefaults<Required<ConvTranspose1dOptions>>(op, options, defaults);
  const attrs = rowOptions(op, rest);
  checkIntegers(op, 'outputPadding', [outputPadding], 1, 0);
  checkTensors(op, x, w, ['[N,L,Cin]', '[k,Cout/groups,Cin]']);
  checkChannels(op, x, w, w.shape[2]);
  return composed(x, () =>
    asLine(convTranspose2d(...asRows(x, w), bias, { ...attrs, outputPadding: [0, outputPadding] })),
  );
}

/**
 * 3-D convolution: the sum of a `conv2d` of pictures for each weight along the depth.
 * @param x [N,D,H,W,Cin]
 * @param w [kd,kh,kw,Cin/groups,Cout]
 * @param bias [Cout] or null
 * @returns [N,Do,Ho,Wo,Cout], each size as for `conv2d`
 * @throws ShapeError, ArgumentError
 */
export function conv3d(x: Tensor, w: Tensor, bias: Tensor | null = null, options?: Conv3dOptions): Tensor {
  const op = 'conv3d';
  const given = withDefaults<Required<Conv3dOptions>>(op, options, DEFAULTS);
  const { groups } = given;
  checkIntegers(op, 'groups', [groups], 1, 1);
  const [stride, ...strides] = listOf(op, 'stride', given.stride, [3], 1);
  const [dilation, ...dilations] = listOf(op, 'dilation', given.dilation, [3], 1);
  const [front, back, ...padding] = listOf(op, 'padding', given.padding, [3, 6], 0);
  checkTensors(op, x, w, ['[N,D,H,W,Cin]', '[kd,kh,kw,Cin/groups,Cout]']);
  checkChannels(op, x, w, w.shape[3] * groups);
  const [batch, depth, ...picture] = x.shape;
  const [taps, ...window] = w.shape;
  const outputs = Math.floor((depth + front + back - dilation * (taps - 1) - 1) / stride) + 1;
  if (outputs < 1) {
    throw new ShapeError(`${op}: a kernel of depth ${taps} does not fit the input ${formatShape(x.shape)}`);
  }
  const attrs = { stride: strides, padding, dilation: dilations, groups } as object;
  // The depth is [steps, stride], so that the pictures of a tap lie at one place of the last axis.
  const last = Math.floor((dilation * (taps - 1)) / stride) + outputs;
  const steps = Math.max(last, Math.ceil((depth + front) / stride));
  return composed(x, () => {
    const after = steps * stride - depth - front;
    const padded = front + after > 0 ? pad(x, [0, front, 0, 0, 0], [0, after, 0, 0, 0]) : x;
    const split = reshape(padded, [batch, steps, stride, ...picture]);
    let sum: Tensor | undefined;
    for (let tap = 0; tap < taps; tap++) {
      const at = tap * dilation;
      const begin = [0, Math.floor(at / stride), at % stride, 0, 0, 0];
      const pictures = reshape(slice(split, begin, [batch, outputs, 1, ...picture]), [batch * outputs, ...picture]);
      const weights = reshape(slice(w, [tap, 0, 0, 0, 0], [1, ...window]), window);
      const part = conv2d(pictures, weights, tap === 0 ? bias : null, attrs);
      sum = sum ? add(sum, part) : part;
    }
    const y = sum as Tensor;
    return reshape(y, [batch, outputs, ...y.shape.slice(1)]);
  });
}
