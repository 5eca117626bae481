import type { ConvShape } from '../../../shaders/common/conv-geometry.js';
import { ShapeError } from '../../common/errors.js';
import { formatShape, type Padding2d, type Pair, type Shape } from '../../common/shapes.js';
import { checkInputs, checkIntegers, checkPadding, checkPair, checkPerChannel, checkRank } from '../shape-checks.js';

/** Inputs x [N,H,W,Cin], w [kh,kw,Cin/groups,Cout], optional bias [Cout]. */
export interface Conv2dAttrs {
  stride: Pair;
  padding: Padding2d;
  dilation: Pair;
  groups: number;
}

/**
 * Inputs x [N,H,W,Cin], w [kh,kw,Cout/groups,Cin] (so that this is exactly the input gradient of a conv with the same
 * weights), optional bias [Cout]. Ho = (H − 1)·stride − (top + bottom) + dilation·(kh − 1) + 1 + outputPadding.
 */
export interface ConvTranspose2dAttrs extends Conv2dAttrs {
  outputPadding: Pair;
}

const NAMES = ['input', 'weights', 'bias'];

/** [Ho, Wo] of a convolution: ⌊(H + top + bottom − dilation·(kh − 1) − 1) / stride⌋ + 1; below 1 where the kernel does not fit. */
export function convOutputSize(inputHW: Pair, kernel: Pair, attrs: Omit<Conv2dAttrs, 'groups'>): Pair {
  const [top, bottom, left, right] = attrs.padding;
  const along = (size: number, pad: number, axis: 0 | 1): number =>
    Math.floor((size + pad - attrs.dilation[axis] * (kernel[axis] - 1) - 1) / attrs.stride[axis]) + 1;
  return [along(inputHW[0], top + bottom, 0), along(inputHW[1], left + right, 1)];
}

/** [Ho, Wo] of a transposed convolution: (H − 1)·stride − (top + bottom) + dilation·(kh − 1) + 1 + outputPadding. */
export function convTransposeOutputSize(
  inputHW: Pair,
  kernel: Pair,
  attrs: Omit<ConvTranspose2dAttrs, 'groups'>,
): Pair {
  const [top, bottom, left, right] = attrs.padding;
  const along = (size: number, pad: number, axis: 0 | 1): number =>
    (size - 1) * attrs.stride[axis] - pad + attrs.dilation[axis] * (kernel[axis] - 1) + 1 + attrs.outputPadding[axis];
  return [along(inputHW[0], top + bottom, 0), along(inputHW[1], left + right, 1)];
}

/** @throws ShapeError, ArgumentError */
export function conv2dShape(inputs: readonly Shape[], attrs: Conv2dAttrs): number[] {
  const op = 'conv2d';
  checkConvInputs(op, inputs, attrs);
  const [x, w, bias] = inputs;
  const [kh, kw, groupInputs, outputs] = w;
  if (x[3] !== groupInputs * attrs.groups) {
    throw new ShapeError(
      `${op}: weights ${formatShape(w)} expect ${groupInputs} input channels per group, ` +
        `but the input ${formatShape(x)} has ${x[3]} with groups ${attrs.groups}`,
    );
  }
  if (outputs % attrs.groups !== 0) {
    throw new ShapeError(
      `${op}: weights ${formatShape(w)} make ${outputs} output channels, which groups ${attrs.groups} does not divide`,
    );
  }
  if (bias) checkPerChannel(op, 'bias', bias, outputs, 'the output');
  const [ho, wo] = convOutputSize([x[1], x[2]], [kh, kw], attrs);
  if (ho < 1 || wo < 1) {
    throw new ShapeError(
      `${op}: a kernel of ${kh}x${kw} with dilation [${attrs.dilation.join(',')}] does not fit the input ` +
        `${formatShape(x)} with padding [${attrs.padding.join(',')}]`,
    );
  }
  return [x[0], ho, wo, outputs];
}

/** @throws ShapeError, ArgumentError */
export function convTranspose2dShape(inputs: readonly Shape[], attrs: ConvTranspose2dAttrs): number[] {
  const op = 'convTranspose2d';
  checkConvInputs(op, inputs, attrs);
  checkPair(op, 'outputPadding', attrs.outputPadding, 0);
  // Beyond that, the conv whose input gradient this is would have more outputs than this op has inputs.
  if (attrs.outputPadding.some((v, axis) => v >= attrs.stride[axis])) {
    throw new ShapeError(
      `${op}: outputPadding [${attrs.outputPadding.join(',')}] must be below the stride [${attrs.stride.join(',')}]`,
    );
  }
  const [x, w, bias] = inputs;
  const [kh, kw, groupOutputs, channels] = w;
  if (x[3] !== channels) {
    throw new ShapeError(
      `${op}: weights ${formatShape(w)} expect ${channels} input channels, but the input ${formatShape(x)} has ${x[3]}`,
    );
  }
  if (channels % attrs.groups !== 0) {
    throw new ShapeError(
      `${op}: the input ${formatShape(x)} has ${channels} channels, which groups ${attrs.groups} does not divide`,
    );
  }
  const outputs = groupOutputs * attrs.groups;
  if (bias) checkPerChannel(op, 'bias', bias, outputs, 'the output');
  const [ho, wo] = convTransposeOutputSize([x[1], x[2]], [kh, kw], attrs);
  if (ho < 1 || wo < 1) {
    throw new ShapeError(
      `${op}: padding [${attrs.padding.join(',')}] leaves an output of ${ho}x${wo} for the input ` +
        `${formatShape(x)} and a kernel of ${kh}x${kw}`,
    );
  }
  return [x[0], ho, wo, outputs];
}

function checkConvInputs(op: string, inputs: readonly Shape[], attrs: Conv2dAttrs): void {
  checkInputs(op, inputs, NAMES, 1);
  checkRank(op, 'input', inputs[0], 4, '[N,H,W,C]');
  checkRank(op, 'weights', inputs[1], 4, op === 'conv2d' ? '[kh,kw,Cin/groups,Cout]' : '[kh,kw,Cout/groups,Cin]');
  checkPair(op, 'stride', attrs.stride, 1);
  checkPair(op, 'dilation', attrs.dilation, 1);
  checkPadding(op, attrs.padding);
  checkIntegers(op, 'groups', [attrs.groups], 1, 1);
}

export function convShape(
  input: readonly number[],
  output: readonly number[],
  weights: readonly number[],
  attrs: Conv2dAttrs,
): ConvShape {
  return {
    batch: input[0],
    input: [input[1], input[2]],
    output: [output[1], output[2]],
    cin: input[3],
    cout: output[3],
    kernel: [weights[0], weights[1]],
    stride: attrs.stride,
    padding: [attrs.padding[0], attrs.padding[2]],
    dilation: attrs.dilation,
    groups: attrs.groups,
  };
}

/** Attributes of a conv of this shape, with all four paddings. */
export function attrsOfShape(shape: ConvShape): Conv2dAttrs {
  const { input, output, kernel, stride, padding, dilation, groups } = shape;
  const after = (axis: 0 | 1): number =>
    Math.max(
      0,
      (output[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1 - padding[axis] - input[axis],
    );
  return { stride, padding: [padding[0], after(0), padding[1], after(1)], dilation, groups };
}
