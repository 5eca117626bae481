import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, vectorType, write } from './common/bindings.js';
import { type Epilogue, epilogueArray, epilogueFunctions } from './common/epilogue.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';
import { type WinogradOutputs, winogradPoints, winogradTransforms } from './common/winograd.js';

/** Adjacent channels an invocation takes; 4 only where whole vectors of them lie in memory. */
export type WinogradWidth = 1 | 4;

/*
 * The transforms are written out point by point, because their terms differ. The sizes are in the uniform, so that one pipeline serves every shape: the long straight code takes CPU adapters long
 * to compile. `src/ops/conv/winograd.ts` fills it.
 */

/** Uniform of kernels that go through the tiles of a picture. */
const tileFields = {
  // The picture that is read, or the dest.
  h: 'i32',
  w: 'i32',
  // Units of adjacent channels in it, and in what lies tile by tile.
  units: 'i32',
  unitsPadded: 'i32',
  // Tiles along H and W.
  down: 'i32',
  across: 'i32',
  // Numbers or vectors of all tiles together, for one point.
  count: 'i32',
  // Zeros before the source's first row and column.
  top: 'i32',
  left: 'i32',
} as const;

// Of tiles beyond the last picture zeros are stored.
export const winogradSourcePlan = /* @__PURE__ */ uniform({ ...tileFields, batch: 'i32' });

export const winogradWeightsPlan = /* @__PURE__ */ uniform({
  rows: 'u32',
  columns: 'u32',
  rowsPadded: 'u32',
  columnsPadded: 'u32',
});

export const winogradDestPlan = /* @__PURE__ */ uniform({
  ...tileFields,
  sourceH: 'i32',
  sourceW: 'i32',
  sourceChannels: 'i32',
  // Where tap (0, 0) of the pass lies in the weights, and how far its taps and channels are apart.
  tap0: 'i32',
  tapStride: 'i32',
  sourceStride: 'i32',
  destStride: 'i32',
});

/**
 * Bᵀ·d·B of every tile of the source, or A·dy·Aᵀ of every tile of the output's gradient, zeros around it.
 * Bindings: source, result [points², tiles, C₄], the plan.
 */
export function winogradSourceShader(outputs: WinogradOutputs, width: WinogradWidth, gradient = false): Shader {
  const points = winogradPoints(outputs);
  const size = gradient ? outputs : points;
  const transform = gradient ? 'transformGradient' : 'transformSource';
  const V = vectorType(width);
  return shader(
    { source: read(V), result: write(V), plan: winogradSourcePlan },
    (declarations) => wgsl`
alias V = ${V};
const OUTPUTS = ${outputs}; // along an axis of a tile
const POINTS = ${points};
${declarations}
${winogradTransforms(outputs)}

fn loadSource(n: i32, row: i32, column: i32, unit: i32) -> V {
  let h = clamp(row, 0, plan.h - 1);
  let w = clamp(column, 0, plan.w - 1);
  let c = min(unit, plan.units - 1);
  let value = source[((n * plan.h + h) * plan.w + w) * plan.units + c];
  return select(V(), value, h == row && w == column && c == unit && n < plan.batch);
}

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32(plan.count)) { return; }
  let unit = i32(i) % plan.unitsPadded;
  let tile = i32(i) / plan.unitsPadded;
  let row = tile / plan.across % plan.down * OUTPUTS - plan.top;
  let column = tile % plan.across * OUTPUTS - plan.left;
  let n = tile / plan.across / plan.down;
  ${unroll(
    size,
    (q) => wgsl`
  let column${q} = ${transform}(${unroll(size, (p) => `loadSource(n, row + ${p}, column + ${q}, unit),`)});`,
  )}
  ${unroll(
    points,
    (p) => wgsl`
  let row${p} = ${transform}(${unroll(size, (q) => `column${q}.p${p},`)});
  ${unroll(points, (q) => `result[i32(i) + (${p} * POINTS + ${q}) * plan.count] = row${p}.p${q};`)}`,
  )}
}`,
  );
}

/**
 * G·g·Gᵀ of every window of 3 × 3.
 * Bindings: weights [3, 3, rows, columns], result [points², rows₄, columns₄] with zeros beyond, the plan.
 *
 * @param flipped true if the taps run backwards along both axes, as in an input gradient
 */
