import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { intoText, type MeasuredCodec, summary } from '../../bench/codec-summary.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const text = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8');

const { conditions } = JSON.parse(text('results', 'codecs', 'full', 'report.json')) as {
  conditions: MeasuredCodec[];
};

for (const name of ['docs/codec.md', 'models/face.md']) {
  test(`${name} has the figures of the report`, () => {
    assert.is(intoText(text(name), summary(conditions), name), text(name), 'npm run codec-table writes it again');
  });
}

test('Cameo comes first at every budget, and the budgets ascend', () => {
  const rows = summary([...conditions].reverse())
    .split('\n')
    .filter((line) => /^\| (\d+|—) /.test(line))
    .map((line) => line.split(' | '));
  assert.is(rows.length, conditions.length);
  const budgets = rows.map(([budget]) => Number(budget.slice(2)) || 0);
  assert.equal(
    budgets,
    [...budgets].sort((a, b) => a - b),
  );
  const first = rows.filter((_, k) => budgets[k] !== budgets[k - 1]).map(([, codec]) => codec);
  assert.equal(first, ['uncompressed', ...first.slice(1).map(() => 'Cameo')]);
});

test('there is no sentence about the other codecs if one of them is more accurate', () => {
  assert.match(summary(conditions), /Every other codec is less accurate/);
  const better = structuredClone(conditions);
  const { accuracy } = better.find(({ codec }) => codec === 'jpeg2000')!.verdicts[0].against!;
  [accuracy.onlyFirst, accuracy.onlySecond] = [accuracy.onlySecond, accuracy.onlyFirst];
  assert.not.match(summary(better), /less accurate/);
});

test('a page without the marks is refused', () => {
  assert.throws(() => intoText('# Title\n', 'table', 'notes.md'), /notes\.md lacks <!-- npm run codec-table -->/);
});

test.run();
