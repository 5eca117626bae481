import { type AxisPlan, axisDests, axisMarch, axisSteps, axisTerms } from '../src/common/conv-geometry.js';
import type { ColumnWidth } from './common/columns.js';
import { applyEpilogue, type Epilogue, epilogueNames } from './common/gather.js';
import { guarded } from './common/guarded-axis.js';
import { linearMain } from './common/linear-index.js';

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
  width: ColumnWidth;
}

const distinct = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);

const channelType = (width: ColumnWidth): string => (width === 1 ? 'f32' : `vec${width}f`);

function bindings({ width, epilogue }: DepthwiseConv): string {
  const none = epilogue === 'none';
  return `
alias V = ${channelType(width)};
@group(0) @binding(0) var<storage, read> source: array<V>;
@group(0) @binding(1) var<storage, read> weights: array<V>;
${none ? '' : '@group(0) @binding(2) var<storage, read> epilogue: array<V>;'}
@group(0) @binding(${none ? 2 : 3}) var<storage, read_write> dest: array<V>;`;
}

/** The epilogue's numbers for the channels of group `g`. */
const loadNumbers = (epilogue: Epilogue, groups: number): string =>
  epilogueNames(epilogue)
    .map((name, row) => `let ${name} = epilogue[${row * groups} + g];`)
    .join(' ');

/** How far an invocation of the march goes: `steps` down and `pixels` across, in steps of every phase. */
export interface March {
  steps: number;
  pixels: number;
}

/**
 * An invocation marches down a strip of dest `pixels` wide for `width` channels, with the weights in registers. Each
 * source value is loaded once for all the sums of the strip that it is part of, which is what counts where a load costs
 * much more than a multiply-add; the sums under way move on by one place a step. Neighbouring invocations take
 * neighbouring channels, so loads are contiguous. For an input gradient a step makes all phases, so that none of the
 * products is with a zero between strides.
 *
 * Bindings: source, weights, the epilogue's numbers where it has some, dest (written).
 */
export function depthwiseMarchShader(conv: DepthwiseConv, rows: AxisPlan, columns: AxisPlan, march: March): string {
  const { batch, source, dest, channels, kernel, width, epilogue } = conv;
  const { steps, pixels } = march;
  const groups = channels / width;
  const { first, lags, terms: rowTerms } = axisMarch(rows);
  const columnTerms = axisTerms(columns, pixels);
  const destRows = axisDests(rows, 1);
  const destColumns = axisDests(columns, pixels);
  const strips = Math.ceil(axisSteps(columns) / pixels);
  const count = axisSteps(rows);
  const segments = Math.ceil(count / steps);
  const ages = Array.from({ length: lags + 1 }, (_, lag) => lag);

  const setup: string[] = [loadNumbers(epilogue, groups)];
  for (const i of distinct(rowTerms.map(({ tap }) => tap))) {
    for (const j of distinct(columnTerms.map(({ tap }) => tap))) {
      setup.push(`let w${i}_${j} = weights[${(i * kernel[1] + j) * groups} + g];`);
    }
  }
  const lastStrip = strips - 1;
  const sourceAxis = {
    base: 'sourceColumn',
    lastBase: lastStrip * pixels * columns.sourceStep,
    size: source[1],
  };
  const across = distinct(columnTerms.map((term) => term.source)).map((offset, x) => {
    const { index, inside } = guarded(sourceAxis, offset);
    setup.push(`let column${x} = ${index} * ${groups} + g;`);
    if (inside) setup.push(`let inside${x} = ${inside};`);
    return {
      x,
      test: inside ? `rowInside && inside${x}` : 'rowInside',
      terms: columnTerms.filter((term) => term.source === offset),
    };
  });
  const sums = (lag: number): string[] => destRows.flatMap((r) => destColumns.map((c) => `a${lag}_${r}_${c}`));
  for (const name of ages.flatMap(sums)) setup.push(`var ${name} = V();`);

  const body: string[] = [];
  for (const row of distinct(rowTerms.map((term) => term.row))) {
    const lines = [
      `let at = (first + step) * ${rows.sourceStep} + ${first + row};`,
      `let rowInside = at >= 0 && at < ${source[0]};`,
      `let row = (n * ${source[0]} + clamp(at, 0, ${source[0] - 1})) * ${source[1] * groups};`,
    ];
    for (const { x, test, terms } of across) {
      lines.push(`let x${x} = select(V(), source[row + column${x}], ${test});`);
      for (const { dest: r, tap: i, lag } of rowTerms.filter((term) => term.row === row)) {
        for (const { dest: c, tap: j } of terms) {
          lines.push(`a${lag}_${r}_${c} = fma(x${x}, w${i}_${j}, a${lag}_${r}_${c});`);
        }
      }
    }
    body.push(`{\n      ${lines.join('\n      ')}\n    }`);
  }
  const destAxis = { base: 'destColumn', lastBase: lastStrip * pixels * columns.destStep, size: dest[1] };
  const stores = destRows.flatMap((r) =>
    destColumns.map((c) => {
      const rowInside = r === 0 ? '' : `destRow + ${r} < ${dest[0]}`;
      const test = [rowInside, guarded(destAxis, c).inside].filter(Boolean).join(' && ');
      const value = applyEpilogue(epilogue, `a${lags}_${r}_${c}`, '', width);
      const write = `dest[((n * ${dest[0]} + destRow + ${r}) * ${dest[1]} + destColumn + ${c}) * ${groups} + g] = ${value};`;
      return test ? `if (${test}) { ${write} }` : write;
    }),
  );
  const moves = [...ages].reverse().flatMap((lag) => {
    const from = lag > 0 ? sums(lag - 1) : [];
    return sums(lag).map((name, k) => `${name} = ${from[k] ?? 'V()'};`);
  });

  return `${bindings(conv)}
${linearMain(`${batch * segments * strips * groups}u`)}
  let g = i32(i) % ${groups};
  let strip = (i32(i) / ${groups}) % ${strips} * ${pixels};
  let first = (i32(i) / ${groups * strips}) % ${segments} * ${steps};
  let n = i32(i) / ${groups * strips * segments};
  let sourceColumn = strip * ${columns.sourceStep};
  let destColumn = strip * ${columns.destStep};
  ${setup.join('\n  ')}
  // A trip count the compiler cannot see: Mesa would unroll the loop and take seconds over the result.
  let end = min(min(${steps}, ${count} - first), i32(arrayLength(&dest))) + ${lags};
  for (var step = 0; step < end; step++) {
    ${body.join('\n    ')}
    if (step >= ${lags}) {
      let destRow = (first + step - ${lags}) * ${rows.destStep};
      ${stores.join('\n      ')}
    }
    ${moves.join('\n    ')}
  }
}`;
}

