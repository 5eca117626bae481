import type { Shape } from '../../common/shapes.js';
import { columnSums, type NdArray, zeros } from '../../reference/ndarray.js';
import type { ReferenceRule } from '../../reference/reference-op.js';
import type { Conv2dAttrs, ConvTranspose2dAttrs } from './shape.js';

type Visit = (pixel: number, tap: number, output: number) => void;

/**
 * Calls `visit` for every pair of an output pixel and a kernel tap that meets a pixel of the input (not the padding),
 * with where the channels of the pixel, the weights of the tap and the channels of the output pixel start.
 */
function forEachTap(input: Shape, weights: Shape, output: Shape, attrs: Conv2dAttrs, visit: Visit): void {
  const [batch, h, w, inputs] = input;
  const [kh, kw, groupInputs, outputs] = weights;
  const [, ho, wo] = output;
  const [top, , left] = attrs.padding;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < ho; oy++) {
      for (let ox = 0; ox < wo; ox++) {
        const at = ((n * ho + oy) * wo + ox) * outputs;
        for (let ky = 0; ky < kh; ky++) {
          const y = oy * attrs.stride[0] - top + ky * attrs.dilation[0];
          if (y < 0 || y >= h) continue;
          for (let kx = 0; kx < kw; kx++) {
            const x = ox * attrs.stride[1] - left + kx * attrs.dilation[1];
            if (x < 0 || x >= w) continue;
            visit(((n * h + y) * w + x) * inputs, (ky * kw + kx) * groupInputs * outputs, at);
          }
        }
      }
    }
  }
}

/** Convolution (cross-correlation, as in all neural networks) into an output of the given shape, without bias. */
export function convForward(x: NdArray, w: NdArray, shape: Shape, attrs: Conv2dAttrs): NdArray {
  const y = zeros(shape);
  const [xs, ws, ys] = [x.data, w.data, y.data];
  const [, , groupInputs, outputs] = w.shape;
  const groupOutputs = outputs / attrs.groups;
  forEachTap(x.shape, w.shape, shape, attrs, (pixel, tap, at) => {
    for (let g = 0; g < attrs.groups; g++) {
      const first = at + g * groupOutputs;
      for (let ci = 0; ci < groupInputs; ci++) {
        const value = xs[pixel + g * groupInputs + ci];
        const row = tap + ci * outputs + g * groupOutputs;
        for (let co = 0; co < groupOutputs; co++) ys[first + co] += value * ws[row + co];
      }
    }
  });
  return y;
}

/** Gradient of a convolution with respect to its input of the given shape. */
export function convInputGradient(dy: NdArray, w: NdArray, shape: Shape, attrs: Conv2dAttrs): NdArray {
  const dx = zeros(shape);
  const [dxs, ws, dys] = [dx.data, w.data, dy.data];
  const [, , groupInputs, outputs] = w.shape;
  const groupOutputs = outputs / attrs.groups;
  forEachTap(shape, w.shape, dy.shape, attrs, (pixel, tap, at) => {
    for (let g = 0; g < attrs.groups; g++) {
      const first = at + g * groupOutputs;
      for (let ci = 0; ci < groupInputs; ci++) {
        const row = tap + ci * outputs + g * groupOutputs;
        let sum = 0;
        for (let co = 0; co < groupOutputs; co++) sum += dys[first + co] * ws[row + co];
        dxs[pixel + g * groupInputs + ci] += sum;
      }
    }
  });
  return dx;
}

/** Gradient of a convolution with respect to its weights of the given shape. */
export function convWeightGradient(x: NdArray, dy: NdArray, shape: Shape, attrs: Conv2dAttrs): NdArray {
  const dw = zeros(shape);
  const [xs, dws, dys] = [x.data, dw.data, dy.data];
  const [, , groupInputs, outputs] = shape;
  const groupOutputs = outputs / attrs.groups;
  forEachTap(x.shape, shape, dy.shape, attrs, (pixel, tap, at) => {
    for (let g = 0; g < attrs.groups; g++) {
      const first = at + g * groupOutputs;
      for (let ci = 0; ci < groupInputs; ci++) {
        const value = xs[pixel + g * groupInputs + ci];
        const row = tap + ci * outputs + g * groupOutputs;
        for (let co = 0; co < groupOutputs; co++) dws[row + co] += value * dys[first + co];
      }
    }
  });
  return dw;
}

function addBias(y: NdArray, bias: NdArray | undefined): NdArray {
  if (bias) for (let i = 0; i < y.data.length; i++) y.data[i] += bias.data[i % bias.data.length];
  return y;
}

export const conv2dReference: ReferenceRule<Conv2dAttrs> = {
  forward: ([x, w, bias], attrs, shape) => addBias(convForward(x, w, shape, attrs), bias),
  backward([x, w, bias], _output, dy, attrs) {
    const gradients = [convInputGradient(dy, w, x.shape, attrs), convWeightGradient(x, dy, w.shape, attrs)];
    return bias ? [...gradients, columnSums(dy)] : gradients;
  },
};

/** The input gradient of the conv2d with the same weights, so its own gradients are that conv2d and its weight gradient. */
export const convTranspose2dReference: ReferenceRule<ConvTranspose2dAttrs> = {
  forward: ([x, w, bias], attrs, shape) => addBias(convInputGradient(x, w, shape, attrs), bias),
  backward([x, w, bias], _output, dy, attrs) {
    const gradients = [convForward(dy, w, x.shape, attrs), convWeightGradient(dy, x, w.shape, attrs)];
    return bias ? [...gradients, columnSums(dy)] : gradients;
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const convReferences = { conv2d: conv2dReference, convTranspose2d: convTranspose2dReference };
