export type Suite = () => Promise<[errors: string | true, passed: number, skipped: number, total: number]>;

declare global {
  /** With it, uvu leaves it to others to run what `suite.run()` has put into UVU_QUEUE. */
  var UVU_DEFER: number;
  /** Groups of suites; where uvu's `exec` runs them, the name of the group, or null, is before them. */
  var UVU_QUEUE: (Suite | string | null)[][];
}
