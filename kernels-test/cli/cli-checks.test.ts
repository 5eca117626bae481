// adapters: once
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writePng } from '../../src/data/pictures/image.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { writePeople, writeTinyRecognizer } from '../helpers/people-fixture.js';
import { cameo, temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('checks before the device is opened');
const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);
writeTinyModel(at('png.safetensors'), 1);
const recognizer = writeTinyRecognizer(at('recognizer.safetensors'), 4);
await writeIdentities(at('faces'));
await writePeople(at('images'));
await writePng(at('face.png'), { width: 96, height: 112, data: new Uint8Array(32256).fill(99) });
await writePng(at('wide.png'), { width: 120, height: 112, data: new Uint8Array(120 * 112 * 3) });
mkdirSync(at('folder'));
mkdirSync(at('bad', 'train'), { recursive: true });
mkdirSync(at('bad', 'val'));
for (const split of ['train', 'val']) writeFileSync(at('bad', split, 'text.png'), 'no picture');
writeFileSync(at('text.txt'), 'no archive, no weights, no settings');
writeFileSync(at('cut.safetensors'), readFileSync(recognizer).subarray(0, 2000));
writeFileSync(at('codec.json'), JSON.stringify({ batchSize: 0 }));
writeFileSync(at('pairs.txt'), '2\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\nCid\t1\t2\nCid\t1\tDan\t1\n');
writeFileSync(at('unknown.json'), JSON.stringify({ colour: 'blue' }));
writeFileSync(at('thresholds.json'), '[]');

/** An adapter that does not exist: a run that gets as far as opening a device ends with exit code 2. */
const env = { CAMEO_ADAPTER: 'no such adapter', CAMEO_CACHE: at('cache'), CAMEO_DATA: at('nowhere') };

type Case = [command: string, pattern: RegExp, env?: NodeJS.ProcessEnv];

