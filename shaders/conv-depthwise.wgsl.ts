import type { Shader } from '../src/common/shader.js';
import { type Bindings, read, shader, vectorType, write } from './common/bindings.js';
import { levelsOf } from './common/blocks.js';
import type { ChannelWidth } from './common/channel-walk.js';
import { type AxisPlan, axisDests, axisSteps, axisTerms, leavesAxis, slidingWindow } from './common/conv-geometry.js';
import { type Epilogue, epilogueArray, epilogueFunctions } from './common/epilogue.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { unroll } from './common/unroll.js';
import { wgsl } from './common/wgsl.js';

/** A depthwise convolution (channel c of dest is made of channel c of source only) as a gather. */
export interface DepthwiseConv {
  batch: number;
  source: readonly [number, number];
  dest: readonly [number, number];
  channels: number;
  /** Taps [kh, kw] of the weights [kh,kw,1,C]. */
  kernel: readonly [number, number];
  epilogue: Epilogue;
  /** Adjacent channels of an invocation; divides `channels`. */
  width: ChannelWidth;
}

/** What both kernels bind: source, weights, the epilogue's numbers where it has some, dest. */
function depthwiseBindings({ channels, epilogue, width }: DepthwiseConv): Bindings {
  const V = vectorType(width);
  return {
    source: read(V),
    weights: read(V),
    epilogue: epilogueArray(epilogue, channels, width),
    dest: write(V),
  };
}

/** WGSL that both kernels share: sizes, and storing. */
function head({ batch, source, dest, channels, kernel, epilogue, width }: DepthwiseConv): string {
  return wgsl`
alias V = ${vectorType(width)}; // the adjacent channels of an invocation
const BATCH = ${batch};
const UNITS = ${channels / width}; // of adjacent channels
const SOURCE_H = ${source[0]};
const SOURCE_W = ${source[1]};
const DEST_H = ${dest[0]};
const DEST_W = ${dest[1]};
const KERNEL_W = ${kernel[1]};
${epilogueFunctions(epilogue, channels, width)}

fn storeDest(n: i32, h: i32, w: i32, unit: i32, value: V) { dest[((n * DEST_H + h) * DEST_W + w) * UNITS + unit] = value; }`;
}

const distinct = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);

/** A strip of dest: `steps` down and `pixels` across, in steps of every phase. */
export interface Strip {
  steps: number;
  pixels: number;
}

/**
 * An invocation goes down a strip of dest for `width` channels, with the weights in registers. Each source value is
 * loaded once for all sums of the strip that it is part of, which matters where a load costs much more than a multiply-add.
 * sum{age}_{row}_{column} are those of the step `age` steps ago, whose window still covers the source. Each step increases
 * their age by one. Neighbouring invocations take neighbouring channels, so loads are contiguous. For an
 * input gradient a step makes all phases, so that none of the products is with a zero between strides.
 *
 * Bindings: source, weights, the epilogue's numbers where it has some, dest (written).
 */
