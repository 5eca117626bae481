import type { Shader } from '../src/common/shader.js';
import { read, shader, vectorType, write } from './common/bindings.js';
import { BLOCK, declareSums, endBlock, finalSum, freshSums, type Levels } from './common/blocks.js';
import { storeProduct } from './common/product.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';
import { type Along, productPlan } from './matmul.wgsl.js';

/**
 * A product from the view of one invocation: it has its own rows in one operand, and shares the rows of the other with its
 * workgroup. Either operand of a·b may be the one with own rows. All strides and the inner size are multiples of 4 (zeros fill
 * them up).
 */
export interface RegisterProduct {
  /** The operand whose rows (or columns) the invocations split up. */
  own: 'a' | 'b';
  /** How that one and the other lie in memory. */
  ownAlong: Along;
  sharedAlong: Along;
  /** Rows of each that an invocation multiplies: its sums are ownTile × sharedTile numbers in registers. Multiples of 4. */
  ownTile: number;
  sharedTile: number;
  /** True where n is a multiple of 4, so that rows of the output are whole vectors. */
  vectorOutput: boolean;
  /** True where `workgroup_id.z` counts products of matrices that lie one after the other, and not parts of one product. */
  batched: boolean;
  /** Levels of the sums over the inner elements of a part. */
  levels: Levels;
  workgroup: number;
  /** Subgroup size when the shared rows are loaded once a subgroup and broadcast; 0 without subgroups. */
  subgroup: number;
}

/**
 * WGSL of where operand `name` lies. Of a tile of T rows, T vectors hold 4 inner elements, whichever way they lie: vector r
 * is of row outer0 + r, or, where rows lie along the outer axis, of inner element r / (T / 4), 4 rows in it.
 */
function operandFunctions(name: 'own' | 'shared', operand: 'a' | 'b', along: Along, tile: number): string {
  const [size, stride] = operand === 'a' ? ['plan.m', 'plan.aStride'] : ['plan.n', 'plan.bStride'];
  return wgsl`
const ${name}Tile = ${tile};
fn ${name}Start(outer0: u32, r: u32) -> u32 {
  let stride = ${stride} / 4;
#if ${along === 'inner'}
  return min(outer0 + r, ${size} - 1) * stride;
#else
  return r / (${name}Tile / 4) * stride + min(outer0 / 4 + r % (${name}Tile / 4), stride - 1);
#endif
}
/** Vectors from one step of 4 inner elements to the next, and from one product to the next. */
#if ${along === 'inner'}
fn ${name}StepOf() -> u32 { return 1; }
fn ${name}Matrix() -> u32 { return ${size} * (${stride} / 4); }
#else
fn ${name}StepOf() -> u32 { return ${stride}; }
fn ${name}Matrix() -> u32 { return plan.k * (${stride} / 4); }
#endif`;
}

/**
 * Matrix product without barriers, for adapters where barriers are slow. A storage load costs about as much as 30
 * multiply-adds on lavapipe, so an invocation takes 4 inner elements at a time, in vectors along whichever axis is
 * contiguous, and each number loaded meets all rows of the other operand. With subgroups the lanes share the loading of
 * the shared rows: each loads a part, which `subgroupBroadcast` gives to the others.
 *
 * Bindings: own, shared, y [parts or products, m, n], the plan.
 */