export function winogradWeightsShader(outputs: WinogradOutputs, flipped: boolean): Shader {
  const points = winogradPoints(outputs);
  return shader(
    { weights: read('f32'), result: write('f32'), plan: winogradWeightsPlan },
    (declarations) => wgsl`
alias V = f32;
const POINTS = ${points};
${declarations}
${winogradTransforms(outputs)}

fn loadWeight(h: u32, w: u32, row: u32, column: u32) -> f32 {
#if ${flipped}
  let tap = 8 - 3 * h - w;
#else
  let tap = 3 * h + w;
#endif
  let inside = row < plan.rows && column < plan.columns;
  return select(0.0, weights[select(0, (tap * plan.rows + row) * plan.columns + column, inside)], inside);
}

${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.rowsPadded * plan.columnsPadded) { return; }
  let row = i / plan.columnsPadded;
  let column = i % plan.columnsPadded;
  let count = plan.rowsPadded * plan.columnsPadded;
  ${unroll(
    3,
    (w) => wgsl`
  let column${w} = transformWeights(${unroll(3, (h) => `loadWeight(${h}, ${w}, row, column),`)});`,
  )}
  ${unroll(
    points,
    (p) => wgsl`
  let row${p} = transformWeights(column0.p${p}, column1.p${p}, column2.p${p});
  ${unroll(points, (q) => `result[i + (${p} * POINTS + ${q}) * count] = row${p}.p${q};`)}`,
  )}
}`,
  );
}

/**
 * Aᵀ·p·A of every tile's products, and the epilogue. Where a result of a tile is not finite, all of them are summed up from
 * the source: the transforms spread a NaN or an infinity over the whole tile, and infinities of both signs make NaN.
 *
 * Bindings: products [points², tiles, C₄], source, weights, what the epilogue needs, dest, the plan.
 *
 * @param channels of the dest, of which the epilogue has numbers
 */
export function winogradDestShader(
  outputs: WinogradOutputs,
  width: WinogradWidth,
  epilogue: Epilogue,
  channels: number,
): Shader {
  const points = winogradPoints(outputs);
  const V = vectorType(width);
  return shader(
    {
      products: read(V),
      source: read('f32'),
      weights: read('f32'),
      epilogue: epilogueArray(epilogue, channels, width),
      dest: write(V),
      plan: winogradDestPlan,
    },
    (declarations) => wgsl`
alias V = ${V};
const OUTPUTS = ${outputs}; // along an axis of a tile
const POINTS = ${points};
${declarations}
${epilogueFunctions(epilogue, channels, width)}
${winogradTransforms(outputs)}

fn storeDest(n: i32, row: i32, column: i32, unit: i32, value: V) {
  if (row < plan.h && column < plan.w) { dest[((n * plan.h + row) * plan.w + column) * plan.units + unit] = value; }
}

/** The result for one pixel and channel, tap by tap. */
fn convolve(n: i32, row: i32, column: i32, channel: i32) -> f32 {
  var total = 0.0;
  for (var tap = 0; tap < 9; tap++) {
    let h = row - plan.top + tap / 3;
    let w = column - plan.left + tap % 3;
    if (h < 0 || h >= plan.sourceH || w < 0 || w >= plan.sourceW) { continue; }
    let at = ((n * plan.sourceH + h) * plan.sourceW + w) * plan.sourceChannels;
    let weight = plan.tap0 + tap * plan.tapStride + channel * plan.destStride;
    var sum = 0.0;
    for (var c = 0; c < plan.sourceChannels; c++) {
      sum = fma(source[at + c], weights[weight + c * plan.sourceStride], sum);
    }
    total += sum;
  }
  return total;
}

${nonFiniteFunctions(width)}

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32(plan.count)) { return; }
  let unit = i32(i) % plan.unitsPadded;
  let tile = i32(i) / plan.unitsPadded;
  let row = tile / plan.across % plan.down * OUTPUTS;
  let column = tile % plan.across * OUTPUTS;
  let n = tile / plan.across / plan.down;
  if (unit >= plan.units) { return; }
  ${unroll(
    points,
    (q) => wgsl`
  let column${q} = transformProducts(${unroll(points, (p) => `products[i32(i) + (${p} * POINTS + ${q}) * plan.count],`)});`,
  )}
  var spread = false;
  ${unroll(
    outputs,
    (p) => wgsl`
  let row${p} = transformProducts(${unroll(points, (q) => `column${q}.y${p},`)});
  ${unroll(outputs, (q) => `spread = spread || !all(isFinite(row${p}.y${q}));`)}`,
  )}
  let numbers = loadEpilogue(unit);
  if (spread) {
    for (var k = 0; k < OUTPUTS * OUTPUTS; k++) {
      let h = row + k / OUTPUTS;
      let w = column + k % OUTPUTS;
#if ${width === 4}
      var sum = V();
      for (var c = 0; c < 4; c++) { sum[c] = convolve(n, h, w, 4 * unit + c); }
#else
      let sum = convolve(n, h, w, unit);
#endif
      storeDest(n, h, w, unit, applyEpilogue(sum, numbers));
    }
    return;
  }
  ${unroll(outputs, (p) =>
    unroll(outputs, (q) => `storeDest(n, row + ${p}, column + ${q}, unit, applyEpilogue(row${p}.y${q}, numbers));`),
  )}
}`,
  );
}

