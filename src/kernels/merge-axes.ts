/** A run of neighbouring axes that a kernel may treat as one. */
export interface MergedAxis {
  /** Product of the sizes. */
  readonly size: number;
  /** What the axes have in common: one flag for each operand, or a single one. */
  readonly flags: readonly boolean[];
}

/**
 * Merges neighbouring axes of equal flags and drops those of size 1, so that a kernel has few indices to compute:
 * most broadcasts and reductions then have one or two axes. At least one axis is left.
 */
export function mergeAxes(
  shape: readonly number[],
  flagsOf: (axis: number) => readonly boolean[],
  otherwise: readonly boolean[],
): MergedAxis[] {
  const merged: MergedAxis[] = [];
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const flags = flagsOf(axis);
    const last = merged.at(-1);
    if (last?.flags.every((flag, k) => flag === flags[k])) {
      merged[merged.length - 1] = { size: last.size * size, flags };
    } else merged.push({ size, flags });
  });
  return merged.length > 0 ? merged : [{ size: 1, flags: otherwise }];
}
