import type { BufferPool, PooledBuffer } from './buffer-pool.js';
import { type Lifetime, planMemory } from './memory-plan.js';

/**
 * The memory of temporaries of recorded steps. All steps of a device share it: they run one after another, and no
 * temporary is used after its step. So a step that resembles another needs nothing more.
 */
export class ScratchMemory {
  readonly #buffers: { buffer: PooledBuffer; users: number }[] = [];

  constructor(private readonly pool: BufferPool) {}

  /**
   * Finds a place for each lifetime.
   * @throws OutOfMemoryError, and nothing is held then
   */
  claim(lifetimes: readonly Lifetime[]): PooledBuffer[] {
    const plan = planMemory(
      lifetimes,
      this.#buffers.map(({ buffer }) => buffer.capacity),
    );
    const held = this.#buffers.length;
    try {
      for (const bytes of plan.sizes.slice(held)) {
        this.#buffers.push({ buffer: this.pool.acquire(bytes, 'memory of recorded steps'), users: 0 });
      }
    } catch (error) {
      for (const { buffer } of this.#buffers.splice(held)) this.pool.release(buffer);
      throw error;
    }
    for (const k of new Set(plan.placement)) this.#buffers[k].users++;
    return plan.placement.map((k) => this.#buffers[k].buffer);
  }

  /** Returns the memory of one `claim`; what no other step uses goes to the pool. */
  release(claimed: readonly PooledBuffer[]): void {
    const set = new Set(claimed);
    for (let k = this.#buffers.length - 1; k >= 0; k--) {
      const entry = this.#buffers[k];
      if (!set.has(entry.buffer) || --entry.users > 0) continue;
      this.#buffers.splice(k, 1);
      this.pool.release(entry.buffer);
    }
  }
}
