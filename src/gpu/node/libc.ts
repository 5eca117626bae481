/** The few functions of Linux's C library for which Node has no equivalent. */
export interface Libc {
  setenv(name: string, value: string, overwrite: number): number;
  unsetenv(name: string): number;
  /** A copy of a descriptor, as the first free number from `least`. */
  copyFrom(fd: number, least: number): number;
  dup2(from: number, to: number): number;
  memfd_create(name: string, flags: number): number;
  /** Closes descriptors of `copyFrom` and `memfd_create`; Node's own close warns about files that it has not opened. */
  close(fd: number): number;
}

const F_DUPFD_CLOEXEC = 1030;

let loading: Promise<Libc | null> | undefined;

/** @returns null if this is not Linux, or npm koffi has no build for this machine */
export function loadLibc(): Promise<Libc | null> {
  loading ??= process.platform === 'linux' ? load().catch(() => null) : Promise.resolve(null);
  return loading;
}

async function load(): Promise<Libc> {
  const { default: koffi } = await import('koffi');
  const own = koffi.load(null); // what this process has loaded already
  const fcntl = own.func('int fcntl(int fd, int command, ...)');
  return {
    setenv: own.func('int setenv(const char *name, const char *value, int overwrite)'),
    unsetenv: own.func('int unsetenv(const char *name)'),
    copyFrom: (fd, least) => fcntl(fd, F_DUPFD_CLOEXEC, 'int', least),
    dup2: own.func('int dup2(int from, int to)'),
    close: own.func('int close(int fd)'),
    memfd_create: own.func('int memfd_create(const char *name, unsigned int flags)'),
  } as Libc;
}