/** Statements that find, for the destination `position`, its taps first ≤ i < end whose source is inside the array. */
function tapRange(plan: AxisPlan, name: string, position: string, size: number): string {
  const value = (field: 'firstTap' | 'taps' | 'firstOffset'): string => {
    const values = plan.phases.map((phase) => phase[field]);
    if (values.every((other) => other === values[0])) return `${values[0]}`;
    return `array<i32, ${values.length}>(${values.join(', ')})[${position} % ${plan.destStep}]`;
  };
  const step = Math.abs(plan.offsetStep);
  // Positions still to go to where the taps enter and leave the array, in the direction they take.
  const [enter, leave] =
    plan.offsetStep > 0
      ? [`-${name}Source`, `${size - 1} - ${name}Source`]
      : [`${name}Source - ${size - 1}`, `${name}Source`];
  return `
  let ${name}Tap = ${value('firstTap')};
  let ${name}Source = ${position} / ${plan.destStep} * ${plan.sourceStep} + ${value('firstOffset')};
  let ${name}First = max(${enter} + ${step - 1}, 0) / ${step};
  let ${name}End = min(${value('taps')}, max(${leave} + ${step}, 0) / ${step});`;
}

/**
 * For kernels too large for registers: one pixel and `width` channels of `pictures` pictures an invocation, with a
 * loop over the taps that meet the source and no others. The pictures share the loads of the weights.
 *
 * Bindings: source, weights, the epilogue's numbers where it has some, dest (written).
 */
export function depthwiseLoopShader(conv: DepthwiseConv, rows: AxisPlan, columns: AxisPlan, pictures: number): string {
  const { batch, source, dest, channels, kernel, width, epilogue } = conv;
  const groups = channels / width;
  const size = dest[0] * dest[1] * groups;
  const all = Array.from({ length: pictures }, (_, p) => p);
  const each = (line: (p: number) => string): string => all.map(line).join('\n      ');
  return `${bindings(conv)}
${linearMain(`${Math.ceil(batch / pictures) * size}u`)}
  let g = i32(i) % ${groups};
  let w = (i32(i) / ${groups}) % ${dest[1]};
  let h = (i32(i) / ${groups * dest[1]}) % ${dest[0]};
  let n = i32(i) / ${size} * ${pictures};
${tapRange(rows, 'row', 'h', source[0])}
${tapRange(columns, 'column', 'w', source[1])}
  ${each((p) => `let n${p} = min(n + ${p}, ${batch - 1}) * ${source[0] * source[1] * groups};`)}
  ${each((p) => `var sum${p} = V();`)}
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take many seconds over the result.
  let most = i32(arrayLength(&weights));
  for (var a = rowFirst; a < min(rowEnd, most); a++) {
    let row = (rowSource + a * ${rows.offsetStep}) * ${source[1]};
    let tap = (rowTap + a * ${rows.tapStep}) * ${kernel[1]} + columnTap;
    for (var b = columnFirst; b < min(columnEnd, most); b++) {
      let at = (row + columnSource + b * ${columns.offsetStep}) * ${groups} + g;
      let weight = weights[(tap + b * ${columns.tapStep}) * ${groups} + g];
      ${each((p) => `sum${p} = fma(source[n${p} + at], weight, sum${p});`)}
    }
  }
  let at = n * ${size} + i32(i) % ${size};
  ${loadNumbers(epilogue, groups)}
  ${each((p) => `${batch % pictures === 0 ? '' : `if (n + ${p} < ${batch}) `}{ dest[at + ${p * size}] = ${applyEpilogue(epilogue, `sum${p}`, '', width)}; }`)}
}`;
}
