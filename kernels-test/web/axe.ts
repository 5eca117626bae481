import { readFileSync } from 'node:fs';
import type { Page } from 'puppeteer-core';
import * as assert from 'uvu/assert';

const SOURCE = readFileSync(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

interface Violation {
  id: string;
  help: string;
  nodes: { target: string[]; failureSummary?: string }[];
}

/** Checks a page as it is, by all of axe's rules. @param state what the page shows, for the message */
export async function assertAccessible(page: Page, state: string): Promise<void> {
  if (!(await page.evaluate('"axe" in globalThis'))) await page.evaluate(SOURCE);
  const violations = (await page.evaluate(
    'axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations)',
  )) as Violation[];
  assert.equal(
    violations.map(
      ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ target }) => target.join(' ')).join('; ')}`,
    ),
    [],
    state,
  );
}
