import { resamplePlan, resampleShader } from '../../shaders/resample.wgsl.js';
import { checkList, refuse, withDefaults } from '../common/arguments.js';
import { ArgumentError, ShapeError } from '../common/errors.js';
import { formatShape, normalizeAxes, normalizeAxis, type Shape, sizeOf } from '../common/shapes.js';
import { type ChannelChoice, chooseChannels } from '../kernels/channel-walk.js';
import { elementKernel } from '../kernels/elementwise.js';
import { type NdArray, zeros } from '../reference/ndarray.js';
import type { ReferenceRule } from '../reference/reference-op.js';
import { dispatch } from '../tensor/dispatch.js';
import { apply, composed, type Op } from '../tensor/tape.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { reshape } from './layout.js';
import { memoize } from './memoize.js';
import { checkFinite, checkInputs, checkIntegers } from './shape-checks.js';

/** What each output along an axis is made of. Output o has the entries from starts[o] to starts[o + 1] of the others. */
export interface ResampleTable {
  readonly starts: readonly number[];
  /** Inputs. */
  readonly indices: readonly number[];
  readonly weights: readonly number[];
}

/** Along an axis, each output is a weighted sum of inputs; one that has no entries is `fill`. */
export interface ResampleAttrs {
  axis: number;
  table: ResampleTable;
  fill: number;
}

function resampleShape(inputs: readonly Shape[], { axis, table }: ResampleAttrs): number[] {
  checkInputs('resample', inputs, ['input']);
  const [x] = inputs;
  const along = normalizeAxis(axis, x.length, 'resample');
  if (table.indices.some((index) => index < 0 || index >= x[along])) {
    throw new ShapeError(`resample: the table has indices outside axis ${along} of ${formatShape(x)}`);
  }
  return x.map((size, k) => (k === along ? table.starts.length - 1 : size));
}

/** Rows are the entries of an output. */
function tableOfRows(rows: readonly ReadonlyMap<number, number>[]): ResampleTable {
  const table = { starts: [0], indices: [] as number[], weights: [] as number[] };
  for (const row of rows) {
    for (const [index, weight] of row) {
      if (weight === 0) continue; // what is not read does not count, not even if it is NaN
      table.indices.push(index);
      table.weights.push(weight);
    }
    table.starts.push(table.indices.length);
  }
  return table;
}

/** For each of `size` inputs, the outputs that read it: the table of the gradient. */
function transposedTable({ starts, indices, weights }: ResampleTable, size: number): ResampleTable {
  const rows = Array.from({ length: size }, () => new Map<number, number>());
  for (let o = 0; o + 1 < starts.length; o++) {
    for (let k = starts[o]; k < starts[o + 1]; k++) rows[indices[k]].set(o, weights[k]);
  }
  return tableOfRows(rows);
}

/** The operation, with as many neighbouring elements an invocation as `choose` says; tests replace the default by one. */
export function resampleOp(choose: ChannelChoice = chooseChannels): Op<ResampleAttrs> {
  const run = (x: Tensor, { axis, table, fill }: ResampleAttrs, shape: readonly number[]): Tensor => {
    const along = normalizeAxis(axis, shape.length);
    const inner = sizeOf(shape.slice(along + 1));
    const width = choose(inner);
    const threads = sizeOf(shape) / width;
    const { starts, indices, weights } = table;
    return scope(x.gpu, () => {
      // Arrays have an element at least.
      const places = Int32Array.from([...starts, ...indices, 0]);
      const operands = [
        x,
        Tensor.from(x.gpu, places, [places.length], 'int32'),
        Tensor.from(x.gpu, [...weights, 0], [weights.length + 1]),
      ];
      const kernel = elementKernel('resample', resampleShader(width), threads);
      const plan = { input: x.shape[along], output: shape[along], groups: inner / width, threads, fill };
      return dispatch(kernel, operands, shape, resamplePlan.pack(plan));
    });
  };
  return {
    inputs: ['x'],
    shape: resampleShape,
    forward: ([x], attrs, shape) => ({ output: run(x, attrs, shape) }),
    backward({ inputs: [{ shape }], attrs: { axis, table }, dy }) {
      const size = shape[normalizeAxis(axis, shape.length)];
      return [run(dy, { axis, table: transposedTable(table, size), fill: 0 }, shape)];
    },
  };
}

export const resizeOps = { resample: /* @__PURE__ */ resampleOp() };

const MODES = ['nearest', 'linear', 'cubic'] as const;
const COORDINATES = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
  'tf_crop_and_resize',
] as const;
const NEAREST = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const;

