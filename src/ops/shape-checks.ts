import { checkList, isList } from '../common/arguments.js';
import { ArgumentError, ShapeError } from '../common/errors.js';
import { checkShape, formatShape, type Padding2d, type Pair, type Shape } from '../common/shapes.js';
import { checkFloat32 } from './float32-constants.js';

// Checks that the shape rules of all operations share. `op` is the operation's name and starts every message.

/** Checks the number of inputs, and that each shape holds elements. `names` also names the inputs in messages. */
export function checkInputs(op: string, inputs: readonly Shape[], names: readonly string[], optional = 0): void {
  const min = names.length - optional;
  if (inputs.length < min || inputs.length > names.length) {
    const wanted = optional === 0 ? `${min}` : `${min} to ${names.length}`;
    throw new ShapeError(`${op}: got ${inputs.length} inputs; expected ${wanted} (${names.join(', ')})`);
  }
  inputs.forEach((shape, i) => {
    checkShape(`${op}: ${names[i]}`, shape);
  });
}

export function checkRank(op: string, name: string, shape: Shape, rank: number, layout: string): void {
  if (shape.length !== rank) {
    throw new ShapeError(`${op}: ${name} has shape ${formatShape(shape)}; expected rank ${rank}, ${layout}`);
  }
}

export function checkMinRank(op: string, name: string, shape: Shape, rank: number, layout: string): void {
  if (shape.length < rank) {
    throw new ShapeError(`${op}: ${name} has shape ${formatShape(shape)}; expected rank ${rank} or more, ${layout}`);
  }
}

/** Checks a vector of one value a channel. */
export function checkPerChannel(op: string, name: string, shape: Shape, channels: number, of: string): void {
  if (shape.length !== 1 || shape[0] !== channels) {
    throw new ShapeError(
      `${op}: ${name} has shape ${formatShape(shape)}; expected [${channels}], one a channel of ${of}`,
    );
  }
}

/** Checks labels [B] against the batch size of what they label. */
export function checkLabels(op: string, labels: Shape, batch: number, of: string): void {
  if (labels.length !== 1 || labels[0] !== batch) {
    throw new ShapeError(`${op}: labels have shape ${formatShape(labels)}; expected [${batch}], one a row of ${of}`);
  }
}

export function checkSame(op: string, a: Shape, b: Shape): void {
  if (a.length !== b.length || a.some((dim, axis) => dim !== b[axis])) {
    throw new ShapeError(`${op}: inputs have shapes ${formatShape(a)} and ${formatShape(b)}; expected one shape`);
  }
}

/** The largest stride, dilation, padding or window: places that kernels compute from them must be numbers of 32 bits. */
export const MAX_STEP = 2 ** 24;

/** Checks a list of integers of at least `min` and at most `max`, of a set length. */
export function checkIntegers(
  op: string,
  name: string,
  values: readonly number[],
  length: number,
  min = -Infinity,
  max = Infinity,
): void {
  const isTooLarge = isList(values) && (values as readonly number[]).some((v) => v > max);
  const least = min === -Infinity ? '' : ` of at least ${min}`;
  const expected = `${length} integers${least}${isTooLarge ? ` and at most ${max}` : ''}`;
  checkList(op, name, values, expected);
  if (isTooLarge || values.length !== length || !values.every((v) => Number.isSafeInteger(v) && v >= min)) {
    throw new ArgumentError(`${op}: ${name} is [${values.join(',')}]; expected ${expected}`);
  }
}

export function checkPair(op: string, name: string, pair: Pair, min: number): void {
  checkIntegers(op, name, pair, 2, min, MAX_STEP);
}

export function checkPadding(op: string, padding: Padding2d): void {
  checkIntegers(op, 'padding (top, bottom, left, right)', padding, 4, 0, MAX_STEP);
}

export function checkFinite(op: string, name: string, value: number): void {
  checkFloat32(op, name, value);
}

export function checkPositive(op: string, name: string, value: number): void {
  checkFloat32(op, name, value, 0, true);
}

export function checkNotNegative(op: string, name: string, value: number): void {
  checkFloat32(op, name, value, 0);
}

/** Checks the ends of a range, each of which may be infinite on its side. */
export function checkBounds(op: string, min: number, max: number): void {
  for (const [name, value] of [
    ['min', min],
    ['max', max],
  ] as const) {
    if (typeof value !== 'number' || Number.isNaN(value) || value === (name === 'min' ? Infinity : -Infinity)) {
      throw new ArgumentError(`${op}: ${name} is ${value}; expected a finite number, or an infinite one for no bound`);
    }
    if (Math.abs(value) !== Infinity) checkFloat32(op, name, value);
  }
  if (min > max) throw new ArgumentError(`${op}: min ${min} is above max ${max}`);
}

export function checkRange(op: string, min: number, max: number): void {
  checkFinite(op, 'min', min);
  checkFinite(op, 'max', max);
  if (min > max) throw new ArgumentError(`${op}: min ${min} is above max ${max}`);
}

/** The layout of pictures, as messages name it. */
export const NHWC = '[N,H,W,C]';

/** Checks a list of one entry an axis of x. */
export function checkPerAxis(op: string, name: string, values: readonly number[], x: Shape): void {
  checkList(op, name, values, 'a list of one integer an axis');
  if (values.length !== x.length) {
    throw new ShapeError(
      `${op}: ${name} is [${values.join(',')}]; expected ${x.length} entries, one an axis of input ${formatShape(x)}`,
    );
  }
}

/**
 * [rows, columns], of one number for both or of a pair.
 * @throws ArgumentError
 */
export function toPair(where: string, name: string, value: number | Pair): Pair {
  if (typeof value === 'number') return [value, value];
  checkList(where, name, value, 'a number or [rows, columns]');
  return value;
}

/**
 * [top, bottom, left, right], of one number for all sides, of [rows, columns], or of all four.
 * @throws ArgumentError
 */
export function toPadding(where: string, value: number | Pair | Padding2d): Padding2d {
  if (typeof value === 'number') return [value, value, value, value];
  checkList(where, 'padding', value, 'a number, [rows, columns] or [top, bottom, left, right]');
  return value.length === 2 ? [value[0], value[0], value[1], value[1]] : value;
}
