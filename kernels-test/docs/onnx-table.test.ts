import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { currentPage, operatorTable, PAGE, withOperatorTable } from '../../bench/onnx-table.js';
import { OPERATORS } from '../../src/onnx/operators/index.js';

// adapters: none

test('the table of ONNX operators is the one that the importer and its measurement give', () => {
  assert.is(readFileSync(PAGE, 'utf8'), currentPage(), 'run npm run onnx-table');
});

test('the table has a row for each operator, with what was measured', () => {
  const measured = { operator: 'Conv', passed: 5, refused: 1, gradient: true, refusals: ['Conv: 4 spatial axes'] };
  const rows = operatorTable([measured]).split('\n').slice(2);
  assert.is(rows.length, Object.keys(OPERATORS).length);
  assert.ok(rows.some((row) => /^\| Conv \| GPU.* \| yes \| 5 of 6 \| .*4 spatial axes \|$/.test(row)));
  assert.throws(() => withOperatorTable('no marks', []), /lacks/);
});

test.run();
