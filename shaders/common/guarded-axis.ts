/** One axis of an array that an invocation reads or writes at fixed offsets from a base that differs by invocation. */
export interface GuardedAxis {
  /** WGSL expression of the base, an i32 in [0, `lastBase`]. */
  base: string;
  lastBase: number;
  size: number;
}

/** A position on an axis: the expression of an index inside the array, and the condition that it is the one meant. */
export interface Position {
  index: string;
  /** WGSL condition; empty where no invocation leaves the array, so that nothing is to be tested. */
  inside: string;
}

/** Base + offset, clamped to the array where it could leave it. */
export function guarded({ base, lastBase, size }: GuardedAxis, offset: number): Position {
  const at = offset === 0 ? base : `(${base} ${offset < 0 ? '-' : '+'} ${Math.abs(offset)})`;
  const below = offset < 0;
  const above = lastBase + offset >= size;
  const low = below ? `max(${at}, 0)` : at;
  return {
    index: above ? `min(${low}, ${size - 1})` : low,
    inside: [below ? `${at} >= 0` : '', above ? `${at} < ${size}` : ''].filter(Boolean).join(' && '),
  };
}
