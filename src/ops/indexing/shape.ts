import type { ScatterReduction } from '../../../shaders/indexing.wgsl.js';
import { checkCount, refuse } from '../../common/arguments.js';
import { ShapeError } from '../../common/errors.js';
import { formatShape, normalizeAxis, type Shape, sameShape } from '../../common/shapes.js';
import { checkFinite, checkInputs, checkMinRank } from '../shape-checks.js';

export interface GatherAttrs {
  axis: number;
}

export interface GatherNDAttrs {
  /** Leading axes that x and the indices have in common. */
  batchDims: number;
}

export interface ScatterAttrs {
  reduction: ScatterReduction;
}

export interface ScatterElementsAttrs extends ScatterAttrs {
  axis: number;
}

export interface OneHotAttrs {
  depth: number;
  axis: number;
  on: number;
  off: number;
}

const REDUCTIONS: readonly ScatterReduction[] = ['none', 'add', 'mul', 'max', 'min'];

/** @throws ShapeError */
export function gatherShape(inputs: readonly Shape[], attrs: GatherAttrs): number[] {
  checkInputs('gather', inputs, ['x', 'indices']);
  const [x, indices] = inputs;
  const axis = normalizeAxis(attrs.axis, x.length, 'gather');
  return [...x.slice(0, axis), ...indices, ...x.slice(axis + 1)];
}

function checkExact(op: string, name: string, shape: Shape, expected: Shape): void {
  if (sameShape(shape, expected)) return;
  throw new ShapeError(`${op}: ${name} have shape ${formatShape(shape)}; expected ${formatShape(expected)}`);
}

/** Checks that x and the indices differ along the axis only. */
function checkElements(op: string, x: Shape, indices: Shape, axis: number): void {
  const along = normalizeAxis(axis, x.length, op);
  checkExact(
    op,
    'indices',
    indices,
    x.map((dim, a) => (a === along ? (indices[a] ?? dim) : dim)),
  );
}

/** @throws ShapeError */
export function gatherElementsShape(inputs: readonly Shape[], { axis }: GatherAttrs): number[] {
  checkInputs('gatherElements', inputs, ['x', 'indices']);
  checkElements('gatherElements', inputs[0], inputs[1], axis);
  return [...inputs[1]];
}

/** Number of components of an index, which is the last size of the indices. */
function componentsOf(op: string, x: Shape, indices: Shape, batchDims: number): number {
  checkMinRank(op, 'indices', indices, batchDims + 1, '[..., components of an index]');
  const components = indices[indices.length - 1];
  if (batchDims + components > x.length) {
    throw new ShapeError(
      `${op}: indices have shape ${formatShape(indices)}, so x needs ${batchDims + components} axes or more; it has ` +
        `shape ${formatShape(x)}`,
    );
  }
  return components;
}

/** @throws ShapeError, ArgumentError */
export function gatherNDShape(inputs: readonly Shape[], { batchDims }: GatherNDAttrs): number[] {
  checkInputs('gatherND', inputs, ['x', 'indices']);
  const [x, indices] = inputs;
  if (!Number.isInteger(batchDims) || batchDims < 0)
    refuse('gatherND', 'batchDims', batchDims, 'an integer of at least 0');
  const components = componentsOf('gatherND', x, indices, batchDims);
  checkExact('gatherND', 'indices', indices, [...x.slice(0, batchDims), ...indices.slice(batchDims)]);
  return [...indices.slice(0, -1), ...x.slice(batchDims + components)];
}

function checkReduction(op: string, reduction: ScatterReduction): void {
  if (!REDUCTIONS.includes(reduction)) refuse(op, 'reduction', reduction, `one of ${REDUCTIONS.join(', ')}`);
}

/** @throws ShapeError, ArgumentError */
export function scatterElementsShape(inputs: readonly Shape[], attrs: ScatterElementsAttrs): number[] {
  checkInputs('scatterElements', inputs, ['x', 'indices', 'updates']);
  const [x, indices, updates] = inputs;
  checkReduction('scatterElements', attrs.reduction);
  checkElements('scatterElements', x, indices, attrs.axis);
  checkExact('scatterElements', 'updates', updates, indices);
  return [...x];
}

/** @throws ShapeError, ArgumentError */
export function scatterNDShape(inputs: readonly Shape[], { reduction }: ScatterAttrs): number[] {
  checkInputs('scatterND', inputs, ['x', 'indices', 'updates']);
  const [x, indices, updates] = inputs;
  checkReduction('scatterND', reduction);
  const components = componentsOf('scatterND', x, indices, 0);
  checkExact('scatterND', 'updates', updates, [...indices.slice(0, -1), ...x.slice(components)]);
  return [...x];
}

/** @throws ShapeError, ArgumentError */
export function oneHotShape(inputs: readonly Shape[], { depth, axis, on, off }: OneHotAttrs): number[] {
  checkInputs('oneHot', inputs, ['indices']);
  checkCount('oneHot', 'depth', depth);
  checkFinite('oneHot', 'on', on);
  checkFinite('oneHot', 'off', off);
  const [indices] = inputs;
  const at = normalizeAxis(axis, indices.length + 1, 'oneHot');
  return [...indices.slice(0, at), depth, ...indices.slice(at)];
}
