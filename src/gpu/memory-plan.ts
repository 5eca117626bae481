/** A buffer of `bytes` that holds values from dispatch `first` to dispatch `last`, both included. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

export interface MemoryPlan {
  /** Bytes of each shared buffer, existing ones first. */
  readonly sizes: readonly number[];
  /** For each lifetime the index of its shared buffer. */
  readonly placement: readonly number[];
}

/**
 * Puts buffers into few shared ones, so that no two lifetimes in one shared buffer overlap. The largest buffers come first.
 * Each goes into the smallest shared buffer that is large enough and free during its lifetime, else into a new one.
 *
 * Whole buffers are shared, not ranges of one: WebGPU refuses a dispatch that reads a buffer and writes the same one,
 * even at different offsets. Since `last` is included, an output never falls on an input of its own dispatch.
 *
 * @param existing bytes of shared buffers to use before new ones
 */
export function planMemory(lifetimes: readonly Lifetime[], existing: readonly number[] = []): MemoryPlan {
  const sizes = [...existing];
  const tenants: Lifetime[][] = sizes.map(() => []);
  const placement: number[] = new Array(lifetimes.length);
  const order = [...lifetimes.keys()].sort((a, b) => lifetimes[b].bytes - lifetimes[a].bytes || a - b);
  for (const index of order) {
    const wanted = lifetimes[index];
    let best = -1;
    tenants.forEach((others, k) => {
      if (sizes[k] < wanted.bytes || (best >= 0 && sizes[k] >= sizes[best])) return;
      if (others.every(({ first, last }) => last < wanted.first || wanted.last < first)) best = k;
    });
    if (best < 0) {
      best = sizes.push(wanted.bytes) - 1;
      tenants.push([]);
    }
    tenants[best].push(wanted);
    placement[index] = best;
  }
  return { sizes, placement };
}

/** The maximum bytes in use at one time, a lower bound for every plan, and the first dispatch where they are in use. */
export function memoryPeak(lifetimes: readonly Lifetime[]): { bytes: number; at: number } {
  const changes = new Map<number, number>();
  const change = (at: number, bytes: number): void => {
    changes.set(at, (changes.get(at) ?? 0) + bytes);
  };
  for (const { bytes, first, last } of lifetimes) {
    change(first, bytes);
    change(last + 1, -bytes);
  }
  const peak = { bytes: 0, at: 0 };
  let live = 0;
  for (const at of [...changes.keys()].sort((a, b) => a - b)) {
    live += changes.get(at)!;
    if (live > peak.bytes) Object.assign(peak, { bytes: live, at });
  }
  return peak;
}
