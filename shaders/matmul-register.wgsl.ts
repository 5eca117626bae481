import { type Along, productPlan } from './matmul.wgsl.js';

/**
 * A product as one invocation sees it: it has rows of its own in one operand and shares the rows of the other with its
 * workgroup. Either operand of a·b may be its own one. All strides and the inner size are multiples of 4 (zeros fill
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
  /** True where `workgroup_id.z` counts products of matrices that lie one after the other, and not slots of one product. */
  batched: boolean;
  workgroup: number;
  /** Subgroup size when the shared rows are loaded once a subgroup and broadcast; 0 without subgroups. */
  subgroup: number;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/**
 * Matrix product without barriers, for adapters where barriers are dear. A storage load costs about as much as 30
 * multiply-adds on lavapipe, so an invocation takes 4 inner elements at a time, in vectors along whichever axis is
 * contiguous, and each number loaded meets all rows of the other operand. With subgroups the lanes share the loading of
 * the shared rows: each loads a part, `subgroupBroadcast` hands it round.
 *
 * Bindings: own, shared, y [slots or products, m, n], the plan.
 */
export function matmulRegisterShader(product: RegisterProduct): string {
  const { own, ownAlong, sharedAlong, ownTile, sharedTile, vectorOutput, batched, workgroup, subgroup } = product;
  const ownVecs = range(ownTile / 4);
  const sharedVecs = range(sharedTile / 4);
  const perLane = subgroup ? Math.ceil(sharedTile / subgroup) : sharedTile;

  // Of either operand, as many vectors as its tile has rows hold 4 inner elements, whichever way they lie.
  const ownBase = (r: number): string =>
    ownAlong === 'inner'
      ? `min(own0 + ${r}u, ownSize - 1u) * ownStride`
      : `${Math.floor(r / ownVecs.length)}u * ownStride + min(own0 / 4u + ${r % ownVecs.length}u, ownStride - 1u)`;
  const sharedIndex = (r: number): string =>
    subgroup ? `min(lane * ${perLane}u + ${r}u, ${sharedTile - 1}u)` : `${r}u`;
  const sharedBase = (r: number): string =>
    sharedAlong === 'inner'
      ? `min(shared0 + ${sharedIndex(r)}, sharedSize - 1u) * sharedStride`
      : `${sharedIndex(r)} / ${sharedVecs.length}u * sharedStride + min(shared0 / 4u + ${sharedIndex(r)} % ${sharedVecs.length}u, sharedStride - 1u)`;

  /** Number of own row r, inner element `step`. */
  const ownNumber = (r: number, step: number): string =>
    ownAlong === 'inner' ? `x${r}.${'xyzw'[step]}` : `x${step * ownVecs.length + Math.floor(r / 4)}.${'xyzw'[r % 4]}`;
  /** Vector of 4 shared rows, inner element `step`. */
  const sharedVector = (v: number, step: number): string =>
    sharedAlong === 'inner'
      ? `vec4f(${range(4)
          .map((c) => `w${4 * v + c}.${'xyzw'[step]}`)
          .join(', ')})`
      : `w${step * sharedVecs.length + v}`;

  // Operands are as long as their rows in memory, of which those along the outer axis are the inner elements.
  const from = (along: Along, size: string, stride: string): string =>
    batched ? `wid.z * ${along === 'inner' ? size : 'plan.k'} * ${stride} + ` : '';
  const body = [
    ...range(perLane).map((r) => `let q${r} = shareds[sharedBase${r} + k * sharedStep];`),
    ...range(ownTile).map((r) => `let x${r} = owns[ownBase${r} + k * ownStep];`),
    ...range(sharedTile).map((m) =>
      subgroup ? `let w${m} = subgroupBroadcast(q${m % perLane}, ${Math.floor(m / perLane)}u);` : `let w${m} = q${m};`,
    ),
    ...range(4).flatMap((step) =>
      sharedVecs.flatMap((v) => [
        `let s${step}_${v} = ${sharedVector(v, step)};`,
        ...range(ownTile).map((r) => `sum${r}_${v} = fma(vec4f(${ownNumber(r, step)}), s${step}_${v}, sum${r}_${v});`),
      ]),
    ),
  ].join('\n    ');

  const [ownSize, ownStride, sharedSize, sharedStride] =
    own === 'a' ? ['m', 'aStride', 'n', 'bStride'] : ['n', 'bStride', 'm', 'aStride'];
  return `${subgroup ? 'enable subgroups;' : ''}
@group(0) @binding(0) var<storage, read> owns: array<vec4f>;
@group(0) @binding(1) var<storage, read> shareds: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<${vectorOutput ? 'vec4f' : 'f32'}>;
${productPlan(3)}
@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32${
    subgroup ? ', @builtin(subgroup_invocation_id) lane: u32' : ''
  }) {
  let ownSize = plan.${ownSize};
  let sharedSize = plan.${sharedSize};
  let ownStride = plan.${ownStride} / 4u;
  let sharedStride = plan.${sharedStride} / 4u;
  // Rows past the end repeat the last one without storing: broadcasts need every lane.
  let own0 = (wid.x * ${workgroup}u + lid) * ${ownTile}u;
  let shared0 = wid.y * ${sharedTile}u;
  ${range(perLane)
    .map((r) => `let sharedBase${r} = ${from(sharedAlong, 'sharedSize', 'sharedStride')}${sharedBase(r)};`)
    .join('\n  ')}
  ${range(ownTile)
    .map((r) => `let ownBase${r} = ${from(ownAlong, 'ownSize', 'ownStride')}${ownBase(r)};`)
    .join('\n  ')}
  ${range(ownTile)
    .map((r) => sharedVecs.map((v) => `var sum${r}_${v} = vec4f();`).join(' '))
    .join('\n  ')}
  // k counts vectors of 4 inner elements.
  let ownStep = ${ownAlong === 'inner' ? '1u' : '4u * ownStride'};
  let sharedStep = ${sharedAlong === 'inner' ? '1u' : '4u * sharedStride'};
  let begin = ${batched ? '0u' : 'wid.z * plan.perSlot / 4u'};
  let end = min(begin + plan.perSlot / 4u, plan.k / 4u);
  for (var k = begin; k < end; k++) {
    ${body}
  }
  let rowLength = plan.n${vectorOutput ? ' / 4u' : ''};
  let first = wid.z * plan.m * rowLength;
${own === 'a' ? storeRows(product) : storeColumns(product)}
}`;
}