export function depthwiseSlidingShader(
  conv: DepthwiseConv,
  vertical: AxisPlan,
  horizontal: AxisPlan,
  strip: Strip,
): Shader {
  const { first, oldest, terms } = slidingWindow(vertical);
  const columnTerms = axisTerms(horizontal, strip.pixels);
  const sourceRows = distinct(terms.map(({ row }) => row));
  const sourceColumns = distinct(columnTerms.map(({ source }) => source));
  const destRows = axisDests(vertical, 1);
  const destColumns = axisDests(horizontal, strip.pixels);
  const lastStep = axisSteps(vertical) - 1;
  const lastStrip = (Math.ceil(axisSteps(horizontal) / strip.pixels) - 1) * strip.pixels;
  const sourceLeaves = (column: number): boolean =>
    leavesAxis(column, lastStrip * horizontal.sourceStride, conv.source[1]);
  const destLeaves = (row: number, column: number): boolean =>
    leavesAxis(row, lastStep * vertical.destStride, conv.dest[0]) ||
    leavesAxis(column, lastStrip * horizontal.destStride, conv.dest[1]);
  const eachSum = (text: (sum: string) => string): string =>
    unroll(destRows.length, (r) => unroll(destColumns.length, (c) => text(`_${destRows[r]}_${destColumns[c]}`)));

  /** The products with the numbers x0, x1, … of a source row. */
  const products = (sourceRow: number): string => {
    const ofRow = terms.filter(({ row }) => row === sourceRow);
    return unroll(columnTerms.length, (k) =>
      unroll(ofRow.length, (l) => {
        const [across, down] = [columnTerms[k], ofRow[l]];
        const sum = `sum${down.age}_${down.dest}_${across.dest}`;
        return `${sum} = fma(x${sourceColumns.indexOf(across.source)}, w${down.tap}_${across.tap}, ${sum});`;
      }),
    );
  };

  return shader(
    depthwiseBindings(conv),
    (declarations) => wgsl`
${declarations}
${head(conv)}
const STEPS_H = ${axisSteps(vertical)};
const STRIP_STEPS = ${strip.steps};
const STRIP_PIXELS = ${strip.pixels};
const STRIPS_H = ${Math.ceil(axisSteps(vertical) / strip.steps)};
const STRIPS_W = ${Math.ceil(axisSteps(horizontal) / strip.pixels)};
const OLDEST = ${oldest}; // steps until the window has passed

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32(BATCH * STRIPS_H * STRIPS_W * UNITS)) { return; }
  let unit = i32(i) % UNITS;
  let strip = i32(i) / UNITS % STRIPS_W * STRIP_PIXELS;
  let first = i32(i) / UNITS / STRIPS_W % STRIPS_H * STRIP_STEPS;
  let n = i32(i) / UNITS / STRIPS_W / STRIPS_H;
  let numbers = loadEpilogue(unit);
  ${unroll(conv.kernel[0], (i) =>
    unroll(conv.kernel[1], (j) => `let w${i}_${j} = weights[(${i} * KERNEL_W + ${j}) * UNITS + unit];`),
  )}
  ${unroll(
    sourceColumns.length,
    (x) => wgsl`
  let column${x} = strip * ${horizontal.sourceStride} + ${sourceColumns[x]};
#if ${sourceLeaves(sourceColumns[x])}
  let inside${x} = column${x} >= 0 && column${x} < SOURCE_W;
  let at${x} = clamp(column${x}, 0, SOURCE_W - 1) * UNITS + unit;
#else
  let inside${x} = true;
  let at${x} = column${x} * UNITS + unit;
#endif`,
  )}
  ${unroll(oldest + 1, (age) => eachSum((sum) => `var sum${age}${sum} = V();`))}
  // A trip count the compiler cannot see: Mesa would unroll the loop and take seconds over the result.
  let end = min(min(STRIP_STEPS, STEPS_H - first), i32(arrayLength(&dest))) + OLDEST;
  for (var step = 0; step < end; step++) {
    ${unroll(
      sourceRows.length,
      (y) => wgsl`
    {
      let h = (first + step) * ${vertical.sourceStride} + ${first + sourceRows[y]};
      let insideRow = h >= 0 && h < SOURCE_H;
      let row = (n * SOURCE_H + clamp(h, 0, SOURCE_H - 1)) * SOURCE_W * UNITS;
      ${unroll(sourceColumns.length, (x) => `let x${x} = select(V(), source[row + at${x}], insideRow && inside${x});`)}
      ${products(sourceRows[y])}
    }`,
    )}
    if (step >= OLDEST) {
      let destRow = (first + step - OLDEST) * ${vertical.destStride};
      let destColumn = strip * ${horizontal.destStride};
      ${unroll(destRows.length, (r) =>
        unroll(destColumns.length, (c) => {
          const [h, w] = [destRows[r], destColumns[c]];
          return wgsl`
#if ${destLeaves(h, w)}
      if ((destRow + ${h} < DEST_H) & (destColumn + ${w} < DEST_W))
#endif
      { storeDest(n, destRow + ${h}, destColumn + ${w}, unit, applyEpilogue(sum${oldest}_${h}_${w}, numbers)); }`;
        }),
      )}
    }
    ${unroll(oldest, (k) => eachSum((sum) => `sum${oldest - k}${sum} = sum${oldest - k - 1}${sum};`))}
    ${eachSum((sum) => `sum0${sum} = V();`)}
  }
}`,
  );
}

/** WGSL of the taps of an axis: each phase's first tap, how many, and where the first reads. */
function axisText(name: 'H' | 'W', plan: AxisPlan, size: number): string {
  return wgsl`
