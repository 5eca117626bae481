/** Milliseconds of processor time that this process has taken, all threads together: unlike time, it passes no faster where other programs run. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
