import type { Precision } from '../src/common/precision.js';
import { operandType, roundedVector, storedVector } from './common/operand.js';

/** The weight gradient of a convolution, on a `big` that is padded so that no read needs a test. */
export interface WeightGradient {
  batch: number;
  kernel: readonly [number, number];
  stride: readonly [number, number];
  dilation: readonly [number, number];
  /**
   * Padded big: size, channels (a multiple of 4), where tap (0, 0) of output (0, 0) reads it, and how it is stored: in
   * `precision`, or as f32 to be rounded where it is read.
   */
  big: {
    height: number;
    width: number;
    channels: number;
    firstRow: number;
    firstColumn: number;
    stored: Precision;
  };
  /** Small: size and channels in memory (a multiple of 4), and how it is stored. */
  small: { height: number; width: number; channels: number; stored: Precision };
  cin: number;
  cout: number;
  /** Parts that the sum over the pixels is split into; each writes its own slot. */
  slots: number;
  /** What both pictures are rounded to. */
  precision: Precision;
}

/** How the invocations of the register kernel share the work. */
export interface WeightGradientTile {
  /** Output channels an invocation accumulates (a multiple of 4). */
  tileChannels: number;
  /** Pixels taken at a time (needs that much slack in big's rows when the width is no multiple). */
  pixels: number;
  workgroup: number;
  subgroup: number;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, k) => k);

/**
 * Each invocation owns one tap and 4 input channels against tileChannels output channels, and walks over its slot's
 * rows of pixels. Taps and channels are flattened into one axis, so 3-channel inputs fill the lanes as well as wide
 * ones. With subgroups the lanes share the loads of `small`, as in the forward kernel.
 *
 * Bindings: big, small, partial [slots, kh, kw, Cin, Cout] (written).
 */
export function tapWeightGradientShader(g: WeightGradient, tile: WeightGradientTile): string {
  const bigVecs = g.big.channels / 4;
  const smallVecs = g.small.channels / 4;
  const tileVecs = tile.tileChannels / 4;
  const threads = g.kernel[0] * g.kernel[1] * bigVecs;
  const rows = g.batch * g.small.height;
  const rowsPerSlot = Math.ceil(rows / g.slots);
  const vectors = tile.pixels * tileVecs;
  const perLane = tile.subgroup ? Math.ceil(vectors / tile.subgroup) : 0;
  const partial = g.small.width % tile.pixels !== 0;
  const clampBlock = smallVecs % tileVecs !== 0;

  // Which of the step's vectors (pixel, channel vec4) this lane loads.
  const laneSetup = range(perLane)
    .map((r) => {
      const m = `min(lane * ${perLane} + ${r}, ${vectors - 1})`;
      const vec = clampBlock ? `min(block + (${m}) % ${tileVecs}, ${smallVecs - 1})` : `block + (${m}) % ${tileVecs}`;
      return `  let pixel${r} = (${m}) / ${tileVecs};
  let part${r} = pixel${r} * ${smallVecs} + ${vec};`;
    })
    .join('\n');
  const small = (at: string): string => roundedVector(`small[${at}]`, g.small.stored, g.precision);
  const load = (pixel: string, at: string): string =>
    partial ? `select(vec4f(), ${small(`min(${at}, last)`)}, ow + ${pixel} < ${g.small.width})` : small(at);
  const step = [
    ...range(perLane).map((r) => `let q${r} = ${load(`pixel${r}`, `sb + part${r}`)};`),
    ...range(tile.pixels).flatMap((p) => [
      `let x${p} = ${roundedVector(`big[xb + ${p * g.stride[1] * bigVecs}]`, g.big.stored, g.precision)};`,
      ...range(tileVecs).flatMap((j) => {
        const m = p * tileVecs + j;
        const vec = clampBlock ? `min(block + ${j}, ${smallVecs - 1})` : `block + ${j}`;
        const value = tile.subgroup
          ? `subgroupBroadcast(q${m % perLane}, ${Math.floor(m / perLane)}u)`
          : load(`${p}`, `sb + ${p * smallVecs} + ${vec}`);
        return [
          `let v${p}_${j} = ${value};`,
          ...range(4).map((k) => `a${k}_${j} = fma(vec4f(x${p}.${'xyzw'[k]}), v${p}_${j}, a${k}_${j});`),
        ];
      }),
    ]),
  ].join('\n      ');
  const store = range(4)
    .map((k) => {
      const writes = range(tileVecs).flatMap((j) =>
        range(4).map((e) => {
          const write = `partial[at + ${4 * j + e}] = a${k}_${j}[${e}];`;
          return g.cout % tile.tileChannels === 0 ? write : `if (4 * block + ${4 * j + e} < ${g.cout}) { ${write} }`;
        }),
      );
      return `  if (ci + ${k} < ${g.cin}) {
    let at = ((i32(wid.z) * ${g.kernel[0] * g.kernel[1]} + tap) * ${g.cin} + ci + ${k}) * ${g.cout} + 4 * block;
    ${writes.join('\n    ')}
  }`;
    })
    .join('\n');

  return `${tile.subgroup ? 'enable subgroups;' : ''}
${operandType(g.precision)}
@group(0) @binding(0) var<storage, read> big: array<${storedVector(g.big.stored)}>;
@group(0) @binding(1) var<storage, read> small: array<${storedVector(g.small.stored)}>;
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(${tile.workgroup})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(local_invocation_index) lid: u32${
    tile.subgroup ? ', @builtin(subgroup_invocation_id) laneIndex: u32' : ''
  }) {
  let thread = i32(wid.x) * ${tile.workgroup} + i32(lid);
  let m = min(thread, ${threads - 1}); // spare lanes repeat the last one without storing
  let tap = m / ${bigVecs};
  let ci = 4 * (m % ${bigVecs});
  let block = i32(wid.y) * ${tileVecs};
  let last = ${rows * g.small.width * smallVecs - 1};
${tile.subgroup ? '  let lane = i32(laneIndex);' : ''}
${laneSetup}
  let tapRow = ${g.big.firstRow} + (tap / ${g.kernel[1]}) * ${g.dilation[0]};
  let tapColumn = ${g.big.firstColumn} + (tap % ${g.kernel[1]}) * ${g.dilation[1]};
  ${range(4)
    .flatMap((k) => range(tileVecs).map((j) => `var a${k}_${j} = vec4f();`))
    .join('\n  ')}
  // A trip count the compiler cannot see: Mesa would unroll the loop and take seconds over the result.
  let width = i32(min(${g.small.width}u, arrayLength(&small)));
  let firstRow = i32(wid.z) * ${rowsPerSlot};
  for (var row = firstRow; row < min(firstRow + ${rowsPerSlot}, ${rows}); row++) {
    let n = row / ${g.small.height};
    let oh = row % ${g.small.height};
    let xb0 = ((n * ${g.big.height} + oh * ${g.stride[0]} + tapRow) * ${g.big.width} + tapColumn) * ${bigVecs} + ci / 4;
    let sb0 = row * ${g.small.width * smallVecs};
    for (var ow = 0; ow < width; ow += ${tile.pixels}) {
      let xb = xb0 + ow * ${g.stride[1] * bigVecs};
      let sb = sb0 + ow * ${smallVecs};
      ${step}
    }
  }
  if (thread >= ${threads}) { return; }
${store}
}`.replace(partial ? /$^/ : / *let last ?= ?.*;\n/, '');
}
