import * as assert from 'uvu/assert';
import type { CliRun } from './cli-fixture.js';

/** Checks the lines of `cameo:` on standard error, in order, each by a pattern. The command must print no stack, and end with `code`. */
export function assertComplaints(run: CliRun, code: number, patterns: readonly RegExp[]): void {
  assert.is(run.complaints.length, patterns.length, run.stderr);
  patterns.forEach((pattern, i) => {
    assert.match(run.complaints[i], pattern, `${run.complaints[i]}\ndoes not match ${pattern}`);
  });
  // Frames of JavaScript end in line and column; Dawn's own warnings of a missing driver name a line of C++.
  assert.not.match(run.stderr, /\n {4}at .*:\d+:\d+\)?\n/, 'no stacks');
  assert.is(run.code, code);
}
