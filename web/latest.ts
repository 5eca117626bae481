/**
 * Does the newest of what is asked for: a request waits until there is quiet for a moment, and aborts the one before, which
 * ends before the next begins.
 */
export class Latest<T> {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: { controller: AbortController; done: Promise<void> } | null = null;

  /** @param work looks at the signal between its steps; what it throws once that is aborted is of no interest */
  constructor(
    private readonly work: (request: T, signal: AbortSignal) => Promise<void>,
    private readonly onError: (error: unknown) => void,
    private readonly quietMs = 120,
  ) {}

  request(request: T): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#begin(request), this.quietMs);
  }

  /** Ends what is under way, and what waits. */
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
