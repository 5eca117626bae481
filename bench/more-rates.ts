import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ArgumentError } from '../src/common/errors.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { withMoreRates } from '../src/training/more-rates.js';

/* tsx bench/more-rates.ts TRAINED -o FILE: an autoencoder with rates between those that were trained (src/training/more-rates.ts). */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { output: { type: 'string', short: 'o' } },
});
if (positionals.length !== 1 || !values.output) throw new ArgumentError('expected one weights file, and -o FILE');
await writeFileAtomic(values.output, withMoreRates(await readFile(positionals[0])));
console.log(`${positionals[0]} → ${values.output}`);
