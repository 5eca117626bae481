import { type Kernel, MAX_GROUPS } from '../../src/gpu/kernel.js';

/** How the kernel that measures the multiply-add peak is written. Compilers differ in which form is fastest. */
export interface PeakForm {
  /** Number of independent vec4 sums that an invocation keeps in registers. */
  chains: number;
  /** True for `fma(s, m, a)`, false for `s * m + a`, which a compiler may or may not fuse. */
  fused: boolean;
}

export const PEAK_FORMS: readonly PeakForm[] = [4, 8, 16].flatMap((chains) => [
  { chains, fused: true },
  { chains, fused: false },
]);

/** Multiply-adds of each chain in one turn of the loop: enough to hide the loop, few enough to compile fast. */
export const PEAK_UNROLL = 4;
const PEAK_WORKGROUP = 64;

/**
 * Bindings: coefficients [8] (a vec4 factor, a vec4 addend), output [4·invocations], uniform (turns: u32). Invocation i
 * starts chain c at (i mod 16 + c)·2⁻⁶ in every lane, computes chain = chain·factor + addend in each step, and writes
 * the sum of its chains. All work is in registers. The compiler can leave none of it out, because it does not know the factors
 * and all chains are in the result.
 */
export function peakKernel({ chains, fused }: PeakForm, workgroups: number): Kernel {
  const perChain = (make: (c: number) => string): string =>
    Array.from({ length: chains }, (_, c) => make(c)).join('\n  ');
  const step = (c: number): string => (fused ? `  s${c} = fma(s${c}, m, a);` : `  s${c} = s${c} * m + a;`);
  const sum = Array.from({ length: chains }, (_, c) => `s${c}`).join(' + ');
  const wgsl = `
@group(0) @binding(0) var<storage, read> coefficients: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> output: array<vec4f>;
struct Scalars { turns: u32 }
@group(0) @binding(2) var<uniform> scalars: Scalars;

@compute @workgroup_size(${PEAK_WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let m = coefficients[0];
  let a = coefficients[1];
  let start = f32(id.x % 16u);
  ${perChain((c) => `var s${c} = vec4f((start + ${c}.0) * 0.015625);`)}
  for (var turn = 0u; turn < scalars.turns; turn++) {
  ${Array.from({ length: PEAK_UNROLL }, () => perChain(step)).join('\n  ')}
  }
  output[id.x] = ${sum};
}`;
  return { label: `multiply-add peak ${chains}`, wgsl, bindings: 'rwu', workgroups: [workgroups, 1, 1] };
}

/** What one invocation of the kernel writes to each lane of its vector, computed in float64. */
export function peakReference(
  { chains }: PeakForm,
  { factor, addend, turns, invocation }: { factor: number; addend: number; turns: number; invocation: number },
): number {
  let sum = 0;
  for (let c = 0; c < chains; c++) {
    let value = ((invocation % 16) + c) / 64;
    for (let k = 0; k < turns * PEAK_UNROLL; k++) value = value * factor + addend;
    sum += value;
  }
  return sum;
}

/** Floating-point operations of one dispatch. */
export function peakFlops({ chains }: PeakForm, workgroups: number, turns: number): number {
  return 2 * 4 * chains * PEAK_UNROLL * turns * workgroups * PEAK_WORKGROUP;
}

export const peakOutputSize = (workgroups: number): number => 4 * workgroups * PEAK_WORKGROUP;

/**
 * Bindings: source, destination. Copies `vectors` vec4. Each invocation copies `perInvocation` of them; what a workgroup copies is
 * contiguous.
 */
export function copyKernel(vectors: number, perInvocation: number): Kernel {
  const perGroup = 64 * perInvocation;
  const groups = Math.ceil(vectors / perGroup);
  const across = Math.min(groups, MAX_GROUPS);
  const copies = Array.from(
    { length: perInvocation },
    (_, k) => `destination[at + ${64 * k}u] = source[at + ${64 * k}u];`,
  );
  const wgsl = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (group.x + group.y * ${across}u) * ${perGroup}u + lane;
  if (at >= ${vectors}u) { return; }
  ${copies.join('\n  ')}
}`;
  return { label: `copy ${perInvocation}`, wgsl, bindings: 'rw', workgroups: [across, Math.ceil(groups / across), 1] };
}
