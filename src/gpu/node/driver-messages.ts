import { fstatSync, readlinkSync, readSync, writeSync } from 'node:fs';
import type { Libc } from './libc.js';

/*
 * Dawn, Vulkan's loader and the drivers write to standard error while adapters are looked for, about missing drivers and
 * limits. They have no option against it. Their messages are kept for `cameo doctor`, and for the error if no adapter can be
 * used. CAMEO_DEBUG=1 lets them through, and so does VK_LOADER_DEBUG, which asks for them.
 */

const STDERR = 2;
const MFD_CLOEXEC = 1;
const CAPTURE = 'cameo-stderr';

/** How lines of Dawn, the loader, Mesa and other drivers begin; and the lines that go on with one. */
const DRIVER_LINE =
  /^(?:(?:warning|error|info|debug|fatal|layer|driver|implem|perf)\b.{0,40}?:|\[?(?:mesa|intel|radv|anv|hasvk|nvk|tu|turnip|venus|virtio|gfxstream|llvmpipe|lavapipe|lib\w+|vulkan|vk\w*|dri\w*|egl|glx|pci|nvidia|amdgpu|aco)\b.*)/i;
const CONTINUATION = /^\s/;
const MAX_LINES = 100;
const LATE_MS = 50;
/** Milliseconds to wait for other threads. */
const MAX_TURNS = 5000;
/** Milliseconds without a capture of another thread, after which there is nothing to wait for. */
const MAX_IDLE = 20;
/**
 * The descriptor of the real standard error while a thread keeps messages. The system gives a number only once, so
 * the thread that gets this one has its turn. Threads of a process share no other lock.
 */
const TURN = 300;

const cell = new Int32Array(new SharedArrayBuffer(4));

const kept = new Set<string>();

/** What reads late lines of captures that ended a moment ago. */
const pending = new Set<() => void>();

function finishPending(): void {
  for (const last of pending) last();
}

/** What drivers have said so far in this thread, each line once. */
export const driverMessages = (): string[] => [...kept];

/** Runs `body`, which looks for adapters, and keeps what drivers write to standard error meanwhile. Others' lines go there. */
export function keepingDriverMessages<T>(libc: Libc | null, body: () => T): T {
  if (!libc || process.env.CAMEO_DEBUG === '1' || process.env.VK_LOADER_DEBUG) return body();
  const real = takeTurn(libc);
  if (real < 0) return body(); // standard error is closed, or another thread takes too long
  const capture = libc.memfd_create(CAPTURE, MFD_CLOEXEC);
  if (capture < 0) {
    libc.close(real);
    return body();
  }
  try {
    libc.dup2(capture, STDERR);
    return body();
  } finally {
    libc.dup2(real, STDERR);
    libc.close(real);
    let read = sort(readFrom(capture, 0));
    // Another thread may have been about to write there. This one may end before the time is over.
    const last = (): void => {
      clearTimeout(timer);
      pending.delete(last);
      read += sort(readFrom(capture, read));
      libc.close(capture);
    };
    const timer = setTimeout(last, LATE_MS).unref();
    // One listener for all: Node warns of more than ten.
    if (!process.listeners('exit').includes(finishPending)) process.once('exit', finishPending);
    pending.add(last);
  }
}

/** Waits until no other thread keeps messages. @returns the copy of standard error, or a negative number */
function takeTurn(libc: Libc): number {
  let idle = 0;
  for (let i = 0; i < MAX_TURNS; i++) {
    const inTurn = libc.copyFrom(STDERR, TURN);
    // The process may not be allowed so many files.
    const real = inTurn < 0 ? libc.copyFrom(STDERR, 0) : inTurn;
    if (real === TURN || real < 0) return real;
    // If a file of the program has the number, any copy will do but that of a capture: to restore it would lose standard error.
    idle = isCapture(real) ? 0 : idle + 1;
    if (idle > MAX_IDLE) return real;
    libc.close(real);
    Atomics.wait(cell, 0, 0, 1);
  }
  return -1;
}

function isCapture(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).includes(CAPTURE);
  } catch {
    return true; // no /proc: it may be one
  }
}

function readFrom(fd: number, position: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size - position);
  return bytes.length === 0 ? bytes : bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, position));
}

/** Keeps the lines of drivers and passes the others on. @returns how many bytes there were */
function sort(bytes: Buffer): number {
  let ours = true;
  for (const line of bytes.toString().split(/(?<=\n)/)) {
    const said = line.trimEnd();
    if (DRIVER_LINE.test(said)) ours = false;
    else if (said !== '' && !CONTINUATION.test(said)) ours = true;
    if (ours) write(line);
    else if (said !== '' && kept.size < MAX_LINES) kept.add(said);
  }
  return bytes.length;
}

function write(text: string): void {
  try {
    writeSync(STDERR, text);
  } catch {
    // Nobody reads standard error any more.
  }
}
