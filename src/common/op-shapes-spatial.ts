import { ArgumentError, ShapeError } from './errors.js';
import type { OpAttrs, Pool2dAttrs } from './op-attrs.js';
import {
  checkInputs,
  checkIntegers,
  checkPadding,
  checkPair,
  checkPositive,
  checkRank,
  checkSame,
} from './op-shapes-checks.js';
import { convOutputSize } from './op-shapes-conv.js';
import { formatShape, type Shape } from './shapes.js';

const NHWC = '[N,H,W,C]';

/** @throws ShapeError, ArgumentError */
export function pool2dShape(op: 'maxPool2d' | 'avgPool2d', inputs: readonly Shape[], attrs: Pool2dAttrs): number[] {
  checkInputs(op, inputs, ['input']);
  const [x] = inputs;
  checkRank(op, 'input', x, 4, NHWC);
  checkPair(op, 'kernel', attrs.kernel, 1);
  checkPair(op, 'stride', attrs.stride, 1);
  checkPadding(op, attrs.padding);
  const [kh, kw] = attrs.kernel;
  const [top, bottom, left, right] = attrs.padding;
  // Else a window could lie wholly in the padding, where neither a maximum nor a mean is defined.
  if (Math.max(top, bottom) >= kh || Math.max(left, right) >= kw) {
    throw new ShapeError(`${op}: padding [${attrs.padding.join(',')}] must be below the kernel of ${kh}x${kw}`);
  }
  const [ho, wo] = convOutputSize([x[1], x[2]], attrs.kernel, { ...attrs, dilation: [1, 1] });
  if (ho < 1 || wo < 1) {
    throw new ShapeError(
      `${op}: a kernel of ${kh}x${kw} does not fit the input ${formatShape(x)} with padding [${attrs.padding.join(',')}]`,
    );
  }
  return [x[0], ho, wo, x[3]];
}

/** @throws ShapeError, ArgumentError */
export function upsampleNearestShape(inputs: readonly Shape[], attrs: OpAttrs['upsampleNearest']): number[] {
  checkInputs('upsampleNearest', inputs, ['input']);
  const [x] = inputs;
  checkRank('upsampleNearest', 'input', x, 4, NHWC);
  checkPair('upsampleNearest', 'scale', attrs.scale, 1);
  return [x[0], x[1] * attrs.scale[0], x[2] * attrs.scale[1], x[3]];
}

/** @throws ShapeError, ArgumentError */
export function upsampleBilinearShape(inputs: readonly Shape[], attrs: OpAttrs['upsampleBilinear']): number[] {
  checkInputs('upsampleBilinear', inputs, ['input']);
  const [x] = inputs;
  checkRank('upsampleBilinear', 'input', x, 4, NHWC);
  checkPair('upsampleBilinear', 'size', attrs.size, 1);
  return [x[0], attrs.size[0], attrs.size[1], x[3]];
}

/** @throws ShapeError, ArgumentError */
export function ssimShape(inputs: readonly Shape[], attrs: OpAttrs['ssim']): number[] {
  const op = 'ssim';
  checkInputs(op, inputs, ['a', 'b']);
  checkRank(op, 'a', inputs[0], 4, NHWC);
  checkSame(op, inputs[0], inputs[1]);
  checkIntegers(op, 'window', [attrs.window], 1, 1);
  if (attrs.window % 2 === 0) throw new ArgumentError(`${op}: window is ${attrs.window}; expected an odd size`);
  checkPositive(op, 'sigma', attrs.sigma);
  checkPositive(op, 'dataRange', attrs.dataRange);
  // Their squares stabilise two quotients.
  checkPositive(op, '(0.01·dataRange)²', (0.01 * attrs.dataRange) ** 2);
  checkPositive(op, '(0.03·dataRange)²', (0.03 * attrs.dataRange) ** 2);
  const [, h, w] = inputs[0];
  if (attrs.window > h || attrs.window > w) {
    throw new ShapeError(
      `${op}: a window of ${attrs.window}x${attrs.window} does not fit the input ${formatShape(inputs[0])}`,
    );
  }
  return [];
}
