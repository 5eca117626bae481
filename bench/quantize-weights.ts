import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ArgumentError } from '../src/common/errors.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { quantizeWeights, type WeightQuantization } from '../src/training/quantize-weights.js';

/*
 * tsx bench/quantize-weights.ts TRAINED -o FILE [--bits 8|16]: quantises the weights of the codec, the autoencoder, a recogniser or
 * a detector, as the package ships them. The codec's components get 8 bits per entry in any case; --leading and --component-step
 * are the options of the same names in src/training/quantize-weights.ts. The cards in models/ have the commands of the shipped files.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    output: { type: 'string', short: 'o' },
    bits: { type: 'string', default: '8' },
    leading: { type: 'string' },
    'component-step': { type: 'string' },
  },
});
const { output, bits, leading, 'component-step': step } = values;
if (positionals.length !== 1 || !output) throw new ArgumentError('expected one weights file, and -o FILE');
if (bits !== '8' && bits !== '16') throw new ArgumentError(`--bits is ${bits}; expected 8 or 16`);
const options: WeightQuantization = { bits: bits === '8' ? 8 : 16 };
if (leading !== undefined) options.leading = number('--leading', leading, Number.isInteger);
if (step !== undefined) options.componentStep = number('--component-step', step, Number.isFinite);
const bytes = await readFile(positionals[0]);
const small = quantizeWeights(bytes, options);
await writeFileAtomic(output, small);
console.log(`${positionals[0]}, ${bytes.length} bytes → ${output}, ${small.length} bytes`);

function number(name: string, text: string, fits: (value: number) => boolean): number {
  const value = Number(text);
  if (fits(value) && value >= 0 && text.trim() !== '') return value;
  throw new ArgumentError(`${name} is ${text}; expected a number from 0 on`);
}
