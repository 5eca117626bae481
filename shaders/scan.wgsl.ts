import type { Shader } from '../src/common/shader.js';
import { read, shader, uniform, write } from './common/bindings.js';
import { linearHead, linearIndex } from './common/linear-index.js';
import { wgsl } from './common/wgsl.js';

/*
 * Running sums and products along the middle axis of [outer, size, inner]. An invocation visits a block of at most `length`
 * elements: block 0 lies at the end of the axis where the scan goes backwards.
 */

/** threads = outer · blocks · inner */
export const scanPlan = /* @__PURE__ */ uniform({
  size: 'u32',
  inner: 'u32',
  length: 'u32',
  blocks: 'u32',
  threads: 'u32',
});

export interface Scan {
  product: boolean;
  /** Result k lacks element k. */
  exclusive: boolean;
  /** From the end to the beginning. */
  reverse: boolean;
}

/** WGSL that all kernels here begin with. Element k of a line lies at `place`, for k from `begin` to `end`. */
const blockHead = (): string => `
${linearHead} {
  let i = ${linearIndex};
  if (i >= plan.threads) { return; }
  let line = i / plan.inner / plan.blocks * plan.size * plan.inner + i % plan.inner;
  let begin = i / plan.inner % plan.blocks * plan.length;
  let end = min(begin + plan.length, plan.size);`;

const place = (reverse: boolean): string => `line + ${reverse ? '(plan.size - 1u - k)' : 'k'} * plan.inner`;

/**
 * The results of each block: y[k] = x[0] + … + x[k], or a product. Where there are several blocks, `totals` are made first, y
 * [outer, blocks, inner], of which an exclusive scan is what stands `before` each block.
 * Bindings: x, `before` for a rest, y, plan.
 * @param type of the elements
 */
export function scanShader(
  part: 'whole' | 'totals' | 'rest',
  { product, exclusive, reverse }: Scan,
  type: 'f32' | 'i32' | 'u32',
): Shader {
  const sign = product ? '*' : '+';
  const result = part === 'rest' ? `before[i] ${sign} result` : 'result';
  return shader(
    { xs: read(type), before: part === 'rest' && read(type), ys: write(type), plan: scanPlan },
    (declarations) => wgsl`
${declarations}

${blockHead()}
  var result = ${type}(${product ? 1 : 0});
  for (var k = begin; k < end; k++) {
    let at = ${place(reverse)};
#if ${part === 'totals'}
    result ${sign}= xs[at];
#elif ${exclusive}
    let x = xs[at];
    ys[at] = ${result};
    result ${sign}= x;
#else
    result ${sign}= xs[at];
    ys[at] = ${result};
#endif
  }
#if ${part === 'totals'}
  ys[i] = result;
#endif
}`,
  );
}

/**
 * Gradient of the running product: dx[k] = before[k] · sum[k], where `before` is the exclusive running product. By Horner's rule from
 * the end, sum[k] = dy[k] + x[k + 1] · sum[k + 1]; of an exclusive product, sum[k] = dy[k + 1] + x[k + 1] · sum[k + 1]. Nothing is
 * divided, so zeros need no care. One block a line. Bindings: x, before, dy, dx, plan.
 */
export function productScanGradientShader({ exclusive, reverse }: Scan): Shader {
  return shader(
    { xs: read('f32'), before: read('f32'), dys: read('f32'), dxs: write('f32'), plan: scanPlan },
    (declarations) => wgsl`
${declarations}

${blockHead()}
  var sum = 0.0;
  for (var k = begin; k < end; k++) {
    let at = ${place(!reverse)};
#if ${exclusive}
    dxs[at] = before[at] * sum;
    sum = select(dys[at] + xs[at] * sum, dys[at], k == begin); // x at the end has no part in it, though it be infinite
#else
    sum += dys[at];
    dxs[at] = before[at] * sum;
    sum *= xs[at];
#endif
  }
}`,
  );
}
