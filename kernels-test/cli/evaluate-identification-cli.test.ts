// adapters: once
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FACE_TEMPLATE } from '../../src/detection/align.js';
import { writePeople, writeTinyRecognizer } from '../helpers/people-fixture.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('evaluate identification');
const folder = temporaryFolder();
const lfw = join(folder, 'lfw');
const recognizer = writeTinyRecognizer(join(folder, 'tiny.safetensors'), 4);
const out = join(folder, 'out');

mkdirSync(lfw);
await writePeople(join(lfw, 'images'));
const people = ['Ann', 'Bob', 'Cid', 'Dan'];
writeFileSync(join(lfw, 'pairs.txt'), '2\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\nCid\t1\t2\nCid\t1\tDan\t1\n');
const landmarks = people.flatMap((name) =>
  [1, 2].map((k) => `${name}/${name}_000${k}.jpg\t${FACE_TEMPLATE.flat().join('\t')}`),
);
writeFileSync(join(lfw, 'landmarks.txt'), `${landmarks.join('\n')}\n`);

const evaluate = (...args: string[]) =>
  cameoHere(['evaluate', 'identification', '--lfw', lfw, '--recognizer', recognizer, ...args], {
    CAMEO_CACHE: join(folder, 'cache'),
    CAMEO_DATA: join(folder, 'nowhere'),
  });

test('the pictures of the pairs become gallery and probes, tables are printed, and files are written on request', async () => {
  // There are Ann, Bob, Cid and Dan; Ann and Cid have a second picture.
  const asked = ['--codecs', 'jpeg', '--budgets', '3000'];
  const run = await evaluate(...asked, '--json', '-o', out);
  assert.is(run.code, 0, run.stderr);
  const report = JSON.parse(run.stdout);
  assert.equal(report.data, { persons: 4, mated: 2, matedPersons: 2, unmated: 2, personsLeftOut: 0 });
  assert.equal([report.ok, report.command, report.errors], [true, 'evaluate identification', []]);
  const [plain, jpeg] = report.rows;
  assert.equal([plain.codec, plain.rankOne.value, plain.fpir], ['uncompressed', 1, 0]);
  assert.equal([jpeg.codec, jpeg.budget, jpeg.missing], ['jpeg', 3000, 0]);
  assert.ok(jpeg.bytes > 500 && jpeg.bytes <= 3000, `${jpeg.bytes}`);
  const written = JSON.parse(readFileSync(join(out, 'identification.json'), 'utf8'));
  assert.equal(written.rows, report.rows);
  const markdown = readFileSync(join(out, 'identification.md'), 'utf8');
  assert.match(markdown, /Gallery: 4 faces, the first picture of each person/);
  assert.match(markdown, /every other picture, 2 of the 2 persons with two or more/);
  assert.match(markdown, /\| JPEG \| 3000 \|/);

  const few = await evaluate(...asked, '--limit', '3');
  assert.is(few.code, 0, few.stderr);
  assert.match(few.stdout, /^Gallery +Bytes +Mean/m);
  assert.match(few.stdout, /^Uncompressed .*100\.0 %/m);
});

test('what cannot be measured is refused before any work', async () => {
  for (const [args, complaint] of [
    [['--codecs', 'gif'], /--codecs: "gif"; expected some of cameo/],
    [['--budgets', '0'], /--budgets: "0"; expected a positive number of bytes/],
    [['--limit', '1'], /--limit <n>.*Expected an integer of at least 2/],
    [['--recognizer', 'nobody'], /recogniser nobody: neither a file nor one of/],
    [['--lfw', join(folder, 'none')], /none\/pairs\.txt: cannot be read/],
    [['--codecs', 'jpeg', '--budgets', '3000', '-o', recognizer], /tiny\.safetensors/],
  ] as const) {
    const run = await evaluate(...args);
    assert.is(run.code, 1, args.join(' '));
    assert.match(run.complaints.join('\n'), complaint);
  }
  assert.not(existsSync(join(folder, 'none')));
});

test.run();
