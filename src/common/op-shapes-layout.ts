import { checkList } from './arguments.js';
import { ShapeError } from './errors.js';
import type { OpAttrs } from './op-attrs.js';
import { checkFinite, checkInputs, checkIntegers } from './op-shapes-checks.js';
import { checkShape, formatShape, normalizeAxes, normalizeAxis, reducedShape, type Shape, sizeOf } from './shapes.js';

/** @throws ShapeError */
export function reduceShape(op: 'sum' | 'mean', inputs: readonly Shape[], attrs: OpAttrs['sum']): number[] {
  checkInputs(op, inputs, ['input']);
  const [x] = inputs;
  return reducedShape(x, normalizeAxes(attrs.axes, x.length, op), attrs.keepDims);
}

/** @throws ShapeError */
export function reshapeShape(inputs: readonly Shape[], attrs: OpAttrs['reshape']): number[] {
  checkInputs('reshape', inputs, ['input']);
  checkShape('reshape: the wanted tensor', attrs.shape);
  const [x] = inputs;
  if (sizeOf(x) !== sizeOf(attrs.shape)) {
    throw new ShapeError(
      `reshape: input ${formatShape(x)} has ${sizeOf(x)} elements, but ${formatShape(attrs.shape)} ` +
        `needs ${sizeOf(attrs.shape)}`,
    );
  }
  return [...attrs.shape];
}

/** @throws ShapeError */
export function transposeShape(inputs: readonly Shape[], attrs: OpAttrs['transpose']): number[] {
  checkInputs('transpose', inputs, ['input']);
  const [x] = inputs;
  checkPerAxis('transpose', 'axes', attrs.axes, x);
  normalizeAxes(attrs.axes, x.length, 'transpose');
  return attrs.axes.map((axis) => x[normalizeAxis(axis, x.length, 'transpose')]);
}

/** @throws ShapeError, ArgumentError */
export function padShape(inputs: readonly Shape[], attrs: OpAttrs['pad']): number[] {
  checkInputs('pad', inputs, ['input']);
  const [x] = inputs;
  checkPerAxis('pad', 'before', attrs.before, x);
  checkPerAxis('pad', 'after', attrs.after, x);
  checkIntegers('pad', 'before', attrs.before, x.length, 0);
  checkIntegers('pad', 'after', attrs.after, x.length, 0);
  checkFinite('pad', 'value', attrs.value);
  return x.map((dim, axis) => attrs.before[axis] + dim + attrs.after[axis]);
}

/** @throws ShapeError, ArgumentError */
export function sliceShape(inputs: readonly Shape[], attrs: OpAttrs['slice']): number[] {
  checkInputs('slice', inputs, ['input']);
  const [x] = inputs;
  checkPerAxis('slice', 'begin', attrs.begin, x);
  checkPerAxis('slice', 'size', attrs.size, x);
  checkIntegers('slice', 'begin', attrs.begin, x.length, 0);
  checkIntegers('slice', 'size', attrs.size, x.length, 1);
  x.forEach((dim, axis) => {
    const end = attrs.begin[axis] + attrs.size[axis];
    if (end > dim) {
      throw new ShapeError(
        `slice: axis ${axis} of input ${formatShape(x)} has ${dim} entries, but begin ${attrs.begin[axis]} ` +
          `and size ${attrs.size[axis]} reach to ${end}`,
      );
    }
  });
  return [...attrs.size];
}

/** @throws ShapeError */
export function concatShape(inputs: readonly Shape[], attrs: OpAttrs['concat']): number[] {
  if (inputs.length === 0) throw new ShapeError('concat: got no inputs; expected at least 1');
  checkInputs(
    'concat',
    inputs,
    inputs.map((_, i) => `input ${i}`),
  );
  const [first] = inputs;
  const axis = normalizeAxis(attrs.axis, first.length, 'concat');
  const out = [...first];
  inputs.slice(1).forEach((shape, i) => {
    if (shape.length !== first.length || shape.some((dim, a) => a !== axis && dim !== first[a])) {
      throw new ShapeError(
        `concat: input ${i + 1} has shape ${formatShape(shape)}, which differs from ${formatShape(first)} ` +
          `of input 0 in more than axis ${axis}`,
      );
    }
    out[axis] += shape[axis];
  });
  return out;
}

function checkPerAxis(op: string, name: string, values: readonly number[], x: Shape): void {
  checkList(op, name, values, 'a list of one integer an axis');
  if (values.length !== x.length) {
    throw new ShapeError(
      `${op}: ${name} is [${values.join(',')}]; expected ${x.length} entries, one an axis of input ${formatShape(x)}`,
    );
  }
}
