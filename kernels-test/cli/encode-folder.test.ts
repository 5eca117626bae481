// suite: long
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readKlt } from '../../src/codec/codec-weights.js';
import { bytesSource, FaceArchive } from '../../src/codec/container/face-archive.js';
import { unpackFaceFile } from '../../src/codec/container/face-file.js';
import { FaceJournal } from '../../src/codec/container/face-journal.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { TINY, writeSmallFaceModel } from '../helpers/budget-fixture.js';
import { type CliRun, cameoUntil, temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';
import { writeNamedFaces } from './named-faces.js';

// adapters: once

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);

const gpu = await openGpu();
// The faces are as large as the command needs; everything else of the model is as small as possible.
const config = { ...TINY, width: 96, height: 112 };
const CAMEO_MODEL = await writeSmallFaceModel(gpu, at('face.safetensors'), 1, config);
gpu.destroy();
const env = { CAMEO_MODEL, CAMEO_ADAPTER: gpu.description.kind };
const { model } = readKlt(readFileSync(CAMEO_MODEL)).tables!;
const run = (...args: string[]): Promise<CliRun> => cameoHere(args, env, folder);

// The names are in the order in which the command encodes them.
const NAMES = [
  ...Array.from({ length: 12 }, (_, k) => `ann/${k + 1}`),
  ...Array.from({ length: 60 }, (_, k) => `bob/of 1999/face ${k + 1}`),
  'z1',
  'z2',
  'z10',
];
await writeNamedFaces(at('in'), NAMES);
mkdirSync(at('in', '.hidden'));
writeFileSync(at('in', 'notes.txt'), 'no picture');
writeFileSync(at('in', '.hidden', 'face.png'), 'this file must not be read');
const BYTES = ['--bytes', '60'];

/** The names of all files in a folder and its subfolders, in alphabetical order. */
function filesOf(path: string): string[] {
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath, item.name).slice(path.length + 1))
    .sort();
}

let undisturbed: Buffer;

test('encode takes all pictures of a folder in natural order, and writes an archive or files with the same subfolders', async () => {
  const made = await run('encode', 'in', '--archive', 'all.cameos', ...BYTES);
  assert.is(made.code, 0, made.stderr);
  undisturbed = readFileSync(at('all.cameos'));
  assert.is(made.stdout, `${NAMES.length} faces -> all.cameos  ${undisturbed.length} bytes\n`);
  const archive = await FaceArchive.open(bytesSource(undisturbed));
  for (const [k, name] of NAMES.entries()) assert.is(await archive.name(k), name);
  assert.not.match(made.stderr, /\d+\/75.*█|\[=/, 'no progress bar without a terminal');

  const files = await run('encode', 'in', '-o', 'files', ...BYTES);
  assert.is(files.code, 0, files.stderr);
  assert.is(files.stdout, `${NAMES.length} faces -> files\n`);
  assert.equal(filesOf(at('files')), NAMES.map((name) => `${name}.cameo`).sort());

  const decoded = await run('decode', 'all.cameos', '-o', 'pictures');
  assert.is(decoded.code, 0, decoded.stderr);
  assert.equal(filesOf(at('pictures')), NAMES.map((name) => `${name}.decoded.png`).sort());
});

/** Asserts that each face of an unfinished archive can be read, and equals that of an undisturbed run. @returns their number */
async function facesOf(path: string): Promise<number> {
  if (!existsSync(path) || statSync(path).size < 20) return 0;
  const journal = await FaceJournal.open(bytesSource(readFileSync(path)));
  const archive = await FaceArchive.open(bytesSource(undisturbed));
  for (let k = 0; k < journal.count; k++) {
    assert.is(await journal.name(k), NAMES[k]);
    assert.equal(await journal.face(k, model), await archive.face(k, model));
  }
  return journal.count;
}

test('after a kill at any moment, each finished face can be read, and the next run makes the same archive', async () => {
  const part = at('killed.cameos.part');
  const args = ['encode', 'in', '--archive', 'killed.cameos', ...BYTES];
  const sizeOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);
  let found = 0;
  // It is killed before its first face, after the first, in the middle of a batch, and after several batches.
  for (const more of [0, 1, 200, 2500]) {
    const before = sizeOf(part);
    const killed = await cameoUntil(() => sizeOf(part) >= before + more, 'SIGKILL', args, env, folder);
    assert.is(killed.code, null, killed.stderr);
    assert.not(existsSync(at('killed.cameos')));
    const now = await facesOf(part);
    assert.ok(now >= found, `${now} faces, ${found} before`);
    found = now;
  }
  assert.ok(found > 16 && found < NAMES.length, `${found} faces`);
  // A part of the next record is appended, as if it were killed while it wrote a face.
  writeFileSync(part, undisturbed.subarray(5, 45), { flag: 'a' });
  const info = await run('info', 'killed.cameos.part', '--all');
  assert.is(info.code, 0, info.stderr);
  assert.match(info.stdout, new RegExp(`unfinished archive of ${found} faces with names`));
  assert.match(info.stdout, new RegExp(`${found} of ${found} faces intact\n  and 40 bytes of an unfinished face\n$`));
  const one = await run('decode', 'killed.cameos.part', '-o', 'killed', '--only', 'ann/12');
  assert.is(one.code, 0, one.stderr);
  assert.equal(
    readFileSync(at('killed', 'ann', '12.decoded.png')),
    readFileSync(at('pictures', 'ann', '12.decoded.png')),
  );

  const other = await run('encode', 'in', '--archive', 'killed.cameos', '--bytes', '61');
  assert.is(other.code, 1);
  assert.match(
    other.complaints[0],
    /^cameo: killed\.cameos\.part was begun with a byte budget of 60, this is 61: give it the same/,
  );

  const last = await run(...args);
  assert.is(last.code, 0, last.stderr);
  assert.match(
    last.stdout,
    new RegExp(`^75 faces -> killed\\.cameos  \\d+ bytes  \\(${found} of them from an earlier run\\)\n$`),
  );
  assert.equal(readFileSync(at('killed.cameos')), undisturbed);
  assert.not(existsSync(part));
});

