/**
 * Does one piece of work at a time. What is asked for meanwhile waits, and only the newest of it is done: so a slider that
 * moves shows what it can, and ends with what it says.
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
