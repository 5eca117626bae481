/** Milliseconds of processor time of this process, over all threads. Unlike wall time, it does not depend much on other programs. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
