import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { parseJson } from '../../common/json.js';
import { decodeText } from '../../common/text.js';
import { FileError, fileErrorReason } from './atomic-file.js';

/** Who has a lock. */
interface Holder {
  pid: number;
  host: string;
  /** When the process began, where the system tells: another process may get its number later. */
  began: string;
}

/** Locks of this process, to be removed where it exits without releasing them. */
const held = new Set<string>();
let watching = false;

/**
 * A file that says that one process writes to something. It is made in one step, so that of two processes one has it; one
 * whose process is gone, as after `kill -9`, is taken over.
 */
export class WriterLock {
  private constructor(private readonly path: string) {}

  /**
   * @param path of the lock's file
   * @param what the lock is for, for the message
   * @throws FileError where another process has it, with its number, host and the lock's file; where it cannot be written
   */
  static async take(path: string, what: string): Promise<WriterLock> {
    const own: Holder = { pid: process.pid, host: hostname(), began: await beginOf(process.pid) };
    for (let tries = 0; tries < 5; tries++) {
      if (await create(path, own, what)) return new WriterLock(path);
      const holder = await holderOf(path);
      if (holder === undefined) continue; // released meanwhile
      if (holder !== null && (await isAlive(holder, own))) throw new FileError(refusal(path, what, holder, own));
      await takeAway(path, own);
    }
    throw new FileError(`${what}: its lock ${path} cannot be taken: other runs take it at the same time`);
  }

  async release(): Promise<void> {
    if (held.delete(this.path)) await rm(this.path, { force: true });
  }
}

function refusal(path: string, what: string, { pid, host }: Holder, own: Holder): string {
  if (host === own.host) return `${what}: process ${pid} writes to it (lock ${path}); wait for it, or end it`;
  return `${what}: process ${pid} on ${host} writes to it; if that is no more, remove the lock ${path}`;
}

/** @returns false where there is one. @throws FileError */
async function create(path: string, own: Holder, what: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(JSON.stringify(own));
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new FileError(`cannot write ${path}, the lock of ${what}: ${fileErrorReason(error)}`, { cause: error });
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

/** Undefined where there is no lock, null for one that says nothing: its process ended while it wrote it. */
async function holderOf(path: string): Promise<Holder | null | undefined> {
  // A process that has just made its lock is given the time to write into it.
  for (let tries = 0; ; tries++) {
    try {
      const { pid, host, began } = parseJson(decodeText(await readFile(path), path), path) as Holder;
      return Number.isInteger(pid) && pid > 0 ? { pid, host: String(host), began: String(began) } : null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      if (tries === 20) return null;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function isAlive(holder: Holder, own: Holder): Promise<boolean> {
  if (holder.host !== own.host) return true; // cannot be known from here
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const began = await beginOf(holder.pid);
  if (began === ENDED) return false;
  return began === '' || holder.began === '' || began === holder.began;
}

/** Of a process that has ended and that its parent has not asked about. */
const ENDED = 'ended';

/** When a process began, in the system's ticks; '' where the system does not tell. */
async function beginOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`).catch(() => undefined);
  // The name, in parentheses, may hold anything; field 22 is the start, and 3 the first one behind the name.
  const fields = stat?.toString('latin1').split(') ').at(-1)?.split(' ');
  return fields?.[0] === 'Z' ? ENDED : (fields?.[19] ?? '');
}

/** Removes a lock whose process is gone; of several that do so at once, none removes the lock that another has made since. */
async function takeAway(path: string, own: Holder): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  const moved = await rename(path, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return;
  const holder = await holderOf(aside);
  if (holder && (await isAlive(holder, own))) await link(aside, path).catch(() => {}); // made since: put back
  await rm(aside, { force: true });
}

/** In the folder of a training run: one run may write to it. */
export const TRAINING_LOCK = '.cameo-train.lock';

/** Does some work with the lock, and releases it whatever comes of that. @throws as `WriterLock.take` */
export async function withWriterLock<T>(path: string, what: string, work: () => Promise<T>): Promise<T> {
  const lock = await WriterLock.take(path, what);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
