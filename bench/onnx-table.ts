import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { OPERATORS } from '../src/onnx/operators/index.js';

/*
 * npm run onnx-table: writes the table of ONNX operators into docs/onnx.md, from the tables of the importer and results/onnx-nodes.json, which
 * `tsx bench/onnx-node-tests.ts` writes. `npm test -- onnx-table` says whether they agree.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const [BEGIN, END] = ['<!-- operators: npm run onnx-table -->', '<!-- end of operators -->'];

interface Measured {
  operator: string;
  passed: number;
  refused: number;
  gradient: boolean | null;
  refusals: string[];
}

/** What node tests say, without the operator's name at the beginning. */
function limitsOf({ operator, refusals }: Measured): string {
  const texts = refusals.map((text) =>
    text
      .replace(new RegExp(`^${operator}: `), '')
      // A refused file has no operator.
      .replace(/^: version/, 'its node tests are of version')
      .replaceAll('|', '\\|'),
  );
  return texts.slice(0, 2).join('; ');
}

/** The table, one row for each operator of the importer. */
export function operatorTable(measured: readonly Measured[]): string {
  const byName = new Map(measured.map((one) => [one.operator, one]));
  const rows = Object.entries(OPERATORS)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { host, run, hostFrom, random }]) => {
      const tested = byName.get(name);
      const where = run ? (host ? 'GPU, or host for small constants' : 'GPU') : 'host';
      const tests = tested ? `${tested.passed} of ${tested.passed + tested.refused}` : '—';
      const gradient = tested?.gradient === true ? 'yes' : tested?.gradient === false ? 'no' : '—';
      const limits = [
        hostFrom === undefined ? '' : `inputs from ${hostFrom + 1} on must be constants or sizes`,
        random ? 'random' : '',
        tested ? limitsOf(tested) : '',
      ];
      return `| ${name} | ${where} | ${gradient} | ${tests} | ${limits.filter(Boolean).join('; ')} |`;
    });
  return ['| operator | runs on | gradient | node tests passed | limits |', '|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

/** The page with the table between its marks. @throws Error if it lacks them */
export function withOperatorTable(page: string, measured: readonly Measured[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/onnx.md lacks "${BEGIN}" or "${END}"`);
  return `${page.slice(0, begin + BEGIN.length)}\n${operatorTable(measured)}\n${page.slice(end)}`;
}

export const PAGE = join(ROOT, 'docs', 'onnx.md');
export const MEASURED = join(ROOT, 'results', 'onnx-nodes.json');

/** What the page should be. */
export function currentPage(): string {
  const { operators } = JSON.parse(readFileSync(MEASURED, 'utf8')) as { operators: Measured[] };
  return withOperatorTable(readFileSync(PAGE, 'utf8'), operators);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && existsSync(MEASURED)) {
  await writeFileAtomic(PAGE, currentPage());
}
