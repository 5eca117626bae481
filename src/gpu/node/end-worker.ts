import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

const channelOf = (thread: number): string => `cameo: end of thread ${thread} in process ${process.pid}`;

const ASK_EVERY_MS = 20;

let listening = false;

/** A Worker of `node:worker_threads`, declared here so that the types of this package do not need Node's types. */
export interface NodeWorker {
  readonly threadId: number;
  once(event: 'exit', listener: (code: number) => void): unknown;
  terminate(): Promise<number>;
}

/** In a Worker: ends it when `endWorker` asks, between two turns of its event loop, when no call to Dawn is running. */
export function endWhenAsked(): void {
  if (isMainThread || listening) return;
  listening = true;
  const channel = new BroadcastChannel(channelOf(threadId));
  channel.onmessage = () => {
    process.exit();
  };
  channel.unref();
}

/**
 * Ends a Worker that uses the GPU. `worker.terminate()` may interrupt a call to Dawn, which then aborts the whole process; a
 * Worker that only waits for the GPU is safe. This function asks the Worker to end where it next awaits something.
 *
 * @param patience milliseconds to wait for that; after it, or if the Worker has not opened a GPU, it is terminated
 * @returns its exit code
 */
export async function endWorker(worker: NodeWorker, patience = 5000): Promise<number> {
  const thread = worker.threadId;
  if (thread < 0) return worker.terminate(); // ended already
  const exit = new Promise<number>((resolve) => worker.once('exit', resolve));
  const channel = new BroadcastChannel(channelOf(thread));
  // Repeated, because a Worker that has not opened its device yet does not listen yet.
  const asking = setInterval(() => channel.postMessage('end'), ASK_EVERY_MS);
  channel.postMessage('end');
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, patience, null);
  });
  try {
    return (await Promise.race([exit, late])) ?? (await worker.terminate());
  } finally {
    clearTimeout(timer);
    clearInterval(asking);
    channel.close();
  }
}
