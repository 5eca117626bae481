import { type FileHandle, open, rm } from 'node:fs/promises';
import { FileError, fileErrorReason, writeAll } from './atomic-file.js';
import { readTextIfThere } from './read-file.js';

/**
 * A list on disk of what a long run has finished, so that the next run can go on. It is text: the settings of the run in the
 * first line, then a line for each finished thing. A line that is cut off does not count.
 */
export class DoneList {
  #file: FileHandle | undefined;

  private constructor(
    readonly path: string,
    private readonly settings: string,
    private readonly done: ReadonlyMap<string, number>,
  ) {}

  /**
   * Reads the list; a list of other settings is ignored, and replaced when something is added.
   * @param settings one line
   * @throws FileError
   */
  static async open(path: string, settings: string): Promise<DoneList> {
    const text = (await readTextIfThere(path)) ?? '';
    const done = new Map<string, number>();
    const lines = text.split('\n').slice(0, -1);
    if (lines[0] === settings) {
      for (const line of lines.slice(1)) {
        const [, sum, name] = /^([0-9a-f]{8}) (.+)$/.exec(line) ?? [];
        if (sum) done.set(name, Number.parseInt(sum, 16)); // the name as JSON has it: it may hold a line break
      }
    }
    return new DoneList(path, settings, done);
  }

  /** Things that an earlier run had finished. */
  get resumed(): number {
    return this.done.size;
  }

  /** @param sum 32-bit checksum of the content of this name */
  has(name: string, sum: number): boolean {
    return this.done.get(JSON.stringify(name)) === sum;
  }

  /** @throws FileError */
  async add(name: string, sum: number): Promise<void> {
    try {
      if (!this.#file) {
        // There is nothing to go on from, so a list of other settings, or a part of one, is removed.
        this.#file = await open(this.path, this.done.size > 0 ? 'a' : 'w');
        // After a line that was cut off, the next one begins on a new line.
        await this.#append(this.done.size > 0 ? '\n' : `${this.settings}\n`);
      }
      await this.#append(`${sum.toString(16).padStart(8, '0')} ${JSON.stringify(name)}\n`);
    } catch (error) {
      throw new FileError(`cannot write ${this.path}: ${fileErrorReason(error)}`, { cause: error });
    }
  }

  /** Ends the writing; the list remains for the next run. */
  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Ends the run: all is finished. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
  }

  async #append(text: string): Promise<void> {
    await writeAll(this.#file!, new TextEncoder().encode(text));
  }
}
