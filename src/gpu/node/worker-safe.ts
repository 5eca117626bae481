import type { GPUAdapter, GPUBuffer, GPUDevice } from '../../common/platform-types.js';

/*
 * Dawn's Node binding aborts the process when a Worker ends while a promise of Dawn is pending, because its finalizer takes
 * that for a mistake. `worker.terminate()`, `process.exit()` and an uncaught error end a Worker at any time, without a hook. So
 * in a Worker no such promise is ever left pending; waiting means polling. Each poll begins a promise, lets Dawn check for
 * results, and cancels the promise if there are none, in one sequence of native calls. V8 ends a thread only at the beginning of a
 * JavaScript function and at the back edge of a loop, so it hardly can within this sequence. The remaining case is a Worker
 * that ends inside a call to Dawn, which also aborts the process: `endWorker` ends it elsewhere.
 */

type Callback = () => void;
type Immediate = { setImmediate: unknown };

/** Pause between polls as a share of the time waited so far, and its bounds in ms. Calls to Dawn are the remaining risk, so there are few. */
const SHARE = 0.1;
const SHORTEST = 1;
const LONGEST = 25;

const nothing = (): void => {};

/** Lets Dawn check for results now. Its binding uses `setImmediate` for that; the function that it passes there is called here. */
class EventPump {
  #last: Callback | undefined;

  /** Whether the last promise had to be cancelled. */
  takenBack = false;

  /**
   * Calls a native function that begins a promise, and lets Dawn check for results before anything else happens.
   * @param begin native
   * @param state native; if it then says 'pending', `takeBack` is called
   * @param takeBack native; settles the promise
   */
  run<T extends PromiseLike<unknown>>(begin: () => T, state?: () => string, takeBack?: Callback): T {
    const queued: Callback[] = [];
    const scope = globalThis as unknown as Immediate;
    const real = scope.setImmediate as (callback: Callback) => void;
    const last = this.#last;
    this.takenBack = false;
    scope.setImmediate = Array.prototype.push.bind(queued);
    // From here until `setImmediate` is restored, everything that is called is native.
    const pending = begin();
    if (queued.length === 0) last?.();
    queued[0]?.();
    queued[1]?.();
    queued[2]?.();
    pending.then(nothing, nothing);
    if (state?.() === 'pending') {
      takeBack?.();
      this.takenBack = true;
    }
    scope.setImmediate = real;
    this.#last = queued.at(-1) ?? last;
    for (const callback of queued.slice(3)) real(callback);
    return pending;
  }
}

const pause = (waited: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.min(LONGEST, Math.max(SHORTEST, SHARE * waited)));
  });

/** The native function behind a property. */
function getter(object: object, name: string): () => unknown {
  for (let at = object; at; at = Object.getPrototypeOf(at)) {
    const get = Object.getOwnPropertyDescriptor(at, name)?.get;
    if (get) return get;
  }
  throw new TypeError(`Dawn's object has no ${name}`);
}

/** Makes `buffer.mapAsync` poll until the buffer is mapped. */
function guardBuffer(buffer: GPUBuffer, pump: EventPump): GPUBuffer {
  const raw = buffer as unknown as {
    mapAsync(...args: unknown[]): Promise<undefined>;
    unmap: Callback;
  };
  const map = raw.mapAsync;
  const unmap = raw.unmap.bind(buffer);
  const mapState = getter(buffer, 'mapState').bind(buffer) as () => string;
  raw.mapAsync = async (...args) => {
    const begin = map.bind(buffer, ...args) as () => Promise<undefined>;
    const start = performance.now();
    for (;;) {
      const pending = pump.run(begin, mapState, unmap);
      if (!pump.takenBack) return pending; // mapped, or refused with a reason
      await pause(performance.now() - start);
    }
  };
  return buffer;
}

/** @returns the device, whose promises never stay pending */
function guardDevice(device: GPUDevice, pump: EventPump): GPUDevice {
  const raw = device as unknown as {
    createBuffer(descriptor: { usage: number }): GPUBuffer;
    createCommandEncoder(): { clearBuffer(buffer: GPUBuffer): void; finish(): unknown };
    popErrorScope(): Promise<unknown>;
    readonly queue: { submit(commands: unknown[]): void; onSubmittedWorkDone(): Promise<undefined> };
  };
  const create = raw.createBuffer.bind(device);
  const pop = raw.popErrorScope.bind(device);
  const { queue } = raw;
  const MAP_READ = 1;
  const COPY_DST = 8;
  raw.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    return descriptor.usage & MAP_READ ? guardBuffer(buffer, pump) : buffer;
  };
  raw.popErrorScope = () => pump.run(pop);
  Object.defineProperty(device, 'queue', { value: queue }); // Dawn makes a new object at each access
  // A buffer that is cleared last can be mapped when all before it is done.
  queue.onSubmittedWorkDone = async () => {
    const fence = raw.createBuffer({ size: 4, usage: MAP_READ | COPY_DST } as never);
    try {
      const encoder = raw.createCommandEncoder();
      encoder.clearBuffer(fence);
      queue.submit([encoder.finish()]);
      await (fence as unknown as { mapAsync(mode: number): Promise<undefined> }).mapAsync(MAP_READ);
    } finally {
      fence.destroy();
    }
    return undefined;
  };
  return device;
}

/** Lets a Worker that uses this adapter's device end at any time without aborting the process. */
export function guardAdapter(adapter: GPUAdapter): void {
  const pump = new EventPump();
  const raw = adapter as unknown as { requestDevice(descriptor?: object): Promise<GPUDevice> };
  const request = raw.requestDevice;
  raw.requestDevice = async (descriptor) =>
    guardDevice(await pump.run(request.bind(adapter, descriptor) as () => Promise<GPUDevice>), pump);
}