const OUTPUT: Case[] = [
  ['encode face.png', /required option '-o/],
  ['encode face.png --archive folder', /cannot write folder: it is a folder/],
  ['encode face.png --archive folder/', /cannot write folder\/: it is a folder/],
  ['encode face.png --archive new/', /cannot write new\/: it names a folder/],
  ['encode face.png --archive text.txt', /text\.txt exists and is not an archive/],
  ['encode face.png --archive face.png', /face\.png is an input and would be overwritten/],
  ['encode face.png --archive text.txt/all.cameos', /text\.txt/],
  ['encode face.png -o text.txt', /cannot make the folder text\.txt: it exists already and is not a folder/],
  ['encode face.png -o small --archive folder', /cannot write folder: it is a folder/],
  ['decode face.png -o text.txt', /cannot make the folder text\.txt/],
  ['demo -o text.txt', /cannot make the folder text\.txt/],
  ['import recognizer.safetensors', /recognizer\.safetensors is an input and would be overwritten/],
  ['import recognizer.safetensors -o folder', /cannot write folder: it is a folder/],
  ['import recognizer.safetensors -o none/new.safetensors', /the folder none does not exist/],
  ['tune --model png.safetensors', /text\.txt/, { CAMEO_CACHE: at('text.txt') }],
  ['train autoencoder --data faces -o text.txt', /text\.txt/],
  ['train recognition --data faces -o text.txt', /text\.txt/],
  ['train losses --data faces -o text.txt', /text\.txt/],
  ['train adapted --data faces --recognizer recognizer.safetensors --codec jpeg -o folder', /folder: it is a folder/],
  [
    'train adapted --data faces --recognizer recognizer.safetensors --codec jpeg -o recognizer.safetensors',
    /recognizer\.safetensors is an input and would be overwritten/,
  ],
  ['train tables --data faces --model MODELS/face.safetensors -o folder', /folder: it is a folder/],
  [
    'train codec --data faces --recognizers recognizer.safetensors --from MODELS/face.safetensors -o text.txt',
    /text\.txt/,
  ],
  ['evaluate autoencoder --model png.safetensors --data faces --split val -o text.txt', /text\.txt/],
  [
    'evaluate identities --data faces --split train --model recognizer.safetensors -o text.txt',
    /cannot make the folder text\.txt/,
  ],
];

const INPUT: Case[] = [
  ['encode face.png -o small --landmarks none.json', /none\.json: cannot be read/],
  ['encode face.png -o small --model none', /none: cannot be read: no such file/],
  ['encode face.png -o small --model recognizer.safetensors', /recognizer\.safetensors: /],
  ['encode face.png -o small --rate 1 --bytes 300', /give only one of them/],
  ['encode face.png -o small --bytes 5', /--bytes 5: a face takes at least/],
  ['encode none.png -o small', /none\.png: cannot be read/],
  ['encode face.png -o small --model ', /option '--model <file>' argument '' is invalid.* is not empty/],
  ['encode  -o small', /^cameo: a file without a name cannot be read/],
  ['decode face.png -o ', /option '-o, --out <dir>' argument '' is invalid/],
  ['verify face.png face.png --landmarks ', /option '--landmarks <file>' argument '' is invalid/],
  ['decode none.cameo -o small', /none\.cameo: cannot be read/],
  ['decode text.txt -o small', /text\.txt: not a face/],
  ['info none.cameo', /none\.cameo: cannot be read/],
  ['verify face.png none.png', /none\.png: cannot be read/],
  ['verify text.txt face.png', /text\.txt: not a JPEG/],
  ['verify face.png wide.png --detector none', /none: cannot be read/],
  ['verify face.png wide.png --face 1 --faces all', /--faces all and --face 1: give only one of them/],
  ['verify face.png face.png --model nobody', /recogniser nobody: neither a file nor one of/],
  ['verify face.png face.png --model cut.safetensors', /cut\.safetensors: /],
  [
    'verify face.png face.png --model mobilefacenet-ms1m',
    /mobilefacenet-ms1m: its weights are in none of these places: /,
  ],
  ['verify face.png face.png --landmarks none.json', /none\.json: cannot be read/],
  ['verify face.png face.png', /thresholds\.json: .*expected an object/, { CAMEO_THRESHOLDS: at('thresholds.json') }],
  ['qr none.png -o new.png', /none\.png: cannot be read/],
  ['import none.pth', /none\.pth: cannot be read/],
  ['import text.txt -o new.safetensors', /text\.txt: /],
  ['demo --model none', /none: cannot be read/],
  ['tune --model -', /--model -: weights are read from a file, not from standard input/],
  ['tune --model none', /none: cannot be read/],
  ['tune --model recognizer.safetensors', /recognizer\.safetensors: /],
  ['evaluate autoencoder --data none', /none: cannot be read/],
  ['evaluate autoencoder --data bad --split val', /none of the 1 faces is readable/],
  ['evaluate autoencoder --data faces --model none', /none: cannot be read/],
  ['evaluate lfw --model recognizer.safetensors', /pairs\.txt/],
  ['evaluate pairs --images none --pairs pairs.txt --model recognizer.safetensors', /none: no such folder/],
  ['evaluate pairs --images images --pairs pairs.txt --model nobody', /recogniser nobody/],
  ['evaluate identities --data none --model recognizer.safetensors', /none: cannot be read/],
  ['evaluate identities --data faces --split val --model nobody', /fewer than 30 genuine or impostor pairs/],
  ['evaluate identities --data faces --split train --model nobody', /recogniser nobody/],
  ['evaluate codecs --lfw none', /none\/pairs\.txt/],
  ['evaluate codecs --codecs gif', /"gif"; expected some of/],
  ['train autoencoder --data none -o new', /none: cannot be read/],
  ['train autoencoder --data bad -o new', /none of the 1 faces is readable/],
  ['train autoencoder --data faces --config codec.json -o new', /batchSize is 0/],
  ['train codec --data faces --config codec.json --recognizers recognizer.safetensors -o new', /batchSize is 0/],
  ['train autoencoder --data faces --config unknown.json -o new', /unknown setting "colour"/],
  ['train codec --data faces --config unknown.json -o new', /unknown setting "colour"/],
  ['train autoencoder --data faces -o new --resume', /no checkpoint to resume from/],
  ['train codec --data faces -o new --resume', /no checkpoint to resume from/],
  ['train codec --data faces --steps 5 --from text.txt -o new', /--steps, .* are settings of --config/],
  ['train autoencoder --data faces -o new --checkpoint-every 0', /integer of at least 1/],
  ['train codec --data faces -o new --checkpoint-every -3', /integer of at least 1/],
  ['train recognition --data faces -o new --checkpoint-every 1.5', /integer of at least 1/],
  ['train detector --data faces -o new --checkpoint-every 0', /integer of at least 1/],
  ['train recognition --data faces -o new --config ', /option '--config <file>' argument '' is invalid/],
  ['train recognition --data faces -o new --teacher ', /option '--teacher <name>' argument '' is invalid/],
  ['train codec --data faces -o new --from ', /option '--from <file>' argument '' is invalid/],
  ['train recognition --data none -o new', /none: cannot be read/],
  ['train recognition --data bad -o new', /0 identities with at least two faces/],
  ['train recognition --data faces --teacher nobody -o new', /recogniser nobody/],
  ['train recognition --data faces --loss arcface --margin 9 -o new', /margin is 9/],
  ['train recognition --data faces --loss arcface --m 9 -o new', /margin is 9/],
  ['train codec --data none --recognizers recognizer.safetensors -o new', /none: cannot be read/],
  ['train codec --data faces --recognizers nobody -o new', /recogniser nobody/],
  ['train codec --data faces --from text.txt -o new', /text\.txt: /],
  ['train tables --data faces --model none -o new.safetensors', /none: cannot be read/],
  ['train tables --data bad --model MODELS/face.safetensors -o new.safetensors', /none of the 1 faces is readable/],
  ['train adapted --data faces --codec gif -o new.safetensors', /--codec gif: no such codec/],
  ['train adapted --data faces --codec jpeg --recognizer nobody -o new.safetensors', /recogniser nobody/],
  ['train adapted --data faces --codec cameo --bytes 3 --recognizer R -o new.safetensors', /a budget of 3 bytes/],
  ['train losses --data none -o new', /none: cannot be read/],
  ['train losses --data faces --channels 1,2 -o new', /channels/],
];

const MODELS = new URL('../../models', import.meta.url).pathname;

async function expectRefusals(cases: Case[]): Promise<void> {
  const faults: string[] = [];
  for (const [k, [command, pattern, more]] of cases.entries()) {
    const words = command.replace('MODELS', MODELS).replace(' R ', ` ${recognizer} `).split(' ');
    // The first command runs as it is installed; the others run in this process.
    const run = k === 0 ? cameo : cameoHere;
    const { code, stderr, complaints } = await run(words, { ...env, ...more }, folder);
    const failed = words[0] === 'verify' ? 2 : 1; // exit code 1 of verify means "not the same person"
    if (code !== failed || complaints.length !== 1 || !pattern.test(complaints[0])) {
      faults.push(`${command}: exit code ${code}, ${stderr.slice(0, 300)}`);
    }
  }
  assert.equal(faults, []);
}

test('every command checks that its outputs can be written before it opens a device', async () => {
  await expectRefusals(OUTPUT);
  assert.equal(readdirSync(at('folder')), []);
  assert.is(readFileSync(at('text.txt'), 'utf8'), 'no archive, no weights, no settings');
});

test('every command reads and checks its inputs and options before it opens a device', () => expectRefusals(INPUT));

test('an output folder without write permission is reported before a device is opened', async () => {
  mkdirSync(at('locked'));
  chmodSync(at('locked'), 0o555);
  if (process.getuid?.() === 0) return; // root may write everywhere
  await expectRefusals([
    ['encode face.png -o locked', /locked: cannot write into this folder: permission denied/],
    ['encode face.png --archive locked/all.cameos', /locked: .*permission denied/],
    ['import recognizer.safetensors -o locked/new.safetensors', /locked: permission denied/],
  ]);
});

test('nothing was written', () => {
  assert.not(existsSync(at('new', 'model.safetensors')));
});

test('a run that is refused leaves no folder behind, and removes none that was there', async () => {
  mkdirSync(at('empty'));
  const before = readdirSync(folder);
  for (const out of ['new/below', 'new', 'empty', 'empty/below']) {
    for (const command of ['encode text.txt --bytes 300', 'encode face.png --bytes 1', 'decode text.txt']) {
      const run = await cameoHere(
        [...command.split(' ').map((word) => (existsSync(at(word)) ? at(word) : word)), '-o', at(out)],
        env,
      );
      assert.is.not(run.code, 0, command);
      assert.equal(readdirSync(folder), before, `${command} -o ${out}`);
      assert.equal(readdirSync(at('empty')), [], `${command} -o ${out}`);
    }
  }
});

test.run();