export const winogradWeightGradientPlan = /* @__PURE__ */ uniform({
  // Channels of the input and the output, and rounded up to whole vectors.
  cin: 'i32',
  cout: 'i32',
  cinPadded: 'i32',
  coutPadded: 'i32',
  // Parts of each sum over the tiles.
  parts: 'i32',
  batch: 'i32',
  h: 'i32',
  w: 'i32',
  outputH: 'i32',
  outputW: 'i32',
  top: 'i32',
  left: 'i32',
});

/**
 * Gᵀ·p·G of the products of every pair of channels. Where a result is not finite, all nine are summed up from the pictures.
 * Bindings: products [points², parts, Cin₄, Cout₄], input, output (its gradient), gradient [3, 3, Cin, Cout], the plan.
 */
export function winogradWeightGradientShader(outputs: WinogradOutputs): Shader {
  const points = winogradPoints(outputs);
  return shader(
    {
      products: read('f32'),
      input: read('f32'),
      output: read('f32'),
      gradient: write('f32'),
      plan: winogradWeightGradientPlan,
    },
    (declarations) => wgsl`
alias V = f32;
const POINTS = ${points};
${declarations}
${winogradTransforms(outputs)}
${nonFiniteFunctions()}

/** The sum over all pixels for one tap, row by row. */
fn correlate(tap: i32, ci: i32, co: i32) -> f32 {
  let kh = tap / 3 - plan.top;
  let kw = tap % 3 - plan.left;
  var total = 0.0;
  for (var row = 0; row < plan.batch * plan.outputH; row++) {
    let h = row % plan.outputH + kh;
    if (h < 0 || h >= plan.h) { continue; }
    let at = (row / plan.outputH * plan.h + h) * plan.w + kw;
    var sum = 0.0;
    for (var w = max(0, -kw); w < min(plan.outputW, plan.w - kw); w++) {
      sum = fma(input[(at + w) * plan.cin + ci], output[(row * plan.outputW + w) * plan.cout + co], sum);
    }
    total += sum;
  }
  return total;
}

${linearHead} {
  let i = i32(${linearIndex});
  if (i >= plan.cin * plan.cout) { return; }
  let ci = i / plan.cout;
  let co = i % plan.cout;
  let count = plan.cinPadded * plan.coutPadded;
  ${unroll(9, (tap) => `var sum${tap} = 0.0;`)}
  for (var part = 0; part < plan.parts; part++) {
    let at = part * count + ci * plan.coutPadded + co;
    ${unroll(
      points,
      (q) => wgsl`
    let column${q} = transformWeightGradient(${unroll(
      points,
      (p) => `products[at + (${p} * POINTS + ${q}) * plan.parts * count],`,
    )});`,
    )}
    ${unroll(
      3,
      (h) => wgsl`
    let row${h} = transformWeightGradient(${unroll(points, (q) => `column${q}.g${h},`)});
    ${unroll(3, (w) => `sum${3 * h + w} += row${h}.g${w};`)}`,
    )}
  }
  if (${unroll(9, (tap) => `isFinite(sum${tap}) && `)}true) {
    ${unroll(9, (tap) => `gradient[i + ${tap} * plan.cin * plan.cout] = sum${tap};`)}
    return;
  }
  for (var tap = 0; tap < 9; tap++) { gradient[i + tap * plan.cin * plan.cout] = correlate(tap, ci, co); }
}`,
  );
}
