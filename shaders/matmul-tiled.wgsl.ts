import {
  declareSums,
  declareTiles,
  forEachRow,
  multiplyTiles,
  TILE_INNER,
  type Tile,
  tileThreads,
} from './common/tile.js';
import { type Along, elementAt, type Layouts, productPlan } from './matmul.wgsl.js';

export interface TiledProduct extends Layouts {
  /** Rows and columns of the output that a workgroup of 64 invocations computes. */
  tile: 32 | 64;
  /** Which of a, b and y have rows in memory that are whole vectors of 4. */
  vectors: { a: boolean; b: boolean; y: boolean };
  /** True where `workgroup_id.z` counts products of matrices that lie one after the other, and not slots of one product. */
  batched: boolean;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/** WGSL function `name(start, outer, inner, end)`: 4 numbers along the operand's contiguous axis, zeros beyond its ends. */
function loader(name: 'a' | 'b', along: Along, vectors: boolean): string {
  const [size, stride] = name === 'a' ? ['plan.m', 'plan.aStride'] : ['plan.n', 'plan.bStride'];
  // `end` is where the slot ends; for vectors along the inner axis it is a multiple of 4.
  const load = vectors
    ? `if (outer < ${size} && inner < end) { value = ${name}Values[(start + ${elementAt(along, stride, 'outer', 'inner')}) / 4u]; }`
    : range(4)
        .map((c) => {
          const [outer, inner] = along === 'inner' ? ['outer', `inner + ${c}u`] : [`outer + ${c}u`, 'inner'];
          const at = elementAt(along, stride, outer, inner);
          return `if (${outer} < ${size} && ${inner} < end) { value[${c}] = ${name}Values[start + ${at}]; }`;
        })
        .join('\n  ');
  return `
fn ${name}(start: u32, outer: u32, inner: u32, end: u32) -> vec4f {
  var value = vec4f();
  ${load}
  return value;
}`;
}

/**
 * Tiled matrix product for GPUs: a workgroup of 8 × 8 invocations brings tile × 16 numbers of both operands into its
 * memory and each invocation multiplies tile/8 rows by tile/8 columns in registers. Whichever way an operand lies, a
 * 4 × 4 block is loaded in vectors along its contiguous axis and stored with the outer axis contiguous.
 *
 * Bindings: a, b, y [slots or products, m, n], the plan.
 */
export function matmulTiledShader({ a, b, tile: size, vectors, batched }: TiledProduct): string {
  const half = size === 64 ? 2 : 1;
  const tile: Tile = { threadsX: 8, threadsY: 8, rowVecs: half, columnVecs: half };
  const threads = tileThreads(tile);
  const rowVecs = size / 4;
  const blocks = rowVecs * (TILE_INNER / 4);
  const type = (whole: boolean) => (whole ? 'vec4f' : 'f32');

  const fill = (name: string, along: Along, origin: string): string => {
    const at = (row: string, vec: string) => `${name}Tile[(${row}) * ${rowVecs}u + ${vec}]`;
    if (along === 'outer') {
      return [
        `let vec = block % ${rowVecs}u;`,
        `let inner = block / ${rowVecs}u * 4u;`,
        ...range(4).map(
          (r) => `${at(`inner + ${r}u`, 'vec')} = ${name}(${name}From, ${origin} + 4u * vec, k + inner + ${r}u, end);`,
        ),
      ].join('\n        ');
    }
    return [
      `let vec = block / ${TILE_INNER / 4}u;`,
      `let inner = block % ${TILE_INNER / 4}u * 4u;`,
      ...range(4).map((r) => `let v${r} = ${name}(${name}From, ${origin} + 4u * vec + ${r}u, k + inner, end);`),
      ...range(4).map((c) => `${at(`inner + ${c}u`, 'vec')} = vec4f(v0[${c}], v1[${c}], v2[${c}], v3[${c}]);`),
    ].join('\n        ');
  };

  /** Where the operand of this workgroup begins, in elements. */
  const from = (along: Along, size: string, stride: string): string =>
    batched ? `wid.z * plan.${along === 'inner' ? size : 'k'} * plan.${stride}` : '0u';

  const store = forEachRow(tile, (row, sums) => {
    const stores = sums.flatMap(({ sum, columnVec }) => {
      const column = `column0 + 4u * u32(${columnVec})`;
      if (vectors.y) return [`if (${column} < plan.n) { y[(at + ${column}) / 4u] = ${sum}; }`];
      return range(4).map((c) => `if (${column} + ${c}u < plan.n) { y[at + ${column} + ${c}u] = ${sum}[${c}]; }`);
    });
    return `  if (row0 + u32(${row}) < plan.m) {
    let at = (wid.z * plan.m + row0 + u32(${row})) * plan.n;
    ${stores.join('\n    ')}
  }`;
  });

  return `
@group(0) @binding(0) var<storage, read> aValues: array<${type(vectors.a)}>;
@group(0) @binding(1) var<storage, read> bValues: array<${type(vectors.b)}>;
@group(0) @binding(2) var<storage, read_write> y: array<${type(vectors.y)}>;
${productPlan(3)}
${declareTiles(tile)}
${loader('a', a, vectors.a)}
${loader('b', b, vectors.b)}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let row0 = wid.y * ${size}u;
  let column0 = wid.x * ${size}u;
  ${declareSums(tile)}
  let aFrom = ${from(a, 'm', 'aStride')};
  let bFrom = ${from(b, 'n', 'bStride')};
  let begin = ${batched ? '0u' : 'wid.z * plan.perSlot'};
  let end = min(begin + plan.perSlot, plan.k);
  for (var k = begin; k < end; k += ${TILE_INNER}u) {
    for (var id = lid; id < ${2 * blocks}u; id += ${threads}u) {
      let block = id % ${blocks}u;
      if (id < ${blocks}u) {
        ${fill('a', a, 'row0')}
      } else {
        ${fill('b', b, 'column0')}
      }
    }
    ${multiplyTiles(tile)}
  }
${store}
}`;
}
