import { type ConvVariant, chooseGather, chooseWeightGradient, type GatherConfig } from '../../src/ops/conv/choose.js';
import { gatherOf } from '../../src/ops/conv/gather-plan.js';
import { planGather } from '../../src/ops/conv/plan.js';
import { convShape } from '../../src/ops/conv/shape.js';
import { planWeightGradient } from '../../src/ops/conv/weight-gradient.js';
import { chooseMatmul, planMatmul } from '../../src/ops/matmul/plan.js';

/** Formats a kernel's text: blank lines only before functions and structs, two spaces per block, lists of arguments on one line. */
export function readable(wgsl: string): string {
  const lines: string[] = [];
  let depth = 0;
  for (const line of wgsl.split('\n').map((text) => text.trim())) {
    if (line === '') continue;
    const code = line.replace(/\/\/.*|\/\*.*\*\//g, '');
    const closing = /^[})]+/.exec(code)?.[0].length ?? 0;
    const before = depth - closing;
    const top = before === 0 && /^(\/\*\*|fn |struct |@compute)/.test(line);
    if (top && lines.length > 0 && !/^(\*|.*\*\/|@compute)/.test(lines[lines.length - 1])) lines.push('');
    lines.push('  '.repeat(Math.max(0, before)) + (line.startsWith('*') ? ` ${line}` : line));
    depth += (code.match(/[{(]/g)?.length ?? 0) - (code.match(/[})]/g)?.length ?? 0);
  }
  return `${lines.join('\n')}\n`;
}

const LIMITS = { maxWorkgroupInvocations: 256, maxWorkgroupStorageBytes: 16384 };
const CPU = { ...LIMITS, software: true, subgroupSize: 8 };
const GPU = { ...LIMITS, software: false, subgroupSize: 32 };

const same = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 } as const;
const conv = convShape([4, 28, 24, 64], [4, 28, 24, 64], [3, 3, 64, 64], same);
const depthwise = convShape([4, 28, 24, 64], [4, 28, 24, 64], [3, 3, 1, 64], { ...same, groups: 64 });
const forward = gatherOf(conv, 'forward');

const gather = (variant: ConvVariant, limits: typeof CPU): string =>
  planGather(forward, 'bias', chooseGather(forward, limits, variant)).steps.at(-1)!.kernel.wgsl;

function weightGradient(variant: ConvVariant, label: string): string {
  const { steps } = planWeightGradient(conv, chooseWeightGradient(conv, CPU, variant), { variant: 'naive' });
  return steps.find(({ kernel }) => kernel.label === label)!.kernel.wgsl;
}

/** The kernels of `shaders/printed/`: a convolution [4,28,24,64] * [3,3,64,64] and a product of 512 × 512 × 512. */
export const PRINTED: Record<string, () => string> = {
  'conv-naive': () => planGather(forward, 'bias', { variant: 'naive' }).steps[0].kernel.wgsl,
  'conv-register': () => gather('register', CPU),
  'conv-tiled': () => gather('tiled', GPU),
  'conv-winograd-source': () =>
    planGather(forward, 'bias', chooseGather(forward, CPU, 'winograd')).steps[0].kernel.wgsl,
  'conv-winograd-dest': () => gather('winograd', CPU),
  'conv-matrix': () => {
    const config: GatherConfig = { variant: 'matrix', tile: { m: 16, n: 16, k: 16, subgroup: 32 } };
    return planGather(forward, 'bias', config, 'f16').steps.at(-1)!.kernel.wgsl;
  },
  'conv-depthwise': () => {
    const each = gatherOf(depthwise, 'forward');
    return planGather(each, 'none', chooseGather(each, CPU)).steps[0].kernel.wgsl;
  },
  'conv-weight-gradient': () => weightGradient('register', 'conv weight gradient register'),
  'conv-winograd-weight-gradient': () => weightGradient('winograd', 'winograd weight gradient'),
  'matmul-register': () => {
    const size = { m: 512, n: 512, k: 512 };
    return planMatmul(size, { transposeA: false, transposeB: false }, chooseMatmul(size, CPU)).main.kernel.wgsl;
  },
};
