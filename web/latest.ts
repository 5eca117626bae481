/**
 * Runs only the latest request, and aborts earlier ones. A request starts when no other has come for a moment, and when the one before it
 * has ended. Compare `Newest`, which lets a running request finish.
 */
export class Latest<T> {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: { controller: AbortController; done: Promise<void> } | null = null;

  /** @param work checks the signal between its steps; its errors after an abort are ignored */
  constructor(
    private readonly work: (request: T, signal: AbortSignal) => Promise<void>,
    private readonly onError: (error: unknown) => void,
    private readonly quietMs = 120,
  ) {}

  request(request: T): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#begin(request), this.quietMs);
  }

  /** Aborts the running request, and drops the waiting one. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#running?.controller.abort();
  }

  async #begin(request: T): Promise<void> {
    const before = this.#running;
    before?.controller.abort();
    const controller = new AbortController();
    const done = (async () => {
      await before?.done;
      if (controller.signal.aborted) return;
      try {
        await this.work(request, controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) this.onError(error);
      }
    })();
    this.#running = { controller, done };
    await done;
  }
}
