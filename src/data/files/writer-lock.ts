import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { link, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { parseJson } from '../../common/json.js';
import { decodeText } from '../../common/text.js';
import { FileError, fileErrorReason } from './atomic-file.js';

/** Who has a lock. */
interface Holder {
  pid: number;
  host: string;
  /** When the process began, if the system gives it; another process may later get its number. */
  began: string;
  /** Where its number means this process: the system's start and its namespace of processes; '' or absent if the system does not give it. */
  within?: string;
}

/** Locks of this process, to be removed if it exits without releasing them. */
const held = new Set<string>();
let watching = false;

/**
 * A file that says that one process writes to something. It appears complete, in one step, so only one of two processes gets it.
 * If its process is gone, as after `kill -9`, the lock is taken over.
 */
export class WriterLock {
  private constructor(private readonly path: string) {}

  /**
   * @param path of the lock's file
   * @param what the lock is for, for the message
   * @throws FileError if another process has it, with its number, host and the lock's file; or if it cannot be written
   */
  static async take(path: string, what: string): Promise<WriterLock> {
    const own: Holder = {
      pid: process.pid,
      host: hostname(),
      began: await beginOf(process.pid),
      within: await numbersWithin(),
    };
    const taken = await WriterLock.#takeOr(path, what, own);
    if (taken instanceof WriterLock) return taken;
    throw new FileError(refusal(path, what, taken, own));
  }

  /** @returns the lock, or its holder if another process has it */
  static async #takeOr(path: string, what: string, own: Holder): Promise<WriterLock | Holder> {
    for (let tries = 0; tries < 100; tries++) {
      if (await create(path, own, what)) return new WriterLock(path);
      const found = await readLock(path);
      if (!found) continue; // released meanwhile
      const { holder, text } = found;
      if (holder && (await isAlive(holder, own))) return holder;
      await WriterLock.#remove(path, text, what, own);
    }
    throw new FileError(`${what}: its lock ${path} cannot be taken: other runs are taking it at the same time`);
  }

  /**
   * Removes a lock whose process is gone. Only one process at a time does this, under a lock of its own; otherwise a slow process
   * could remove a lock that another has made since. If another process is doing it, this waits a moment.
   */
  static async #remove(path: string, text: string, what: string, own: Holder): Promise<void> {
    const guard = await WriterLock.#takeOr(`${path}.takeover`, what, own);
    if (!(guard instanceof WriterLock)) return pause(20);
    try {
      if ((await readText(path).catch(() => undefined)) === text) await rm(path, { force: true });
    } finally {
      await guard.release();
    }
  }

  async release(): Promise<void> {
    if (held.delete(this.path)) await rm(this.path, { force: true });
  }
}

function refusal(path: string, what: string, holder: Holder, own: Holder): string {
  const { pid, host } = holder;
  if (canSee(holder, own))
    return `${what}: process ${pid} is writing to it (lock ${path}); wait for that process, or end it`;
  const place = host === own.host ? `in another container or another start of ${host}` : `on ${host}`;
  return `${what}: process ${pid} ${place} is writing to it; if that process has ended, remove the lock ${path}`;
}

/** Errors of `link` on a file system without hard links. */
const NO_LINKS = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EINVAL'];

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';

/** @returns false if there is a lock already. @throws FileError */
async function create(path: string, own: Holder, what: string): Promise<boolean> {
  const text = JSON.stringify(own);
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(draft, text, { flag: 'wx' });
    await link(draft, path).catch((error: unknown) => {
      if (!NO_LINKS.includes(codeOf(error))) throw error;
      return writeFile(path, text, { flag: 'wx' });
    });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw new FileError(`cannot write ${path}, the lock of ${what}: ${fileErrorReason(error)}`, { cause: error });
  } finally {
    await rm(draft, { force: true }).catch(() => {});
  }
  held.add(path);
  if (!watching) {
    watching = true;
    process.on('exit', () => {
      for (const lock of held) rmSync(lock, { force: true });
    });
  }
  return true;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The bytes of a lock, one character each; undefined if there is none. @throws other errors of reading */
const readText = (path: string): Promise<string | undefined> =>
  readFile(path, 'latin1').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });

/** The content of a lock; the holder is null if its process ended while it wrote the lock. Undefined without a lock. @throws FileError */
async function readLock(path: string): Promise<{ holder: Holder | null; text: string } | undefined> {
  // Without hard links a lock is empty for a moment: its process is given the time to write into it.
  for (let tries = 0; ; tries++) {
    const text = await readText(path).catch((error: Error) => error);
    if (text === undefined) return undefined;
    if (typeof text === 'string') {
      const holder = holderIn(text, path);
      if (holder !== undefined) return { holder, text };
      if (tries === 20) return { holder: null, text };
    } else if (tries === 20)
      throw new FileError(`cannot read the lock ${path}: ${fileErrorReason(text)}`, { cause: text });
    await pause(50);
  }
}

/** Null for JSON of something else, undefined for a text that is not JSON. */
function holderIn(text: string, path: string): Holder | null | undefined {
  try {
    const { pid, host, began, within } = parseJson(decodeText(Buffer.from(text, 'latin1'), path), path) as Holder;
    if (!Number.isInteger(pid) || pid <= 0) return null;
    return { pid, host: String(host), began: String(began), within: String(within ?? '') };
  } catch {
    return undefined;
  }
}

/** Whether the holder's number is that of a process that this one can see. Containers may have the same host name. */
const canSee = (holder: Holder, own: Holder): boolean =>
  holder.host === own.host && (!holder.within || !own.within || holder.within === own.within);

/** What numbers of processes are unique within; '' if the system does not give it. */
async function numbersWithin(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1').catch(() => '');
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return boot === '' || namespace === '' ? '' : `${boot.trim()} ${namespace}`;
}

async function isAlive(holder: Holder, own: Holder): Promise<boolean> {
  if (!canSee(holder, own)) return true; // cannot be known from here
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const began = await beginOf(holder.pid);
  if (began === ENDED) return false;
  return began === '' || holder.began === '' || began === holder.began;
}

/** The state of a process that has ended, but whose parent has not collected it. */
const ENDED = 'ended';

/** When a process began, in the system's ticks; '' if the system does not give it. */
async function beginOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`).catch(() => undefined);
  // The name, in parentheses, may hold anything; field 22 is the start, and field 3 is the first one after the name.
  const fields = stat?.toString('latin1').split(') ').at(-1)?.split(' ');
  return fields?.[0] === 'Z' ? ENDED : (fields?.[19] ?? '');
}

/** In the folder of a training run: one run may write to it. */
export const TRAINING_LOCK = '.cameo-train.lock';

/** Does some work with the lock, and releases it in any case. @throws as `WriterLock.take` */
export async function withWriterLock<T>(path: string, what: string, work: () => Promise<T>): Promise<T> {
  const lock = await WriterLock.take(path, what);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