/** Options of `resize`, with the meanings of ONNX's Resize. */
export interface ResizeOptions {
  /** Sizes to make, one for each axis of `axes`. At least these or `scales`. */
  sizes?: readonly number[];
  /** Factors, one for each axis of `axes`: a size becomes ⌊size·scale⌋, and ⌊size·(end − start)·scale⌋ for tf_crop_and_resize, unless `sizes` says otherwise. */
  scales?: readonly number[];
  /** Axes to resize; may be negative. Default: all. */
  axes?: readonly number[];
  /** Default nearest. */
  mode?: (typeof MODES)[number];
  /** Which place of the input an output is taken at; default half_pixel. */
  coordinates?: (typeof COORDINATES)[number];
  /** How nearest rounds a place; default round_prefer_floor. */
  nearestMode?: (typeof NEAREST)[number];
  /** The slope a of the cubic kernel; default −0.75. */
  cubicCoefficient?: number;
  /** Whether weights outside the input are dropped, and the others scaled up. Else the edge is repeated. Default false. */
  excludeOutside?: boolean;
  /** Value of places outside the input, for tf_crop_and_resize; default 0. */
  extrapolationValue?: number;
  /** Region for tf_crop_and_resize, in parts of the size: the starts of the axes, then their ends. Default: all of it. */
  roi?: readonly number[];
  /** Whether the kernels of linear and cubic are widened where the size shrinks; default false. */
  antialias?: boolean;
}

/** How one axis is resized. */
interface AxisResize {
  input: number;
  output: number;
  /** Undefined where the size alone was given. */
  scale?: number;
  start: number;
  end: number;
}

type Kind = Required<
  Pick<ResizeOptions, 'mode' | 'coordinates' | 'nearestMode' | 'cubicCoefficient' | 'excludeOutside' | 'antialias'>
>;

/**
 * Where in the input output o lies: the formulas of ONNX's Resize. The length of the output is input·scale there, which is not whole for
 * every scale, as in ONNX's reference implementation.
 */
function placeOf(o: number, axis: AxisResize, coordinates: Kind['coordinates']): number {
  const { input, output, scale, start, end } = axis;
  const isCrop = coordinates === 'tf_crop_and_resize';
  const length = scale === undefined ? output : input * scale * (isCrop ? end - start : 1);
  const unscaled = (place: number): number => (scale === undefined ? (place * input) / output : place / scale);
  const centre = unscaled(o + 0.5) - 0.5;
  switch (coordinates) {
    case 'half_pixel_symmetric':
      return (input / 2) * (1 - output / length) + centre;
    case 'pytorch_half_pixel':
      return output > 1 ? centre : 0;
    case 'align_corners':
      return length === 1 ? 0 : (o * (input - 1)) / (length - 1);
    case 'asymmetric':
      return unscaled(o);
    case 'tf_crop_and_resize':
      if (length === 1) return 0.5 * (start + end) * (input - 1);
      return start * (input - 1) + (o * (end - start) * (input - 1)) / (length - 1);
    default:
      return centre;
  }
}

