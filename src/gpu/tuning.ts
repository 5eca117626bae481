import type { GpuDescription } from './description.js';

/**
 * Part of the key of stored choices, because choices made for other kernels are useless. It is the package's version; a test
 * compares the two.
 */
export const ENGINE_VERSION = '0.1.0';

/** A choice that a kernel family asked for: the family, and everything that the choice depends on, as JSON-like data. */
export interface TuningRequest {
  family: string;
  problem: unknown;
}

/** Measured choices of one device, as they are stored. */
export interface StoredTuning {
  adapter: string;
  engine: string;
  /** By family and problem, as `tuningKey` writes them. */
  choices: Record<string, unknown>;
}

export const tuningKey = ({ family, problem }: TuningRequest): string => `${family} ${JSON.stringify(problem)}`;

/** Adapter and driver, as far as the adapter gives them. */
export function tuningAdapter({ vendor, architecture, device, description }: GpuDescription): string {
  return [vendor, architecture, device, description].join(' | ');
}

/**
 * The measured choices of kernels for one device. A kernel family asks with the candidates it could use, so a
 * choice from a stale or damaged file is either one of them or ignored.
 */
export class Tuning {
  readonly #stored = new Map<string, unknown>();
  /** Choices that were looked up and found to be candidates (or not). */
  readonly #checked = new Map<string, unknown>();
  #collected: Map<string, TuningRequest> | null = null;

  /** The measured choice among the candidates, or undefined. */
  choice<T>(request: TuningRequest, candidates: () => readonly T[]): T | undefined {
    if (this.#stored.size === 0 && !this.#collected) return undefined; // without the cost of a key, in every conv
    const key = tuningKey(request);
    this.#collected?.set(key, request);
    if (!this.#checked.has(key)) {
      const stored = JSON.stringify(this.#stored.get(key));
      this.#checked.set(key, stored && candidates().find((candidate) => JSON.stringify(candidate) === stored));
    }
    return this.#checked.get(key) as T | undefined;
  }

  set(request: TuningRequest, choice: unknown): void {
    const key = tuningKey(request);
    this.#stored.set(key, choice);
    this.#checked.delete(key);
  }

  /** Runs `body` and returns the choices that kernels asked for. */
  collect(body: () => void): TuningRequest[] {
    const outer = this.#collected;
    this.#collected = new Map();
    try {
      body();
      return [...this.#collected.values()];
    } finally {
      this.#collected = outer;
    }
  }

  has(request: TuningRequest): boolean {
    return this.#stored.has(tuningKey(request));
  }

  /** All choices, for storage. */
  choices(): Record<string, unknown> {
    return Object.fromEntries(this.#stored);
  }

  /** Takes over stored choices, unless they are of another adapter, driver or engine version. */
  load(stored: unknown, adapter: string): void {
    const { adapter: from, engine, choices } = (stored ?? {}) as Partial<StoredTuning>;
    if (from !== adapter || engine !== ENGINE_VERSION || typeof choices !== 'object' || choices === null) return;
    for (const [key, choice] of Object.entries(choices)) this.#stored.set(key, choice);
    this.#checked.clear();
  }
}

/** What is stored of a device's choices. */
export function storedTuning(tuning: Tuning, description: GpuDescription): StoredTuning {
  return { adapter: tuningAdapter(description), engine: ENGINE_VERSION, choices: tuning.choices() };
}
