import { axisMarch, axisTerms, type ConvShape, forwardAxis } from '../src/common/conv-geometry.js';
import type { Pair } from '../src/common/op-attrs.js';
import type { ColumnWidth } from './common/columns.js';
import { guarded } from './common/guarded-axis.js';
import { linearMain } from './common/linear-index.js';

/** The weight gradient of a depthwise convolution. */
export interface DepthwiseWeightGradient {
  shape: ConvShape;
  /** Adjacent channels of an invocation; divides the channels. */
  width: ColumnWidth;
  /** Taps [rows, columns] whose sums an invocation keeps. */
  block: Pair;
  /** Rows and columns of small in a strip. */
  steps: number;
  pixels: number;
  /** Parts that the sum over all strips is split into; each writes its own slot. */
  slots: number;
}

/**
 * An invocation keeps the sums of a block of taps for `width` channels, and marches down the strips of its slot. Each
 * row of a strip is loaded once, and the rows of small that later rows of big still need stay in registers.
 *
 * Bindings: big, small, partial [slots, kh, kw, 1, C] (written).
 */
export function depthwiseWeightGradientShader(gradient: DepthwiseWeightGradient): string {
  const { shape, width, block, steps, pixels, slots } = gradient;
  const { batch, big, small, kernel, dilation, stride } = shape;
  const groups = shape.cin / width;
  const blocks: Pair = [Math.ceil(kernel[0] / block[0]), Math.ceil(kernel[1] / block[1])];
  const ofBlock = { ...shape, kernel: block };
  const { first, lags, terms: rowTerms } = axisMarch(forwardAxis(ofBlock, 0));
  const columnTerms = axisTerms(forwardAxis(ofBlock, 1), pixels);
  const across = Math.ceil(small[1] / pixels);
  const down = Math.ceil(small[0] / steps);
  const strips = batch * down * across;
  const stripsPerSlot = Math.ceil(strips / slots);
  const ages = Array.from({ length: lags + 1 }, (_, lag) => lag);
  const columns = Array.from({ length: pixels }, (_, c) => c);

  const lastColumn = (across - 1) * pixels;
  const smallAxis = { base: 'smallColumn', lastBase: lastColumn, size: small[1] };
  const bigAxis = {
    base: 'bigColumn',
    lastBase: lastColumn * stride[1] + (blocks[1] - 1) * block[1] * dilation[1],
    size: big[1],
  };
  const setup = columns.map((c) => {
    const { index, inside } = guarded(smallAxis, c);
    return `let small${c} = ${index} * ${groups} + g;${inside ? ` let smallInside${c} = ${inside};` : ''}`;
  });
  const body = columns.map((c) => {
    const test = guarded(smallAxis, c).inside ? `marching && smallInside${c}` : 'marching';
    return `d0_${c} = select(V(), small[smallRow + small${c}], ${test});`;
  });
  const offsets = [...new Set(columnTerms.map(({ source }) => source))];
  offsets.forEach((offset, x) => {
    const { index, inside } = guarded(bigAxis, offset);
    setup.push(`let big${x} = ${index} * ${groups} + g;${inside ? ` let bigInside${x} = ${inside};` : ''}`);
  });
  for (const row of new Set(rowTerms.map((term) => term.row))) {
    const lines = [
      `let at = (first + step) * ${stride[0]} + tapRow * ${dilation[0]} + ${first + row};`,
      `let rowInside = at >= 0 && at < ${big[0]};`,
      `let bigRow = (n * ${big[0]} + clamp(at, 0, ${big[0] - 1})) * ${big[1] * groups};`,
    ];
    offsets.forEach((offset, x) => {
      const test = guarded(bigAxis, offset).inside ? `rowInside && bigInside${x}` : 'rowInside';
      lines.push(`let x${x} = select(V(), big[bigRow + big${x}], ${test});`);
      for (const { tap: i, lag } of rowTerms.filter((term) => term.row === row)) {
        for (const { tap: j, dest: c } of columnTerms.filter((term) => term.source === offset)) {
          lines.push(`a${i}_${j} = fma(x${x}, d${lag}_${c}, a${i}_${j});`);
        }
      }
    });
    body.push(`{\n        ${lines.join('\n        ')}\n      }`);
  }
  for (const lag of ages.slice(1).reverse()) body.push(...columns.map((c) => `d${lag}_${c} = d${lag - 1}_${c};`));

  const taps = Array.from({ length: block[0] * block[1] }, (_, k) => [Math.floor(k / block[1]), k % block[1]]);
  const stores = taps.map(([i, j]) => {
    const test = [
      kernel[0] % block[0] === 0 ? '' : `tapRow + ${i} < ${kernel[0]}`,
      kernel[1] % block[1] === 0 ? '' : `tapColumn + ${j} < ${kernel[1]}`,
    ]
      .filter(Boolean)
      .join(' && ');
    const at = `((slot * ${kernel[0]} + tapRow + ${i}) * ${kernel[1]} + tapColumn + ${j}) * ${groups} + g`;
    return `${test ? `if (${test}) ` : ''}{ partial[${at}] = a${i}_${j}; }`;
  });

  return `
alias V = ${width === 1 ? 'f32' : `vec${width}f`};
@group(0) @binding(0) var<storage, read> big: array<V>;
@group(0) @binding(1) var<storage, read> small: array<V>;
@group(0) @binding(2) var<storage, read_write> partial: array<V>;
${linearMain(`${slots * blocks[0] * blocks[1] * groups}u`)}
  let g = i32(i) % ${groups};
  let tapColumn = (i32(i) / ${groups}) % ${blocks[1]} * ${block[1]};
  let tapRow = (i32(i) / ${groups * blocks[1]}) % ${blocks[0]} * ${block[0]};
  let slot = i32(i) / ${groups * blocks[1] * blocks[0]};
  ${taps.map(([i, j]) => `var a${i}_${j} = V();`).join(' ')}
  // Trip counts the compiler cannot see: Mesa would unroll the loops and take seconds over the result.
  let most = i32(arrayLength(&small));
  let last = min((slot + 1) * ${stripsPerSlot}, min(${strips}, most));
  for (var strip = slot * ${stripsPerSlot}; strip < last; strip++) {
    let n = strip / ${down * across};
    let first = (strip / ${across}) % ${down} * ${steps};
    let smallColumn = strip % ${across} * ${pixels};
    let bigColumn = smallColumn * ${stride[1]} + tapColumn * ${dilation[1]};
    ${setup.join('\n    ')}
    ${ages.flatMap((lag) => columns.map((c) => `var d${lag}_${c} = V();`)).join(' ')}
    let rows = min(min(${steps}, ${small[0]} - first), most);
    for (var step = 0; step < rows + ${lags}; step++) {
      let marching = step < rows;
      let smallRow = (n * ${small[0]} + min(first + step, ${small[0] - 1})) * ${small[1] * groups};
      ${body.join('\n      ')}
    }
  }
  ${stores.join('\n  ')}
}`;
}
