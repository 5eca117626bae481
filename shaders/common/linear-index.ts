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
