import { type Box, padShader, readBoxShader, writeBoxShader } from '../../shaders/layout.wgsl.js';
import { sizeOf } from '../common/shapes.js';
import type { Kernel } from '../gpu/kernel.js';
import { chooseVectors } from './binary.js';
import { elementGrid } from './elementwise.js';

/**
 * The box of size `inner` at `begin` in an array of size `outer`, with as few axes as possible: an axis that the box
 * fills joins the axis before it. Vectors where the last axis is whole vectors.
 */
export function boxOf(
  outer: readonly number[],
  begin: readonly number[],
  inner: readonly number[],
  choose = chooseVectors,
): Box {
  const axes: { outer: number; begin: number; inner: number }[] = [];
  outer.forEach((size, axis) => {
    const last = axes.at(-1);
    if (last && size === inner[axis]) {
      last.outer *= size;
      last.begin *= size;
      last.inner *= size;
    } else axes.push({ outer: size, begin: begin[axis], inner: inner[axis] });
  });
  if (axes.length === 0) axes.push({ outer: 1, begin: 0, inner: 1 });
  const last = axes[axes.length - 1];
  const wholeVectors = [last.outer, last.begin, last.inner].every((size) => choose(size) === 4);
  if (wholeVectors) axes[axes.length - 1] = { outer: last.outer / 4, begin: last.begin / 4, inner: last.inner / 4 };
  return {
    outer: axes.map((axis) => axis.outer),
    begin: axes.map((axis) => axis.begin),
    inner: axes.map((axis) => axis.inner),
    width: wholeVectors ? 4 : 1,
  };
}

/** Reads the box. Bindings: array, box. */
export function readBoxKernel(box: Box): Kernel {
  return { label: 'slice', ...readBoxShader(box), workgroups: elementGrid(sizeOf(box.inner)) };
}

/** Writes the box and leaves the rest of the array. Bindings: box, array. */
export function writeBoxKernel(box: Box): Kernel {
  return { label: 'concat', ...writeBoxShader(box), workgroups: elementGrid(sizeOf(box.inner)) };
}

/** Surrounds the box with `value`. Bindings: box, array. */
export function padKernel(box: Box, value: number): Kernel {
  return { label: 'pad', ...padShader(box, value), workgroups: elementGrid(sizeOf(box.outer)) };
}