/** The cubic kernel of Keys 1981, Cubic convolution interpolation for digital image processing, with the slope a. */
function cubic(distance: number, a: number): number {
  const d = Math.abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

const rounded: Record<Kind['nearestMode'], (place: number) => number> = {
  round_prefer_floor: (place) => Math.ceil(place - 0.5),
  round_prefer_ceil: (place) => Math.floor(place + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** The entries of an output at that place of the input. */
function entriesAt(place: number, { input, output, scale }: AxisResize, kind: Kind): Map<number, number> {
  const clamped = (index: number): number => Math.min(Math.max(index, 0), input - 1);
  if (kind.coordinates === 'tf_crop_and_resize' && (place < 0 || place > input - 1)) return new Map();
  if (kind.mode === 'nearest') return new Map([[clamped(rounded[kind.nearestMode](place)), 1]]);
  const shrink = kind.antialias ? Math.min(scale ?? output / input, 1) : 1;
  const reach = (kind.mode === 'cubic' ? 2 : 1) / shrink;
  const entries = new Map<number, number>();
  let total = 0;
  for (let index = Math.floor(place - reach) + 1; index < place + reach; index++) {
    if (kind.excludeOutside && index !== clamped(index)) continue;
    const distance = (index - place) * shrink;
    const weight = kind.mode === 'cubic' ? cubic(distance, kind.cubicCoefficient) : Math.max(1 - Math.abs(distance), 0);
    entries.set(clamped(index), (entries.get(clamped(index)) ?? 0) + weight);
    total += weight;
  }
  if (kind.antialias || kind.excludeOutside) for (const [index, weight] of entries) entries.set(index, weight / total);
  return entries;
}

/** The table of an axis. Pure. */
const tableOf = /* @__PURE__ */ memoize(
  (axis: AxisResize, kind: Kind): ResampleTable =>
    tableOfRows(
      Array.from({ length: axis.output }, (_, o) => entriesAt(placeOf(o, axis, kind.coordinates), axis, kind)),
    ),
  64,
);

/** @throws ArgumentError unless the value is one of these */
function checkChoice(name: string, value: unknown, choices: readonly string[]): void {
  if (!choices.includes(value as string)) refuse('resize', name, value, choices.join(', '));
}

/** The axes and how each is resized. @throws ArgumentError, ShapeError */
function axesOf(x: Shape, options: ResizeOptions): [number, AxisResize][] {
  const { sizes, scales, axes, roi, coordinates } = options;
  if (sizes === undefined && scales === undefined) throw new ArgumentError('resize: expected sizes or scales');
  if (axes !== undefined) checkList('resize', 'axes', axes, 'a list of axes');
  const all = (axes ?? [...x.keys()]).map((axis) => normalizeAxis(axis, x.length, 'resize'));
  normalizeAxes(all, x.length, 'resize');
  if (sizes) checkIntegers('resize', 'sizes', sizes, all.length, 1);
  for (const [name, list, count] of [
    ['scales', scales, all.length],
    ['roi', roi, 2 * all.length],
  ] as const) {
    if (list === undefined) continue;
    checkList('resize', name, list, `${count} numbers`);
    if (list.length !== count || !list.every(Number.isFinite) || (name === 'scales' && !list.every((s) => s > 0))) {
      refuse('resize', name, list, `${count} finite numbers${name === 'scales' ? ' above 0' : ''}`);
    }
  }
  return all.map((axis, k) => {
    const [start, end] = [roi?.[k] ?? 0, roi?.[all.length + k] ?? 1];
    const [input, scale] = [x[axis], scales?.[k]];
    const part = coordinates === 'tf_crop_and_resize' ? end - start : 1;
    const output = sizes?.[k] ?? Math.floor(input * part * (scale as number));
    if (output < 1) {
      throw new ShapeError(`resize: scale ${scale} leaves nothing of axis ${axis} of ${formatShape(x)}`);
    }
    return [axis, { input, output, scale, start, end }];
  });
}

/**
 * Resizes any axes of a tensor by interpolation, one axis after the other: ONNX's Resize (version 19).
 *
 * @param x [...]
 * @returns the shape of x with other sizes
 * @throws ShapeError, ArgumentError
 */
export function resize(x: Tensor, options: ResizeOptions): Tensor {
  const given = withDefaults<ResizeOptions>('resize', options, {
    sizes: undefined,
    scales: undefined,
    axes: undefined,
    mode: 'nearest',
    coordinates: 'half_pixel',
    nearestMode: 'round_prefer_floor',
    cubicCoefficient: -0.75,
    excludeOutside: false,
    extrapolationValue: 0,
    roi: undefined,
    antialias: false,
  });
  if (!Array.isArray(x?.shape)) refuse('resize', 'x', x, 'a tensor');
  const {
    mode,
    coordinates,
    nearestMode,
    cubicCoefficient,
    excludeOutside,
    antialias,
    extrapolationValue: fill,
  } = given as ResizeOptions & Kind & { extrapolationValue: number };
  checkChoice('mode', mode, MODES);
  checkChoice('coordinates', coordinates, COORDINATES);
  checkChoice('nearestMode', nearestMode, NEAREST);
  checkFinite('resize', 'cubicCoefficient', cubicCoefficient);
  checkFinite('resize', 'extrapolationValue', fill);
  for (const [name, flag] of Object.entries({ excludeOutside, antialias })) {
    if (typeof flag !== 'boolean') refuse('resize', name, flag, 'true or false');
  }
  const kind: Kind = { mode, coordinates, nearestMode, cubicCoefficient, excludeOutside, antialias };
  const changed = axesOf(x.shape, given).filter(
    ([, { input, output, scale = output / input }]) =>
      coordinates === 'tf_crop_and_resize' || output !== input || scale !== 1,
  );
  // Those that shrink most come first, so that the others have less to do.
  changed.sort(([, a], [, b]) => a.output / a.input - b.output / b.input);
  if (changed.length === 0) return reshape(x, x.shape);
  return composed(x, () =>
    changed.reduce(
      (of, [axis, how]) => apply('resample', resizeOps.resample, [of], { axis, table: tableOf(how, kind), fill }),
      x,
    ),
  );
}

/** Calls `visit` with each output element, the element of x and its weight. */
function forEachEntry(
  x: Shape,
  { axis, table: { starts, indices, weights } }: ResampleAttrs,
  visit: (output: number, input: number, weight: number) => void,
): void {
  const along = axis < 0 ? axis + x.length : axis;
  const [outer, inner, size] = [sizeOf(x.slice(0, along)), sizeOf(x.slice(along + 1)), starts.length - 1];
  for (let i = 0; i < outer * size * inner; i++) {
    const o = Math.floor(i / inner) % size;
    const first = Math.floor(i / inner / size) * x[along];
    for (let k = starts[o]; k < starts[o + 1]; k++) visit(i, (first + indices[k]) * inner + (i % inner), weights[k]);
  }
}

export const resampleReference: ReferenceRule<ResampleAttrs> = {
  forward([x], attrs, shape) {
    const out: NdArray = zeros(shape);
    const isFilled = new Uint8Array(out.data.length);
    forEachEntry(x.shape, attrs, (i, at, weight) => {
      out.data[i] += weight * x.data[at];
      isFilled[i] = 1;
    });
    isFilled.forEach((filled, i) => {
      if (!filled) out.data[i] = attrs.fill;
    });
    return out;
  },
  backward([x], _output, dy, attrs) {
    const dx = zeros(x.shape);
    forEachEntry(x.shape, attrs, (i, at, weight) => {
      dx.data[at] += weight * dy.data[i];
    });
    return [dx];
  },
};

/** The float64 reference that the kernels are compared with; it shares no code with them. */
export const resizeReferences = { resample: resampleReference };
