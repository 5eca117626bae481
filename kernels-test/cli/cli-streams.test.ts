// suite: long
// adapters: once
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writePng } from '../../src/data/pictures/image.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { writeTinyRecognizer } from '../helpers/people-fixture.js';
import { type CliRun, cameoInShell, temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('standard output and error');
const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);
const CAMEO_MODEL = writeTinyModel(at('model.safetensors'), 1);
await writeIdentities(at('faces'));
const FACES = 6;
const COMPACT = Array.from({ length: FACES }, (_, k) => `${k}.cameo.png`).sort();
mkdirSync(at('in'));
for (let k = 0; k < FACES; k++) {
  await writePng(at('in', `${k}.png`), { width: 96, height: 112, data: new Uint8Array(32256).fill(10 * k) });
}
const recognizer = writeTinyRecognizer(at('recognizer.safetensors'), 4);
const network = { dimension: 8, channels: [4, 4, 4, 8], units: [0, 0, 0, 0] };
writeFileSync(at('tiny.json'), JSON.stringify({ model: network, steps: 1, batchSize: 4, warmUpSteps: 1 }));

/** Runs a script that ends with the exit code of the first `cameo` in a pipe. */
const shell = (script: string, env: NodeJS.ProcessEnv = {}): Promise<CliRun> =>
  cameoInShell(`${script}\nexit \${PIPESTATUS[0]}`, { CAMEO_MODEL, ...env }, folder);

/** Runs the command in this process, where its streams are read to their ends. */
const here = (words: string): Promise<CliRun> => cameoHere(words.split(' '), { CAMEO_MODEL }, folder);

/** Standard error without the messages of Dawn. */
const wordsOf = ({ stderr }: CliRun): string => stderr.replace(/^Warning: .*\n/gm, '');

/** What a shell may do with the streams; it must not change what a run does. */
const STREAMS = {
  'nobody reads standard output': '| true',
  'standard output is closed': '>&-',
  'nobody reads standard error': '2> >(true)',
  'standard error is closed': '2>&-',
  'nobody reads either': '2>&1 | true',
  'both are closed': '>&- 2>&-',
};

test('encode does all its work even if nobody reads its output, and its exit code tells whether something failed', async () => {
  for (const [what, streams] of Object.entries(STREAMS)) {
    const run = await shell(`cameo encode in/*.png missing.png in/1.png -o "${what}" ${streams}`);
    assert.is(run.code, 1, `${what}: ${run.stderr}`);
    assert.equal(readdirSync(at(what)).sort(), COMPACT, what);
  }
  const all = await shell('cameo encode in/*.png -o all | head -1');
  assert.is(all.code, 0, all.stderr);
  assert.equal(readdirSync(at('all')).sort(), COMPACT);
});

test('decode, info, evaluate, train and doctor do all their work even if nobody reads their output', async () => {
  const files = at('all');
  copyFileSync(join(files, '1.cameo.png'), at('cut.cameo.png'));
  writeFileSync(at('cut.cameo.png'), readFileSync(at('cut.cameo.png')).subarray(0, 90));
  const decoded = await shell(`cameo decode "${files}"/*.cameo.png -o decoded | true`);
  assert.is(decoded.code, 0, decoded.stderr);
  assert.is(readdirSync(at('decoded')).length, FACES);
  const info = await shell(`cameo info "${files}"/*.cameo.png cut.cameo.png 2>&1 | head -1`);
  assert.is(info.code, 1, 'the damaged file comes after the line that was read');
  const identities = `cameo evaluate identities --data faces --split train --model ${recognizer} -o results`;
  const evaluated = await shell(`${identities} 2>&1 | true`);
  assert.is(evaluated.code, 0);
  assert.ok(existsSync(at('results', 'identities-recognizer-train.json')));
  const trained = await shell('cameo train recognition --data faces --config tiny.json -o trained 2>&1 | true');
  assert.is(trained.code, 0);
  assert.ok(existsSync(at('trained', 'model.safetensors')));
  assert.is((await shell('cameo doctor | true')).code, 0);
  assert.is((await shell('cameo --help | true')).code, 0);
});

test('standard output on a full disk is an error, and the work is still done', async () => {
  const encoded = await shell('cameo encode in/1.png in/2.png -o full >/dev/full');
  assert.is(encoded.code, 1);
  assert.equal(encoded.complaints, ['cameo: standard output: cannot be written: the disk is full (ENOSPC)']);
  assert.equal(readdirSync(at('full')).sort(), ['1.cameo.png', '2.cameo.png']);
  for (const command of ['info full/1.cameo.png', 'decode full/1.cameo.png -o full', 'doctor', '--help', '--version']) {
    const run = await shell(`cameo ${command} >/dev/full`);
    assert.is(run.code, 1, command);
    assert.equal(run.complaints, ['cameo: standard output: cannot be written: the disk is full (ENOSPC)'], command);
  }
});

test('--quiet prints nothing on success, and there is no progress bar without a terminal', async () => {
  const quiet = await here('encode in --quiet -o quiet');
  assert.equal([quiet.code, quiet.stdout, wordsOf(quiet)], [0, '', '']);
  assert.is(readdirSync(at('quiet')).length, FACES);
  const bad = await here('-q encode in/1.png missing.png -o quiet2');
  assert.equal([bad.code, bad.stdout, bad.complaints.length], [1, '', 1]);
  const result = await here('info -q quiet/1.cameo.png');
  assert.match(result.stdout, /checksum ok/);
  const usual = await here('encode in -o usual');
  assert.is(usual.stdout, `${FACES} faces -> usual\n`);
  assert.is(wordsOf(usual), '');
});

test('with --json, doctor and a wrong command line each print one document', async () => {
  const found = await shell('cameo doctor --json');
  assert.is(found.code, 0, found.stderr);
  const { command, ok, environment, adapters, taken, errors } = JSON.parse(found.stdout);
  assert.equal([command, ok, errors, environment.node], ['doctor', true, [], process.versions.node]);
  assert.ok(adapters.some((one: { name: string; taken: boolean }) => one.taken && one.name === taken));
  const none = await shell('cameo doctor --json', { CAMEO_ADAPTER: 'no such adapter' });
  assert.is(none.code, 2);
  const refused = JSON.parse(none.stdout);
  assert.equal([refused.ok, refused.taken, refused.errors.length], [false, null, 1]);
  assert.match(refused.errors[0].message, /no such adapter/);
  const wrong = await here('doctor --json --nonsense');
  assert.is(wrong.code, 1);
  assert.match(JSON.parse(wrong.stdout).errors[0].message, /unknown option '--nonsense'/);
});

test.run();
