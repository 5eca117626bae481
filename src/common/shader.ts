/**
 * WGSL text and its bindings, from which a pipeline is made.
 *
 * Bindings are group 0, binding 0, 1, 2, … in the order of `bindings`, one letter each: `r` read-only storage,
 * `w` read-write storage, `u` uniform (at most one, last: the scalars that change from call to call).
 * The entry point is `main`. Two kernels with equal text and bindings share one pipeline.
 */
export interface Shader {
  readonly wgsl: string;
  readonly bindings: string;
  /** Bytes that each binding has at least. If it is left out, drivers compute it and check each dispatch. */
  readonly bindingSizes?: readonly number[];
}
