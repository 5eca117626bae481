import type { Shader } from '../src/common/shader.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { BLOCK, declareSums, endBlock, finalSum } from './common/blocks.js';
import { storeProduct } from './common/product.js';
import { multiplyTiles, type Tile, tileHead } from './common/tile.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';
import { type Along, type Layouts, productPlan } from './matmul.wgsl.js';

export interface TiledProduct extends Layouts {
  /** Rows and columns of the output that a workgroup of 64 invocations computes. */
  tile: 32 | 64;
  /** Which of a, b and y have rows in memory that are whole vectors of 4. */
  vectors: { a: boolean; b: boolean; y: boolean };
  /** True where `workgroup_id.z` counts products of matrices that lie one after the other, and not parts of one product. */
  batched: boolean;
}

/**
 * WGSL that loads operand `name`: `loadA(start, outer, inner, end)` is 4 numbers along the axis along which it lies in
 * memory, zeros beyond its end (and beyond `end` of the inner axis, where the part ends), and `fillA` brings a block of
 * 4 × 4 numbers into workgroup memory, with the outer axis contiguous there.
 */
function operandFunctions(name: 'A' | 'B', along: Along, vectors: boolean): string {
  const [size, stride, values, vecs] =
    name === 'A' ? ['plan.m', 'plan.aStride', 'a', 'ROW_VECS'] : ['plan.n', 'plan.bStride', 'b', 'COLUMN_VECS'];
  return wgsl`
fn load${name}(start: u32, outer: u32, inner: u32, end: u32) -> vec4f {
#if ${along === 'inner'}
  let at = start + outer * ${stride} + inner;
  let inside = (vec4u(outer) < vec4u(${size})) & (vec4u(inner) + vec4u(0, 1, 2, 3) < vec4u(end));
#else
  let at = start + inner * ${stride} + outer;
  let inside = (vec4u(outer) + vec4u(0, 1, 2, 3) < vec4u(${size})) & (vec4u(inner) < vec4u(end));
#endif
  var value = vec4f();
#if ${vectors}
  if (inside[0]) { value = ${values}[at / 4]; } // the end is a multiple of 4, too
#else
  for (var e = 0u; e < 4; e++) {
    if (inside[e]) { value[e] = ${values}[at + e]; }
  }
#endif
  return value;
}

fn fill${name}(block: u32, start: u32, outer0: u32, inner0: u32, end: u32) {
#if ${along === 'outer'}
  let vec = block % ${vecs};
  let inner = block / ${vecs} * 4;
  for (var e = 0u; e < 4; e++) {
    ${values}Tile[(inner + e) * ${vecs} + vec] = load${name}(start, outer0 + 4 * vec, inner0 + inner + e, end);
  }
#else
  let vec = block / (INNER / 4);
  let inner = block % (INNER / 4) * 4;
  let outer = outer0 + 4 * vec;
  ${unroll(4, (e) => `let v${e} = load${name}(start, outer + ${e}, inner0 + inner, end);`)}
  for (var e = 0u; e < 4; e++) { ${values}Tile[(inner + e) * ${vecs} + vec] = vec4f(v0[e], v1[e], v2[e], v3[e]); }
#endif
}`;
}

/**
 * Tiled matrix product for GPUs: a workgroup of 8 × 8 invocations brings tile × 16 numbers of both operands into its
 * memory and each invocation multiplies tile/8 rows by tile/8 columns in registers. Whichever way an operand lies, a
 * 4 × 4 block is loaded in vectors along its contiguous axis and stored with the outer axis contiguous.
 *
 * Bindings: a, b, y [parts or products, m, n], the plan.
 */
export function matmulTiledShader({ a, b, tile: size, vectors, batched }: TiledProduct): Shader {
  const half = size === 64 ? 2 : 1;
  const tile: Tile = { threadsX: 8, threadsY: 8, rowVecs: half, columnVecs: half };
  return shader(
    {
      a: read(vectorType(vectors.a ? 4 : 1)),
      b: read(vectorType(vectors.b ? 4 : 1)),
      y: write(vectorType(vectors.y ? 4 : 1)),
      plan: productPlan,
    },
    (declarations) => wgsl`
${declarations}
${tileHead(tile, 'vec4f')}
const BLOCK = ${BLOCK}; // inner elements of a block of the sums
${operandFunctions('A', a, vectors.a)}
${operandFunctions('B', b, vectors.b)}
${storeProduct(vectors.y)}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32) {
  let tx = i32(lid) % THREADS_X;
  let ty = i32(lid) / THREADS_X;
  let row0 = wid.y * TILE_ROWS;
  let column0 = wid.x * 4 * COLUMN_VECS;
#if ${batched}
  let aFrom = wid.z * plan.${a === 'inner' ? 'm' : 'k'} * plan.aStride;
  let bFrom = wid.z * plan.${b === 'inner' ? 'n' : 'k'} * plan.bStride;
  let begin = 0u;
#else
  let aFrom = 0u;
  let bFrom = 0u;
  let begin = wid.z * plan.perPart;
#endif
  let end = min(begin + plan.perPart, plan.k);
  ${declareSums(2, 4 * half, half)}
  for (var k0 = begin; k0 < end; k0 += BLOCK) {
    for (var k = k0; k < min(k0 + BLOCK, end); k += INNER) {
      for (var id = lid; id < (ROW_VECS + COLUMN_VECS) * (INNER / 4); id += THREADS) {
        if (id < ROW_VECS * (INNER / 4)) {
          fillA(id, aFrom, row0, k, end);
        } else {
          fillB(id - ROW_VECS * (INNER / 4), bFrom, column0, k, end);
        }
      }
      ${multiplyTiles(tile)}
    }
    ${endBlock(2, 4 * half, half, '')}
  }
  ${unroll(
    4 * half,
    (r) => wgsl`
  let outputRow${r} = row0 + u32(tileRow(ty, ${r}));
  if (outputRow${r} < plan.m) {
    let start = (wid.z * plan.m + outputRow${r}) * plan.n;
    ${unroll(half, (c) => `storeSums(start, column0 + 4 * u32(tileColumnVec(tx, ${c})), ${finalSum(2, r, c)});`)}
  }`,
  )}
}`,
  );
}
