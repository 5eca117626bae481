import {
  type ColumnWidth,
  columnBindings,
  columnMain,
  forEachBlock,
  forEachRow,
  forEachRowOfBlock,
} from './common/columns.js';
import { nonFiniteFunctions } from './common/non-finite.js';
import { wgsl } from './common/wgsl.js';

/** One slope for all channels, or one a channel. */
export type SlopeKind = 'shared' | 'perChannel';

/** Element type of a binding `slopes`. */
export const slopeType = (kind: SlopeKind) => (kind === 'shared' ? 'f32' : 'V');
/** The slopes of the group of an invocation, in a kernel that walks columns. */
export const slopeOf = (kind: SlopeKind) => (kind === 'shared' ? 'V(slopes[0])' : 'slopes[i % plan.groups]');

/** y = x where x > 0, else slope·x. */
export function preluShader(width: ColumnWidth, kind: SlopeKind): string {
  return `
${columnBindings(width, ['xs', 'r'], ['slopes', 'r', slopeType(kind)], ['ys', 'w'])}
${columnMain}
  let slope = ${slopeOf(kind)};
  ${forEachRow}
    let x = xs[at];
    ys[at] = select(slope * x, x, x > V());
  }
}`;
}

/**
 * Both gradients in one walk, each only if wanted: dx, and the partial sums [slots, groups] of dy·x where x ≤ 0. Where x is
 * NaN nobody knows the side, and both are NaN.
 */
export function preluGradientShader(
  width: ColumnWidth,
  kind: SlopeKind,
  wanted: { input: boolean; slope: boolean },
): string {
  const outputs: [string, 'w'][] = [];
  if (wanted.input) outputs.push(['dxs', 'w']);
  if (wanted.slope) outputs.push(['partials', 'w']);
  return wgsl`
${columnBindings(width, ['xs', 'r'], ['slopes', 'r', slopeType(kind)], ['dys', 'r'], ...outputs)}
${nonFiniteFunctions(width)}
${columnMain}
  let slope = ${slopeOf(kind)};
  var total = V();
  ${forEachBlock}
    var sum = V();
    ${forEachRowOfBlock}
      let x = xs[at];
      let dy = dys[at];
#if ${wanted.input}
      dxs[at] = keepNan(select(slope * dy, dy, x > V()), x);
#endif
#if ${wanted.slope}
      sum += keepNan(select(dy * x, V(), x > V()), x);
#endif
    }
    total += sum;
  }
#if ${wanted.slope}
  partials[i] = total;
#endif
}`;
}
