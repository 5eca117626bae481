import { applyEpilogue, type Epilogue, loadEpilogue } from './common/gather.js';
import { linearMain, storageBindings } from './common/linear-index.js';
import { f32Literal } from './common/literal.js';
import { WINOGRAD, type WinogradOutputs, winogradPoints } from './common/winograd.js';

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/** WGSL of Σ row[k]·names[k], without the terms that are zero. */
function combination(row: readonly number[], names: readonly string[]): string {
  return row.reduce((sum, factor, k) => {
    if (factor === 0) return sum;
    const size = Math.abs(factor);
    const term = size === 1 ? names[k] : `${f32Literal(size)} * ${names[k]}`;
    if (sum === '') return factor < 0 ? `-(${term})` : term;
    return `${sum} ${factor < 0 ? '-' : '+'} ${term}`;
  }, '');
}

/** WGSL that declares `to{i}_{j}` = M·from·Mᵀ from square `from{i}_{j}`, by columns and then by rows. */
function bothAxes(matrix: readonly (readonly number[])[], from: string, to: string): string {
  const inner = range(matrix[0].length);
  const columns = inner.flatMap((j) =>
    matrix.map((row, i) => {
      const names = inner.map((k) => `${from}${k}_${j}`);
      return `let ${from}${to}${i}_${j} = ${combination(row, names)};`;
    }),
  );
  const rows = matrix.flatMap((_, i) =>
    matrix.map((row, j) => {
      const names = inner.map((k) => `${from}${to}${i}_${k}`);
      return `let ${to}${i}_${j} = ${combination(row, names)};`;
    }),
  );
  return [...columns, ...rows].join('\n  ');
}

/** The pairs (i, j) of a square of that side. */
const square = (side: number): [number, number][] =>
  range(side).flatMap((i) => range(side).map((j): [number, number] => [i, j]));

/** Adjacent channels an invocation takes; 4 only where whole vectors of them lie in memory. */
export type WinogradWidth = 1 | 4;

const typeOf = (width: WinogradWidth): string => (width === 4 ? 'vec4f' : 'f32');

/**
 * Declares the uniform of a picture's kernel, at the given binding: sizes, so that one pipeline serves every shape, since
 * the long straight code takes CPU adapters long to compile. `src/kernels/conv-winograd.ts` fills it.
 */
function picturePlan(binding: number): string {
  return `
struct Plan {
  h: i32, w: i32, // of the picture
  units: i32, // of adjacent channels in it,
  unitsPadded: i32, // and in what lies tile by tile
  down: i32, across: i32, // tiles along H and W
  count: i32, // numbers or vectors of all tiles together, for one point
  top: i32, left: i32, // zeros before the first row and column
}
@group(0) @binding(${binding}) var<uniform> plan: Plan;`;
}

/** WGSL of the place of the invocation's tile, whose first output is at (row, column), and the channels it takes. */
const tilePlace = (outputs: WinogradOutputs): string => `
  let unit = i32(i) % plan.unitsPadded;
  let tile = i32(i) / plan.unitsPadded;
  let row = tile / plan.across % plan.down * ${outputs};
  let column = tile % plan.across * ${outputs};
  let n = tile / plan.across / plan.down;`;

/** Bᵀ·d·B of every tile of the source, zeros around it. Bindings: source, result [points², tiles, C₄], the plan. */
export function winogradSourceShader(outputs: WinogradOutputs, width: WinogradWidth): string {
  const points = winogradPoints(outputs);
  // Reads beyond an edge are of the edge, and not used.
  const axis = (name: string, first: string, size: string): string =>
    range(points)
      .map(
        (k) => `let ${name}${k} = clamp(${first} + ${k}, 0, ${size} - 1);
  let ${name}In${k} = ${name}${k} == ${first} + ${k};`,
      )
      .join('\n  ');
  const load = ([i, j]: [number, number]): string => {
    const value = `x[((n * plan.h + row${i}) * plan.w + column${j}) * plan.units + channel]`;
    return `let d${i}_${j} = select(${typeOf(width)}(), ${value}, isChannel && rowIn${i} && columnIn${j});`;
  };
  return `
${storageBindings(typeOf(width), ['x', 'r'], ['result', 'w'])}
${picturePlan(2)}
${linearMain('u32(plan.count)')}
  ${tilePlace(outputs)}
  let channel = min(unit, plan.units - 1);
  let isChannel = channel == unit;
  ${axis('row', 'row - plan.top', 'plan.h')}
  ${axis('column', 'column - plan.left', 'plan.w')}
  ${square(points).map(load).join('\n  ')}
  ${bothAxes(WINOGRAD[outputs].source, 'd', 'v')}
  ${square(points)
    .map(([i, j]) => `result[i32(i) + ${i * points + j} * plan.count] = v${i}_${j};`)
    .join('\n  ')}
}`;
}

