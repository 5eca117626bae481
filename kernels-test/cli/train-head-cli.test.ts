// adapters: once
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readRecognizer } from '../../src/models/recognizer-file.js';
import { readSafetensors } from '../../src/nn/safetensors.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { writeTinyRecognizer } from '../helpers/people-fixture.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';
import { assertComplaints } from './complaints.js';

const test = suite('train head');
const folder = temporaryFolder();
const headOf = (path: string) => readRecognizer(readFileSync(path)).tensors.get('head.weight')!.data;
const at = (name: string): string => join(folder, name);
const data = writeIdentities(at('faces'));
const student = writeTinyRecognizer(at('student.safetensors'), 1);
const teacher = writeTinyRecognizer(at('teacher.safetensors'), 2);
const other = writeTinyRecognizer(at('other.safetensors'), 3, 9);

test('bad input is named before a device is opened, and nothing is written', async () => {
  const cases: [string[], RegExp][] = [
    [['--ridge', '0'], /^cameo: .*'--ridge <x>' argument '0' is invalid\. Expected a number above 0/],
    [['--ridge', 'wide'], /'--ridge <x>' argument 'wide' is invalid/],
    [['--generated', '8,8'], /'--generated <counts>' argument '8,8' is invalid\. Expected three numbers/],
    [['--generated', '8,8,9'], /generated\.invented is 9; expected a multiple of 8/],
    [['--model', at('none.safetensors')], /none\.safetensors/],
    [['--teacher', other], /teacher .* has embeddings of 9 values; the network to train has 8/],
  ];
  for (const [args, message] of cases) {
    const all = ['--data', await data, '--model', student, '--teacher', teacher, '-o', at('bad.safetensors'), ...args];
    const run = await cameoHere(['train', 'head', ...all], { CAMEO_ADAPTER: 'none of that name' });
    assertComplaints(run, 1, [message]);
    assert.not(existsSync(at('bad.safetensors')));
  }
});

test('the new head is written beside the layers below as they were', async () => {
  const out = at('head.safetensors');
  const args = ['--data', await data, '--model', student, '--teacher', teacher, '-o', out];
  const run = await cameoHere(['train', 'head', ...args], { CAMEO_CACHE: at('cache') });
  assert.is(run.code, 0, run.stderr);
  const [before, after] = [student, out].map((path) => readRecognizer(readFileSync(path)));
  assert.equal(after.description, { ...before.description, head: 'full' });
  const body = [...after.tensors].filter(([name]) => name.startsWith('layers.'));
  assert.ok(body.length > 0);
  for (const [name, { data }] of body) assert.equal(data, before.tensors.get(name)!.data, name);
  assert.equal(after.tensors.get('head.weight')!.shape, [7 * 6 * 8, 8]);
});

test('faces that the codec makes are kept beside the output, and change the head', async () => {
  const [plain, out] = [at('head.safetensors'), at('made/head.safetensors')];
  mkdirSync(at('made'));
  const args = ['--data', await data, '--model', student, '--teacher', teacher, '--generated', '8,16,8', '-o', out];
  const environment = { CAMEO_CACHE: at('cache'), CAMEO_MODEL: '' };
  const run = await cameoHere(['train', 'head', ...args], environment);
  assert.is(run.code, 0, run.stderr);
  const [kept] = readdirSync(at('made')).filter((name) => name.startsWith('generated-'));
  assert.equal(readdirSync(at(`made/${kept}`)), ['000000.rgb', '000001.rgb', '000002.rgb', '000003.rgb']);
  const bytes = readFileSync(out);
  assert.not.equal(readRecognizer(bytes).tensors.get('head.weight')!.data, headOf(plain));
  const { generated, faces } = JSON.parse(readSafetensors(bytes).metadata.get('cameo.head')!);
  assert.equal([generated, faces], [{ restored: 8, blended: 16, invented: 8 }, 20]);
  // Again from the files that are there: the same bits.
  assert.is((await cameoHere(['train', 'head', ...args], environment)).code, 0);
  assert.ok(readFileSync(out).equals(bytes));
});

test.run();
