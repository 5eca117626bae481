import { add, minimum, mod, mul, sub } from '../../ops/binary.js';
import { cast, greaterEqual, less, lessEqual, logicalAnd, where } from '../../ops/compare.js';
import { gatherND } from '../../ops/indexing/indexing.js';
import { concat, slice } from '../../ops/layout.js';
import { abs, affine, clamp, floor, round } from '../../ops/unary.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { Context, OperatorTable } from '../operator.js';
import { GpuValue, type Value } from '../values.js';

/** Where an axis is sampled: the places of taps, and their weights. */
type Taps = [place: Tensor, weight: Tensor | null][];

/** Weight of a tap at this distance, by the cubic kernel with a = −0.75. Keys 1981. */
function cubicWeight(distance: Tensor): Tensor {
  const a = -0.75;
  const x = abs(distance);
  // ((a + 2)·x − (a + 3))·x² + 1 up to 1, a·x³ − 5a·x² + 8a·x − 4a up to 2.
  const near = affine(mul(mul(affine(x, a + 2, -(a + 3)), x), x), 1, 1);
  const far = affine(mul(affine(mul(affine(x, a, -5 * a), x), 1, 8 * a), x), 1, -4 * a);
  return where(lessEqual(x, 1), near, where(less(x, 2), far, 0));
}

function tapsOf(mode: string, place: Tensor): Taps {
  if (mode === 'nearest') return [[round(place), null]];
  const first = floor(place);
  const offsets = mode === 'cubic' ? [-1, 0, 1, 2] : [0, 1];
  return offsets.map((offset) => {
    const tap = affine(first, 1, offset);
    const distance = sub(place, tap);
    return [tap, mode === 'cubic' ? cubicWeight(distance) : affine(abs(distance), -1, 1)];
  });
}

/** Places mirrored at the borders, as often as it takes. */
function mirrored(place: Tensor, low: number, high: number): Tensor {
  const span = high - low;
  if (span === 0) return affine(place, 0, low);
  const rest = mod(affine(place, 1, -low), 2 * span);
  return affine(minimum(rest, affine(rest, -1, 2 * span)), 1, low);
}

/** Samples pictures [N, C, H, W] (or volumes) where a grid in −1 … 1 says. */
function gridSample(c: Context): Value {
  const x = c.last(0);
  const grid = c.x(1);
  const spatial = x.shape.slice(1, -1);
  const axes = spatial.length;
  const corners = c.int('align_corners', 0) !== 0;
  const padding = c.text('padding_mode', 'zeros');
  const given = c.text('mode', 'linear');
  const mode = given === 'bilinear' ? 'linear' : given === 'bicubic' ? 'cubic' : given;
  const shape = grid.shape.slice(0, -1);
  if (grid.shape[axes + 1] !== axes || grid.shape.length !== axes + 2)
    c.misfit(`a grid [${grid.shape}] for [${c.shape(0)}]`);
  const places = spatial.map((size, axis) => {
    // The grid's last axis counts from the last axis of the picture.
    const part = slice(
      grid,
      grid.shape.map((_, k) => (k === axes + 1 ? axes - 1 - axis : 0)),
      [...shape, 1],
    );
    const place = corners ? affine(part, (size - 1) / 2, (size - 1) / 2) : affine(part, size / 2, (size - 1) / 2);
    if (padding === 'border') return clamp(place, 0, size - 1);
    return padding === 'reflection' ? mirrored(place, corners ? 0 : -0.5, corners ? size - 1 : size - 0.5) : place;
  });
  let sum: Tensor | null = null;
  const visit = (axis: number, chosen: Tensor[], weight: Tensor | null): void => {
    if (axis < axes) {
      for (const [tap, own] of tapsOf(mode, places[axis])) {
        visit(axis + 1, [...chosen, tap], weight && own ? mul(weight, own) : (weight ?? own));
      }
      return;
    }
    const values = tapValues(x, chosen, spatial, padding, corners);
    const part = weight ? mul(values, weight) : values;
    sum = sum ? add(sum, part) : part;
  };
  visit(0, [], null);
  return GpuValue.last(sum!);
}

/** The picture at whole places, which may be outside. */
function tapValues(
  x: Tensor,
  taps: readonly Tensor[],
  spatial: readonly number[],
  padding: string,
  corners: boolean,
): Tensor {
  const inside = taps.map((tap, axis) => {
    const high = spatial[axis] - 1;
    return padding === 'reflection'
      ? mirrored(tap, corners ? 0 : -0.5, corners ? high : high + 0.5)
      : clamp(tap, 0, high);
  });
  const indices = concat(
    inside.map((tap, axis) => clamp(round(tap), 0, spatial[axis] - 1)),
    taps[0].shape.length - 1,
  );
  const values = gatherND(x, cast(indices, 'int32'), 1);
  if (padding !== 'zeros') return values;
  const seen = taps.map((tap, axis) => logicalAnd(greaterEqual(tap, 0), lessEqual(tap, spatial[axis] - 1)));
  return where(
    seen.reduce((a, b) => logicalAnd(a, b)),
    values,
    0,
  );
}

export const gridOperators = /* @__PURE__ */ ((): OperatorTable => ({
  GridSample: {
    inputs: [2, 2],
    attributes: 'align_corners mode padding_mode',
    refuse: (node) =>
      !['linear', 'bilinear', 'nearest', 'cubic', 'bicubic'].includes(node.text('mode', 'linear')) &&
      `mode ${node.text('mode', '')}`,
    run: gridSample,
  },
}))();
