import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { intoText, type MeasuredCodec, summary } from './codec-summary.js';

/*
 * npm run codec-table: puts the main figures of results/codecs/full/report.json into docs/codec.md and models/face.md. Run it
 * when the report has changed; `npm test -- codec-table` says whether they agree.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const report = JSON.parse(readFileSync(join(ROOT, 'results', 'codecs', 'full', 'report.json'), 'utf8')) as {
  conditions: MeasuredCodec[];
};
const table = summary(report.conditions);
for (const name of ['docs/codec.md', 'models/face.md']) {
  const path = join(ROOT, name);
  await writeFileAtomic(path, intoText(readFileSync(path, 'utf8'), table, name));
}
