import { DisposedError } from '../common/errors.js';
import type { PooledBuffer } from './buffer-pool.js';
import { markChanged } from './changes.js';
import type { Command, Gpu } from './gpu.js';
import type { Lifetime } from './memory-plan.js';
import { lifetimesOf, recomputeToSave } from './recompute.js';
import type { Recording } from './recording.js';
import { ScalarTable } from './scalars.js';

/** Results are computed twice to save memory if temporaries take more than this share of their unplanned memory. */
const TEMPORARY_SHARE = 0.57;

/** A recording that is ready to run: memory is planned, and pipelines and bind groups are made, once. */
export class Program {
  /** Bytes of temporaries (which steps may share), constants and results. */
  readonly plannedBytes: number;
  readonly dispatches: number;
  readonly #commands: readonly Command[];
  /** Buffers that outlive the step and belong to others: parameters, optimizer state, inputs. */
  readonly #foreign = new Set<PooledBuffer>();
  /** Of these and of the results, those that a run changes. */
  readonly #changed = new Set<PooledBuffer>();
  #scratch: readonly PooledBuffer[] = [];
  readonly #own: PooledBuffer[] = [];
  readonly #scalars: ScalarTable;
  /** What the CPU does before each run. */
  readonly #host: (() => void)[];
  #disposed = false;

  /**
   * @param kept buffers of the recording that keep their values after a run
   * @throws OutOfMemoryError, and nothing is held then
   */
  constructor(
    private readonly gpu: Gpu,
    recording: Recording,
    kept: ReadonlySet<PooledBuffer>,
  ) {
    const dispatches = recomputeToSave(recording, kept, TEMPORARY_SHARE * recording.unplannedBytes);
    this.#scalars = new ScalarTable(
      gpu.device,
      dispatches.flatMap(({ scalars }) => scalars ?? []),
    );
    try {
      const place = this.#allocate(recording, kept, lifetimesOf(recording, kept, dispatches));
      this.#commands = dispatches.map(({ kernel, buffers, scalars }) => {
        const storage = buffers.map((buffer) => ({ buffer: (place.get(buffer) ?? buffer).raw, size: buffer.bytes }));
        return gpu.prepare(kernel, storage, scalars && this.#scalars.binding(scalars));
      });
    } catch (error) {
      this.dispose();
      throw error;
    }
    for (const { kernel, buffers } of dispatches) {
      buffers.forEach((buffer, k) => {
        const isForeign = !recording.owns(buffer);
        if (isForeign) this.#foreign.add(buffer);
        if (kernel.bindings[k] === 'w' && (isForeign || kept.has(buffer))) this.#changed.add(buffer);
      });
    }
    this.#host = recording.host.map((entry) =>
      'action' in entry ? entry.action : () => this.#scalars.refresh(entry.scalars),
    );
    this.dispatches = dispatches.length;
    const memory = [...new Set(this.#scratch), ...this.#own];
    this.plannedBytes = memory.reduce((sum, { capacity }) => sum + capacity, 0);
  }

  /**
   * Records every dispatch of the step, with fresh scalars, and submits.
   * @throws DisposedError after dispose, or if memory that the step uses was freed; nothing has run then
   */
  run(): void {
    this.gpu.assertUsable();
    this.gpu.assertNotRecording('a recorded step is run');
    if (this.#disposed) throw new DisposedError('a recorded step was run after its disposal');
    for (const buffer of this.#foreign) {
      if (buffer.released) throw new DisposedError(`a recorded step uses ${buffer.label}, which has been disposed`);
    }
    for (const act of this.#host) act();
    this.gpu.flush();
    if (this.#host.length > 0) this.#scalars.upload();
    for (const command of this.#commands) this.gpu.encode(command);
    this.gpu.flush();
    for (const buffer of this.#changed) markChanged(buffer);
  }

  /** Frees the step's memory. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#scalars.destroy(); // `run` has submitted whatever uses them
    this.gpu.scratch.release(this.#scratch);
    for (const buffer of this.#own) this.gpu.pool.release(buffer);
  }

  /** Gives temporaries shared memory, and constants and results memory of their own; returns where the temporaries are. */
  #allocate(
    recording: Recording,
    kept: ReadonlySet<PooledBuffer>,
    lifetimes: ReadonlyMap<PooledBuffer, Lifetime>,
  ): Map<PooledBuffer, PooledBuffer> {
    this.#scratch = this.gpu.scratch.claim([...lifetimes.values()]);
    for (const buffer of new Set([...recording.constants.keys(), ...kept])) {
      if (!recording.owns(buffer)) continue;
      buffer.memory = this.gpu.pool.acquire(buffer.bytes, buffer.label);
      this.#own.push(buffer.memory);
    }
    for (const [buffer, values] of recording.constants) this.gpu.write(buffer.memory!, values);
    return new Map([...lifetimes.keys()].map((buffer, k) => [buffer, this.#scratch[k]]));
  }
}
