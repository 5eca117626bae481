import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  PLATFORMS,
  type PlatformReport,
  platformMarkdown,
  platformTable,
  withPlatformTable,
} from './platform-table.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const text = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8');

const measured = existsSync(join(ROOT, 'results', 'platforms.json'));
if (!measured) console.log('SKIP platforms: there is no results/platforms.json; npm run platforms writes it');
const ofReport = measured ? test : test.skip;
const report: PlatformReport = measured
  ? JSON.parse(text('results', 'platforms.json'))
  : { command: '', processor: '', platforms: [] };

ofReport('README.md and results/platforms.md give what was measured', () => {
  const again = 'npm run platforms writes it anew';
  assert.is(withPlatformTable(text('README.md'), report, 'README.md'), text('README.md'), again);
  assert.is(platformMarkdown(report), text('results', 'platforms.md'), again);
});

ofReport('every platform was measured, and each failure has a reason', () => {
  assert.equal(
    report.platforms.map(({ name }) => name),
    [...PLATFORMS],
  );
  for (const { name, passed, failures } of report.platforms) {
    assert.ok(passed > 300, `${name}: ${passed} tests passed`);
    for (const { title, reason } of failures) assert.is.not(reason, 'not known', `${name}: ${title}`);
  }
});

ofReport('the same tests ran everywhere', () => {
  const counts = report.platforms.map(({ passed, skipped, failures }) => passed + skipped + failures.length);
  assert.equal(counts, Array(counts.length).fill(counts[0]));
});

ofReport('what fails is listed below the table', () => {
  const failing = structuredClone(report);
  const { passed, failures } = failing.platforms[2];
  failing.platforms[2].failures.push({ file: 'pool', title: 'a test', reason: 'an example' });
  assert.match(platformTable(failing), `${passed} of ${passed + failures.length}`);
  assert.match(platformTable(failing), '- Firefox: `pool`, "a test": an example');
});

test.run();
