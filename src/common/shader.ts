/**
 * WGSL text, and what it binds: what a pipeline is made of.
 *
 * Bindings are group 0, binding 0, 1, 2, … in the order of `bindings`, one letter each: `r` read-only storage,
 * `w` read-write storage, `u` uniform (at most one, last: the scalars that change from call to call).
 * The entry point is `main`. Two kernels with equal text and bindings share one pipeline.
 */
export interface Shader {
  readonly wgsl: string;
  readonly bindings: string;
  /** Bytes that each binding has at least. Where it is left out, drivers work it out and look at each dispatch. */
  readonly bindingSizes?: readonly number[];
}
