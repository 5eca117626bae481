export type Suite = () => Promise<[errors: string | true, passed: number, skipped: number, total: number]>;

declare global {
  /** If this is set, uvu does not run the suites that `suite.run()` has put into UVU_QUEUE, so that others can. */
  var UVU_DEFER: number;
  /** Groups of suites. uvu's `exec` takes the name of the group, or null, before them. */
  var UVU_QUEUE: (Suite | string | null)[][];
}