export function matmulRegisterShader(product: RegisterProduct): Shader {
  const { own, ownAlong, sharedAlong, ownTile, sharedTile, vectorOutput, batched, levels, workgroup, subgroup } =
    product;
  const [ownVecs, sharedVecs] = [ownTile / 4, sharedTile / 4];
  const shares = subgroup ? Math.ceil(sharedTile / subgroup) : sharedTile;
  /** Own row r, inner element e. */
  const ownNumber = (r: number, e: number): string =>
    ownAlong === 'inner' ? `x${r}[${e}]` : `x${e * ownVecs + Math.floor(r / 4)}[${r % 4}]`;
  /** Shared vector m of a step. */
  const sharedVector = (m: number): string =>
    subgroup ? `subgroupBroadcast(part${m % shares}, ${m}u / SHARES)` : `part${m}`;
  const sum = (r: number, v: number): string => finalSum(levels, r, v);
  return shader(
    {
      ownRows: read('vec4f'),
      sharedRows: read('vec4f'),
      y: write(vectorType(vectorOutput ? 4 : 1)),
      plan: productPlan,
    },
    (declarations) => wgsl`
#if ${subgroup}
enable subgroups;
#endif
${declarations}
${operandFunctions('own', own, ownAlong, ownTile)}
${operandFunctions('shared', own === 'a' ? 'b' : 'a', sharedAlong, sharedTile)}
${storeProduct(vectorOutput)}
const SHARES = ${shares}; // shared vectors that a lane loads in a step
const BLOCK_STEPS = ${BLOCK / 4}; // steps of a block of the sums

@compute @workgroup_size(${workgroup})
fn main(
  @builtin(workgroup_id) wid: vec3u,
  @builtin(local_invocation_index) lid: u32,
#if ${subgroup}
  @builtin(subgroup_invocation_id) lane: u32,
#endif
) {
  // Rows past the end repeat the last one without storing: broadcasts need every lane.
  let own0 = (wid.x * ${workgroup} + lid) * ownTile;
  let shared0 = wid.y * sharedTile;
#if ${subgroup}
  let share0 = lane * SHARES;
#else
  let share0 = 0u;
#endif
#if ${batched}
  let matrix = wid.z;
  let begin = 0u;
#else
  let matrix = 0u;
  let begin = wid.z * plan.perPart / 4; // in steps of 4 inner elements
#endif
  let end = min(begin + plan.perPart / 4, plan.k / 4);
  ${unroll(
    shares,
    (r) => `let sharedAt${r} = matrix * sharedMatrix() + sharedStart(shared0, min(share0 + ${r}, sharedTile - 1));`,
  )}
  ${unroll(ownTile, (r) => `let ownAt${r} = matrix * ownMatrix() + ownStart(own0, ${r});`)}
  let sharedStep = sharedStepOf();
  let ownStep = ownStepOf();
  ${declareSums(levels, ownTile, sharedVecs)}
#if ${levels > 1}
  for (var k0 = begin; k0 < end; k0 += BLOCK_STEPS) {
    ${freshSums(ownTile, sharedVecs)}
    for (var k = k0; k < min(k0 + BLOCK_STEPS, end); k++) {
#else
    for (var k = begin; k < end; k++) {
#endif
      ${unroll(shares, (r) => `let part${r} = sharedRows[sharedAt${r} + k * sharedStep];`)}
      ${unroll(ownTile, (r) => `let x${r} = ownRows[ownAt${r} + k * ownStep];`)}
      ${unroll(
        sharedVecs,
        (v) => wgsl`
      ${unroll(
        4,
        (e) => wgsl`
#if ${sharedAlong === 'inner'}
      let w${4 * v + e} = ${sharedVector(4 * v + e)};
#else
      let v${e}_${v} = ${sharedVector(e * sharedVecs + v)};
#endif`,
      )}
#if ${sharedAlong === 'inner'}
      ${unroll(4, (e) => `let v${e}_${v} = vec4f(${unroll(4, (c) => `w${4 * v + c}[${e}],`)});`)}
#endif
      ${unroll(ownTile, (r) =>
        // All four of a sum, one after the other: registers hold it meanwhile.
        unroll(4, (e) => `sum${r}_${v} = fma(vec4f(${ownNumber(r, e)}), v${e}_${v}, sum${r}_${v});`),
      )}`,
      )}
    }
#if ${levels > 1}
    ${endBlock(levels, ownTile, sharedVecs, '(k0 - begin) / BLOCK_STEPS')}
  }
#endif
  let first = wid.z * plan.m; // row of y
#if ${own === 'a'}
  ${unroll(
    ownTile,
    (r) => wgsl`
  if (own0 + ${r} < plan.m) {
    let start = (first + own0 + ${r}) * plan.n;
    ${unroll(sharedVecs, (v) => `storeSums(start, shared0 + 4 * ${v}, ${sum(r, v)});`)}
  }`,
  )}
#else
  // Own rows are columns of the output: the sums lie across.
  ${unroll(
    sharedTile,
    (j) => wgsl`
  if (shared0 + ${j} < plan.m) {
    let start = (first + shared0 + ${j}) * plan.n;
    ${unroll(ownVecs, (v) => {
      const across = unroll(4, (e) => `${sum(4 * v + e, Math.floor(j / 4))}[${j % 4}],`);
      return `storeSums(start, own0 + 4 * ${v}, vec4f(${across}));`;
    })}
  }`,
  )}
#endif
}`,
  );
}