/**
 * G·g·Gᵀ of every window of 3 × 3.
 * Bindings: weights [3, 3, rows, columns], result [points², rows₄, columns₄] with zeros beyond, the plan.
 *
 * @param flipped true where the taps run backwards along both axes: an input gradient
 */
export function winogradWeightsShader(outputs: WinogradOutputs, flipped: boolean): string {
  const points = winogradPoints(outputs);
  const tap = (i: number, j: number): number => (flipped ? 3 * (2 - i) + 2 - j : 3 * i + j);
  return `
${storageBindings('f32', ['weights', 'r'], ['result', 'w'])}
struct Plan { rows: u32, columns: u32, rowsPadded: u32, columnsPadded: u32 }
@group(0) @binding(2) var<uniform> plan: Plan;
${linearMain('plan.rowsPadded * plan.columnsPadded')}
  let row = i / plan.columnsPadded;
  let column = i % plan.columnsPadded;
  let inside = row < plan.rows && column < plan.columns;
  let at = select(0u, row * plan.columns + column, inside);
  let matrix = plan.rows * plan.columns;
  ${square(3)
    .map(([i, j]) => `let g${i}_${j} = select(0.0, weights[at + ${tap(i, j)}u * matrix], inside);`)
    .join('\n  ')}
  ${bothAxes(WINOGRAD[outputs].weights, 'g', 'u')}
  let padded = plan.rowsPadded * plan.columnsPadded;
  ${square(points)
    .map(([i, j]) => `result[i + ${i * points + j}u * padded] = u${i}_${j};`)
    .join('\n  ')}
}`;
}

/**
 * Aᵀ·p·A of every tile's products, and the epilogue.
 * Bindings: products [points², tiles, C₄], what the epilogue needs, dest, the plan.
 *
 * @param channels of the dest, of which the epilogue has numbers
 */
export function winogradDestShader(
  outputs: WinogradOutputs,
  width: WinogradWidth,
  epilogue: Epilogue,
  channels: number,
): string {
  const points = winogradPoints(outputs);
  const hasEpilogue = epilogue !== 'none';
  const store = ([i, j]: [number, number]): string => {
    const at = `((n * plan.h + row + ${i}) * plan.w + column + ${j}) * plan.units + unit`;
    const inside = [...(i > 0 ? [`row + ${i} < plan.h`] : []), ...(j > 0 ? [`column + ${j} < plan.w`] : [])];
    const text = `dest[${at}] = ${applyEpilogue(epilogue, `y${i}_${j}`, '', width)};`;
    return inside.length > 0 ? `if (${inside.join(' && ')}) { ${text} }` : text;
  };
  return `
@group(0) @binding(0) var<storage, read> products: array<${typeOf(width)}>;
${hasEpilogue ? '@group(0) @binding(1) var<storage, read> epilogue: array<f32>;' : ''}
@group(0) @binding(${hasEpilogue ? 2 : 1}) var<storage, read_write> dest: array<${typeOf(width)}>;
${picturePlan(hasEpilogue ? 3 : 2)}
${linearMain('u32(plan.count)')}
  ${tilePlace(outputs)}
  if (unit >= plan.units) { return; }
  ${square(points)
    .map(([i, j]) => `let p${i}_${j} = products[i32(i) + ${i * points + j} * plan.count];`)
    .join('\n  ')}
  ${bothAxes(WINOGRAD[outputs].dest, 'p', 'y')}
  ${loadEpilogue(epilogue, channels, `${width} * unit`, '', width)}
  ${square(outputs).map(store).join('\n  ')}
}`;
}