const PHASES_${name} = array(${unroll(plan.phases.length, (k) => {
    const { firstTap, taps, firstOffset } = plan.phases[k];
    return `vec3i(${firstTap}, ${taps}, ${firstOffset}),`;
  })});

/** The taps of the dest position that meet the source. */
fn taps${name}(position: i32) -> Taps {
  let phase = PHASES_${name}[position % ${plan.destStride}];
  let source = position / ${plan.destStride} * ${plan.sourceStride} + phase.z;
  let step = ${Math.abs(plan.offsetStride)};
  // Positions still to go to where the taps enter and leave the source, in the direction they take.
#if ${plan.offsetStride > 0}
  let enter = -source;
  let leave = ${size} - 1 - source;
#else
  let enter = source - (${size} - 1);
  let leave = source;
#endif
  return Taps(phase.x, source, max(enter + step - 1, 0) / step, min(phase.y, max(leave + step, 0) / step));
}`;
}

/**
 * For kernels too large for registers. An invocation computes one pixel and `width` channels of `pictures` pictures, with a
 * loop over only the taps that meet the source. The pictures share the loads of the weights.
 *
 * Bindings: source, weights, the epilogue's numbers where it has some, dest (written).
 */
export function depthwiseLoopShader(
  conv: DepthwiseConv,
  vertical: AxisPlan,
  horizontal: AxisPlan,
  pictures: number,
): Shader {
  const inRows = levelsOf(conv.kernel[0] * conv.kernel[1]) > 1;
  return shader(
    depthwiseBindings(conv),
    (declarations) => wgsl`
${declarations}
${head(conv)}
/** Taps first + i·stride with begin ≤ i < end, of which that of i = 0 reads the position of the source. */
struct Taps { first: i32, source: i32, begin: i32, end: i32 }
${axisText('H', vertical, conv.source[0])}
${axisText('W', horizontal, conv.source[1])}
const PICTURES = ${pictures};
const PICTURE = SOURCE_H * SOURCE_W * UNITS; // numbers or vectors of a source picture

${linearHead} {
  let i = ${linearIndex};
  if (i >= u32((BATCH + PICTURES - 1) / PICTURES * DEST_H * DEST_W * UNITS)) { return; }
  let unit = i32(i) % UNITS;
  let w = i32(i) / UNITS % DEST_W;
  let h = i32(i) / UNITS / DEST_W % DEST_H;
  let n = i32(i) / UNITS / DEST_W / DEST_H * PICTURES;
  let down = tapsH(h);
  let across = tapsW(w);
  ${unroll(
    pictures,
    (p) => wgsl`
  let picture${p} = min(n + ${p}, BATCH - 1) * PICTURE;
  var sum${p} = V();
#if ${inRows}
  var total${p} = V();
#endif`,
  )}
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take many seconds over the result.
  let most = i32(arrayLength(&weights));
  for (var a = down.begin; a < min(down.end, most); a++) {
    let row = (down.source + a * ${vertical.offsetStride}) * SOURCE_W;
    let tap = (down.first + a * ${vertical.tapStride}) * KERNEL_W + across.first;
    for (var b = across.begin; b < min(across.end, most); b++) {
      let at = (row + across.source + b * ${horizontal.offsetStride}) * UNITS + unit;
      let weight = weights[(tap + b * ${horizontal.tapStride}) * UNITS + unit];
      ${unroll(pictures, (p) => `sum${p} = fma(source[picture${p} + at], weight, sum${p});`)}
    }
#if ${inRows}
    ${unroll(pictures, (p) => `total${p} += sum${p}; sum${p} = V();`)}
#endif
  }
  let numbers = loadEpilogue(unit);
  ${unroll(
    pictures,
    (p) =>
      `if (n + ${p} < BATCH) { storeDest(n + ${p}, h, w, unit, applyEpilogue(${inRows ? 'total' : 'sum'}${p}, numbers)); }`,
  )}
}`,
  );
}
