import { constants } from 'node:fs';
import { access, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { ArgumentError } from '../common/errors.js';
import { comparablePath } from '../common/text.js';
import { checkTarget, ensureFolder, FileError, fileErrorReason, isSameFile } from '../data/files/atomic-file.js';
import { DASH } from './stdin.js';

/** File name without folders and without its extension (or `suffix`, if it ends with that). */
export function stemOf(path: string, suffix?: string): string {
  const name = basename(path);
  if (suffix && name.length > suffix.length && name.toLowerCase().endsWith(suffix))
    return name.slice(0, -suffix.length);
  return name.slice(0, name.length - extname(name).length);
}

/** Name of an input's output: its file name, or "stdin". */
export const nameOfInput = (path: string, suffix?: string): string => (path === DASH ? 'stdin' : stemOf(path, suffix));

const isInput = (output: string): ArgumentError =>
  new ArgumentError(`${output} is an input and would be overwritten: choose another output`);

/** What is the same for all paths of a file; undefined if there is none. */
const fileAt = (path: string): Promise<string | undefined> =>
  stat(path).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => undefined,
  );

async function filesAt(paths: readonly string[]): Promise<Set<string>> {
  const files = new Set<string>();
  for (const path of paths) {
    const file = await fileAt(path);
    if (file !== undefined) files.add(file);
  }
  return files;
}

/**
 * Keeps an output from replacing what the run reads.
 * @param inputs paths; those that are not files are ignored
 * @throws ArgumentError
 */
export async function refuseInput(output: string, inputs: readonly (string | undefined)[]): Promise<void> {
  for (const input of inputs) {
    if (input !== undefined && (await isSameFile(output, input))) {
      throw isInput(output);
    }
  }
}

/** Folders that this command made: the outermost that was missing, and the one that was wanted. */
let madeFolders: { outermost: string; folder: string }[] = [];

async function makeFolder(folder: string): Promise<void> {
  const outermost = await ensureFolder(folder);
  if (outermost !== undefined) madeFolders.push({ outermost: resolve(outermost), folder: resolve(folder) });
}

/** Removes the folders that this command made and left empty. */
export async function removeEmptyFolders(): Promise<void> {
  const made = madeFolders.reverse();
  madeFolders = [];
  for (const { outermost, folder } of made) {
    for (let path = folder; path.length >= outermost.length; path = dirname(path)) {
      const removed = await rmdir(path).then(
        () => true,
        () => false, // it is not empty
      );
      if (!removed) break;
    }
  }
}

/**
 * Makes the folder of a file that will be written at the end of the work, and checks that it can be written.
 * @throws FileError, ArgumentError for one of the inputs
 */
export async function claimFile(path: string, inputs: readonly (string | undefined)[]): Promise<void> {
  await makeFolder(dirname(path));
  await checkTarget(path);
  await refuseInput(path, inputs);
}

/** The output files of one run: in one folder, each with one input. */
export class Outputs {
  readonly #takenBy = new Map<string, string>();

  readonly #made = new Set<string>();

  readonly #inputs: string[] = [];

  /** The inputs by device and inode, found when the first output exists already. */
  #inputFiles: Set<string> | undefined;

  private constructor(readonly folder: string) {
    this.#made.add(dirname(join(folder, 'any')));
  }

  /**
   * Makes the folder where there is none.
   * @throws FileError if it cannot be made or written
   */
  static async in(folder: string): Promise<Outputs> {
    await makeFolder(folder);
    try {
      await access(folder, constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new FileError(`${folder}: cannot write into this folder: ${fileErrorReason(error)}`, { cause: error });
    }
    return new Outputs(folder);
  }

  /** Adds inputs, which no output may replace, not even through a link. */
  protect(inputs: Iterable<string | undefined>): void {
    for (const input of inputs) if (input !== undefined) this.#inputs.push(input);
    this.#inputFiles = undefined;
  }

  /** @throws ArgumentError if this output would replace an input */
  async check(path: string): Promise<void> {
    const file = await fileAt(path);
    if (file === undefined) return;
    this.#inputFiles ??= await filesAt(this.#inputs);
    if (this.#inputFiles.has(file)) throw isInput(path);
  }

  /** Makes the folders below this one that an output lies in. @throws FileError, ArgumentError if it would replace an input */
  async ready(path: string): Promise<void> {
    await this.check(path);
    const folder = dirname(path);
    if (this.#made.has(folder)) return;
    await makeFolder(folder);
    this.#made.add(folder);
  }

  /**
   * Checks that files of these names can be written, and are not inputs.
   * @throws FileError, ArgumentError
   */
  async reserve(names: readonly string[], inputs: readonly (string | undefined)[]): Promise<void> {
    for (const name of names) {
      const path = join(this.folder, name);
      await checkTarget(path);
      await refuseInput(path, inputs);
    }
  }

  /**
   * Path of an output.
   * @throws ArgumentError if another input of this run has the same path
   */
  claim(name: string, input: string): string {
    const path = join(this.folder, name);
    // Many file systems do not distinguish names that differ only in case or in the composition of letters.
    const composed = comparablePath(name);
    const key = process.platform === 'linux' ? composed : composed.toLowerCase();
    const other = this.#takenBy.get(key);
    if (other !== undefined) {
      throw new ArgumentError(
        `${input}: its output would be ${path}, which is also that of ${other}: use two output folders`,
      );
    }
    this.#takenBy.set(key, input);
    return path;
  }
}