/** Stores the tile where own row r is a row of the output. */
function storeRows({ ownTile, sharedTile, vectorOutput }: RegisterProduct): string {
  const vecs = sharedTile / 4;
  const sums = range(ownTile).flatMap((r) => range(vecs).map((v) => `sum${r}_${v}`));
  return `
  var sums = array<vec4f, ${sums.length}>(${sums.join(', ')});
  for (var r = 0u; r < min(${ownTile}u, ownSize - min(own0, ownSize)); r++) {
    let row = first + (own0 + r) * rowLength;
    ${
      vectorOutput
        ? `for (var v = 0u; v < min(${vecs}u, sharedSize / 4u - shared0 / 4u); v++) {
      y[row + shared0 / 4u + v] = sums[r * ${vecs}u + v];
    }`
        : `for (var c = 0u; c < min(${sharedTile}u, sharedSize - shared0); c++) {
      y[row + shared0 + c] = sums[r * ${vecs}u + c / 4u][c % 4u];
    }`
    }
  }`;
}

/** The same where it is a column. */
function storeColumns({ ownTile, sharedTile, vectorOutput }: RegisterProduct): string {
  const vecs = ownTile / 4;
  const sums = range(sharedTile).flatMap((j) =>
    range(vecs).map((v) => `vec4f(${range(4).map((c) => `sum${4 * v + c}_${Math.floor(j / 4)}.${'xyzw'[j % 4]}`)})`),
  );
  return `
  var sums = array<vec4f, ${sums.length}>(${sums.join(', ')});
  let left = ownSize - min(own0, ownSize);
  for (var j = 0u; j < min(${sharedTile}u, sharedSize - shared0); j++) {
    let row = first + (shared0 + j) * rowLength;
    ${
      vectorOutput
        ? `for (var v = 0u; v < min(${vecs}u, left / 4u); v++) { y[row + own0 / 4u + v] = sums[j * ${vecs}u + v]; }`
        : `for (var c = 0u; c < min(${ownTile}u, left); c++) { y[row + own0 + c] = sums[j * ${vecs}u + c / 4u][c % 4u]; }`
    }
  }`;
}
