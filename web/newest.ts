/**
 * Runs one request at a time, and lets it finish. Of the requests that come meanwhile, only the newest runs next. So the results follow
 * a moving slider as fast as they can, and end with its last value. Compare `Latest`, which aborts.
 */
export class Newest<T> {
  #waiting: { request: T } | null = null;
  #busy = false;

  constructor(
    private readonly work: (request: T) => Promise<void>,
    private readonly onError: (error: unknown, request: T) => void,
  ) {}

  request(request: T): void {
    this.#waiting = { request };
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#waiting) {
      const { request } = this.#waiting;
      this.#waiting = null;
      try {
        await this.work(request);
      } catch (error) {
        this.onError(error, request);
      }
    }
    this.#busy = false;
  }
}
