import type { PooledBuffer } from './buffer-pool.js';
import { type Lifetime, memoryPeak, planMemory } from './memory-plan.js';
import type { RecordedDispatch, Recording, VirtualBuffer } from './recording.js';

/** From first to last use, in dispatches, of every temporary: what is neither kept nor a constant nor from outside. */
export function lifetimesOf(
  recording: Recording,
  kept: ReadonlySet<PooledBuffer>,
  dispatches: readonly RecordedDispatch[],
): Map<VirtualBuffer, Lifetime> {
  const lifetimes = new Map<VirtualBuffer, Lifetime>();
  dispatches.forEach(({ buffers }, at) => {
    for (const buffer of buffers) {
      if (!recording.owns(buffer) || recording.constants.has(buffer) || kept.has(buffer)) continue;
      lifetimes.set(buffer, { bytes: buffer.capacity, first: lifetimes.get(buffer)?.first ?? at, last: at });
    }
  });
  return lifetimes;
}

/**
 * Trades computation for memory: a result of a pointwise kernel that waits for a use far away is dropped and computed
 * again just before that use, from the same operands, hence to the same bits. (Chen et al. 2016, "Training deep nets
 * with sublinear memory cost", arXiv 1604.06174, for the idea.) The largest result that is live at the peak goes first,
 * and no more than needed.
 *
 * @param goal stops when the memory plan takes at most this many bytes, or when nothing more helps
 * @returns the dispatches in their new order
 */
export function recomputeToSave(
  recording: Recording,
  kept: ReadonlySet<PooledBuffer>,
  goal: number,
): readonly RecordedDispatch[] {
  let dispatches: readonly RecordedDispatch[] = recording.dispatches;
  for (;;) {
    const lifetimes = lifetimesOf(recording, kept, dispatches);
    const planned = planMemory([...lifetimes.values()]).sizes.reduce((sum, bytes) => sum + bytes, 0);
    if (planned <= goal) return dispatches;
    const { bytes: peak, at } = memoryPeak([...lifetimes.values()]);
    const live = [...lifetimes].filter(([, { first, last }]) => first < at && at < last).map(([buffer]) => buffer);
    live.sort((a, b) => b.capacity - a.capacity);
    const better = firstOf(live, (buffer) => {
      const changed = dropAcross(buffer, at, recording, lifetimes, dispatches);
      if (!changed) return null;
      return memoryPeak([...lifetimesOf(recording, kept, changed).values()]).bytes < peak ? changed : null;
    });
    if (!better) return dispatches;
    dispatches = better;
  }
}

/** The dispatches where `buffer` is free at `at` and computed again before its next use; null where that cannot be. */
function dropAcross(
  buffer: VirtualBuffer,
  at: number,
  recording: Recording,
  lifetimes: ReadonlyMap<VirtualBuffer, Lifetime>,
  dispatches: readonly RecordedDispatch[],
): RecordedDispatch[] | null {
  if (dispatches[at].buffers.includes(buffer)) return null;
  const next = dispatches.findIndex(({ buffers }, k) => k > at && buffers.includes(buffer));
  const inserted: RecordedDispatch[] = [];

  /** Computes `wanted` again into a new buffer, after what it needs and what is no longer there at `at`. */
  const again = (wanted: VirtualBuffer): VirtualBuffer | null => {
    const writers = [...dispatches.keys()].filter((k) => writes(dispatches[k], wanted));
    const [made] = writers;
    const { kernel, scalars, buffers } = dispatches[made];
    const outputs = buffers.filter((_, k) => kernel.bindings[k] === 'w');
    if (writers.length !== 1 || !kernel.pointwise || outputs.length !== 1 || typeof scalars === 'function') return null;
    const replaced: PooledBuffer[] = [];
    for (const operand of buffers) {
      if (operand === wanted) continue;
      const lifetime = lifetimes.get(operand as VirtualBuffer);
      const gone = lifetime !== undefined && lifetime.last < at;
      const current = gone ? again(operand as VirtualBuffer) : operand;
      const changed = dispatches.slice(made + 1, next).some((dispatch) => writes(dispatch, operand));
      if (!current || changed) return null;
      replaced.push(current);
    }
    const fresh = recording.like(wanted);
    inserted.push({ kernel, scalars, buffers: buffers.map((b) => (b === wanted ? fresh : replaced.shift()!)) });
    return fresh;
  };

  const fresh = again(buffer);
  if (!fresh) return null;
  const later = dispatches
    .slice(next)
    .map((dispatch) => ({ ...dispatch, buffers: dispatch.buffers.map((b) => (b === buffer ? fresh : b)) }));
  return [...dispatches.slice(0, next), ...inserted, ...later];
}

const writes = ({ kernel, buffers }: RecordedDispatch, buffer: PooledBuffer): boolean =>
  buffers.some((b, k) => b === buffer && kernel.bindings[k] === 'w');

function firstOf<T, R>(items: readonly T[], attempt: (item: T) => R | null): R | null {
  for (const item of items) {
    const result = attempt(item);
    if (result) return result;
  }
  return null;
}
