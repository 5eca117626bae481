// adapters: once
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('old names of commands');
const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);
writeTinyModel(at('png.safetensors'), 1);
await writeIdentities(at('faces'));
writeFileSync(at('rates.json'), JSON.stringify({ targetBytes: [1, 2] }));
writeFileSync(at('model.json'), JSON.stringify({ model: { rates: 1 } }));
writeFileSync(at('steps.json'), JSON.stringify({ steps: 0 }));
for (const kind of ['codec', 'joint']) {
  mkdirSync(at(kind));
  const state = new Map([[`cameo.${kind}-checkpoint`, '{}']]);
  writeFileSync(at(kind, 'checkpoint.safetensors'), writeSafetensors(new Map(), state));
}

const AUTOENCODER = 'train codec with these options is now called train autoencoder';
const CODEC = 'train joint is now called train codec';
const EVALUATE = 'evaluate codec is now called evaluate autoencoder';

/** Commands that fail before they open a device, with the note about their old name, if any, and the error. */
const CASES: [command: string, said: string | null, complaint: RegExp][] = [
  ['train codec --data none --steps 5 -o new', AUTOENCODER, /none: cannot be read/],
  ['train codec --data none --batch 5 -o new', AUTOENCODER, /none: cannot be read/],
  ['train codec --data none --seed 5 -o new', AUTOENCODER, /none: cannot be read/],
  ['train codec --data none --lr 0.1 -o new', AUTOENCODER, /none: cannot be read/],
  ['train codec --data faces --config rates.json -o new', AUTOENCODER, /targetBytes is \[1,2\]/],
  ['train codec --data faces --config model.json -o new', AUTOENCODER, /targetBytes is /],
  ['train codec --data faces --config steps.json -o new', AUTOENCODER, /steps is a setting of the earlier training/],
  ['train codec --data faces -o codec --resume', AUTOENCODER, /a checkpoint of the earlier training/],
  ['train codec --data faces -o codec', null, /codec\/checkpoint\.safetensors exists: add --resume/],
  ['train codec --data faces -o joint --resume', null, /the checkpoint's metadata is damaged/],
  ['train codec --data faces --recognizers nobody -o new', null, /recogniser nobody/],
  ['train joint --data faces --recognizers nobody -o new', CODEC, /recogniser nobody/],
  ['train joint --data faces -o joint --resume', CODEC, /the checkpoint's metadata is damaged/],
  ['train autoencoder --data none --steps 5 -o new', null, /none: cannot be read/],
  ['evaluate codec --data none --model png.safetensors', EVALUATE, /none: cannot be read/],
  ['evaluate autoencoder --data none --model png.safetensors', null, /none: cannot be read/],
];

test('an old name prints the present name, and runs as that command', async () => {
  const env = { CAMEO_ADAPTER: 'no such adapter', CAMEO_CACHE: at('cache'), CAMEO_DATA: at('nowhere') };
  for (const [command, said, complaint] of CASES) {
    const { code, stderr, complaints } = await cameoHere(command.split(' '), env, folder);
    assert.is(code, 1, `${command}: ${stderr}`);
    const notes = stderr.split('\n').filter((line) => /^(train|evaluate) .* is now called .*$/.test(line));
    assert.equal(notes, said === null ? [] : [said], command);
    assert.is(complaints.length, 1, `${command}: ${stderr}`);
    assert.match(complaints[0], complaint, command);
  }
});

test('help shows only the new names', async () => {
  const names = async (command: string): Promise<string[]> => {
    const { stdout } = await cameoHere([command, '--help']);
    return [...stdout.matchAll(/^ {2}([a-z][a-z-]+) /gm)].map(([, name]) => name);
  };
  const [train, evaluate] = [await names('train'), await names('evaluate')];
  for (const name of ['codec', 'autoencoder', 'tables']) assert.ok(train.includes(name), name);
  assert.not(train.includes('joint'));
  for (const name of ['codecs', 'autoencoder']) assert.ok(evaluate.includes(name), name);
  assert.not(evaluate.includes('codec'));
  const { stdout } = await cameoHere(['train', 'codec', '--help']);
  assert.match(stdout, /--recognizers/);
  assert.not.match(stdout, /--steps|--batch|--seed|--lr/);
});

test.run();
