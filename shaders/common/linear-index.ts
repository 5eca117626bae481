/** Invocations of a 1-D kernel: small enough for every adapter, a multiple of every subgroup size. */
export const LINEAR_WORKGROUP = 64;

/**
 * WGSL that begins the `main` of a kernel with one invocation an element, up to its body. Goes with `linearGrid` of
 * `src/gpu/kernel.ts`, which folds long grids into two dimensions.
 */
export const linearHead = `@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32)`;

/** WGSL of the invocation's linear index there, which may lie behind the last element. */
export const linearIndex = '(wid.x + wid.y * nwg.x) * 64u + lid';

/**
 * The head of a kernel with one invocation an element: declares `main` and `i`, the linear index, and leaves where
 * `i >= count` (a WGSL expression such as `arrayLength(&y)`). Close the body with `}`.
 */
export function linearMain(count: string): string {
  return `
@compute @workgroup_size(${LINEAR_WORKGROUP})
fn main(@builtin(workgroup_id) wid: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = ${linearIndex};
  if (i >= ${count}) { return; }`;
}

type Binding = [name: string, access: 'r' | 'w'];

/** Declares the storage bindings 0, 1, … in order as arrays of `type`: names with `r` (read) or `w` (read and write). */
export function storageBindings(type: string, ...names: Binding[]): string {
  return names
    .map(
      ([name, access], k) =>
        `@group(0) @binding(${k}) var<storage, ${access === 'r' ? 'read' : 'read_write'}> ${name}: array<${type}>;`,
    )
    .join('\n');
}

/** The same for arrays of f32. */
export function f32Bindings(...names: Binding[]): string {
  return storageBindings('f32', ...names);
}