test('the files of a run that is killed are complete, and the next run makes the missing ones', async () => {
  const args = ['encode', 'in', '-o', 'some', '--archive', 'some.cameos', ...BYTES];
  const done = (): string[] =>
    existsSync(at('some')) ? filesOf(at('some')).filter((name) => /^[^.].*\.cameo$/.test(name)) : [];
  const killed = await cameoUntil(() => done().length > 20, 'SIGKILL', args, env, folder);
  assert.is(killed.code, null, killed.stderr);
  const before = done();
  assert.ok(before.length > 20 && before.length < NAMES.length, `${before.length} files`);
  for (const name of before) unpackFaceFile(readFileSync(at('some', name)), model);
  const times = before.map((name) => statSync(at('some', name)).mtimeMs);
  // A finished file that was deleted is made again.
  rmSync(at('some', before[3]));
  const last = await run(...args);
  assert.is(last.code, 0, last.stderr);
  const finished = Number(/\((\d+) of them from an earlier run\)\n$/.exec(last.stdout)?.[1]);
  assert.ok(finished >= before.length - 2 && finished <= before.length, `${finished} of ${before.length}`);
  assert.equal(filesOf(at('some')), filesOf(at('files')));
  for (const name of filesOf(at('files'))) {
    assert.equal(readFileSync(at('some', name)), readFileSync(at('files', name)), name);
  }
  const kept = before.filter((name, k) => statSync(at('some', name)).mtimeMs === times[k]).length;
  assert.ok(kept >= before.length - 2, `${kept} of ${before.length} files were kept`);
  assert.is((await FaceArchive.open(bytesSource(readFileSync(at('some.cameos'))))).count, NAMES.length);
});

test('SIGTERM and Ctrl-C stop encode after the current faces, with exit code 130', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const part = at(`${signal}.cameos.part`);
    const args = ['encode', 'in', '--archive', `${signal}.cameos`, ...BYTES];
    const stopped = await cameoUntil(() => existsSync(part), signal, args, env, folder);
    assert.is(stopped.code, 130, stopped.stderr);
    assert.equal(stopped.complaints, []);
    assert.match(stopped.stderr, /stopped after \d+ of 75 pictures; the same command goes on from there\n$/);
    assert.is(stopped.stdout, '');
    const count = await facesOf(part);
    assert.ok(count >= 16 && count < NAMES.length, `${count} faces`);
  }
  const last = await run('encode', 'in', '--archive', 'SIGINT.cameos', ...BYTES);
  assert.is(last.code, 0, last.stderr);
  assert.equal(readFileSync(at('SIGINT.cameos')), undisturbed);
});

test('a folder without pictures or with an unreadable one gives an error line, and the rest is encoded', async () => {
  mkdirSync(at('mixed', 'empty'), { recursive: true });
  writeFileSync(at('mixed', '1.png'), readFileSync(at('in', 'z1.png')));
  writeFileSync(at('mixed', '2.png'), 'no picture');
  const result = await run('encode', 'mixed', 'mixed/empty', 'in/z2.png', '--archive', 'mixed.cameos', ...BYTES);
  assert.is(result.code, 1);
  assert.equal(result.complaints, [
    'cameo: mixed/2.png: not a JPEG, PNG, WebP, AVIF, GIF or TIFF picture',
    'cameo: mixed/empty: the folder has no JPEG, PNG, WebP, AVIF, GIF or TIFF pictures',
  ]);
  assert.match(result.stdout, /^2 faces -> mixed\.cameos /);
});

test.run();
