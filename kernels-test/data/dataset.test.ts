import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, FormatError, ImageError } from '../../src/common/errors.js';
import { FACE_BYTES, openFaceFolder } from '../../src/data/faces/face-set.js';
import { FileError } from '../../src/data/files/atomic-file.js';
import { testWithData } from '../helpers/data-available.js';
import { facePng, plainFolder, put } from '../helpers/face-folder-fixture.js';
import { rejection } from '../helpers/rejection.js';

const folder = await mkdtemp(join(tmpdir(), 'cameo-dataset-'));
test.after(() => rm(folder, { recursive: true, force: true }));

test('in a plain folder, faces are read, and everything else is reported with path and reason', async () => {
  const root = await plainFolder(folder);
  const set = await openFaceFolder(root);
  const calls: number[] = [];
  const readable = await set.readable((done, total) => {
    assert.is(total, set.count);
    calls.push(done);
  });
  assert.equal(
    calls,
    Array.from({ length: set.count }, (_, i) => i + 1),
  );
  assert.is(readable.length, 12);
  for (const i of readable) {
    const face = await set.face(i);
    assert.is(face.length, FACE_BYTES);
    const { path } = set.entries[i];
    const number = path.startsWith('ann/') ? Number(path[4]) : path === 'test/bob/x.PNG' ? 10 : 11;
    assert.is(face[0], number, path);
  }
  const reasons = Object.fromEntries(set.unreadable.map(({ path, reason }) => [path, reason]));
  assert.equal(Object.keys(reasons), [
    'bad/cut.png',
    'bad/dangling.png',
    'bad/empty.jpg',
    'bad/old.gif',
    'bad/text.jpg',
    'bad/wide.png',
  ]);
  assert.match(reasons['bad/cut.png'], /truncated or damaged/);
  assert.match(reasons['bad/dangling.png'], /no such file/);
  assert.is(reasons['bad/empty.jpg'], 'the file is empty');
  assert.match(reasons['bad/old.gif'], /truncated or damaged/);
  assert.match(reasons['bad/text.jpg'], /not a JPEG, PNG, WebP, AVIF, GIF or TIFF/);
  assert.match(reasons['bad/wide.png'], /112×112; expected 96×112/);
  // Asking again neither repeats the reports nor changes the result.
  assert.equal(await set.readable(), readable);
  assert.is(set.unreadable.length, 6);
});

test('in a plain folder, splits follow the top folder or the path, and identities follow the folder', async () => {
  const root = await plainFolder(folder);
  const all = (await openFaceFolder(root)).entries;
  const [train, val, tested] = await Promise.all(
    (['train', 'val', 'test'] as const).map(async (split) => (await openFaceFolder(root, { split })).entries),
  );
  assert.equal([...train, ...val, ...tested].map((e) => e.path).sort(), all.map((e) => e.path).sort());
  assert.equal(
    tested.map((e) => [e.path, e.identity]),
    [['test/bob/x.PNG', 'test/bob']],
  );
  assert.ok(val.some((e) => e.path === 'val/x.png'));
  // A face keeps its split when others are added.
  for (let i = 10; i < 200; i++) await put(root, `ann/${i}.png`, '');
  const later = (await openFaceFolder(root)).entries;
  for (const { path, split } of all) assert.is(later.find((e) => e.path === path)?.split, split);
  const share = later.filter((e) => e.split === 'val').length / later.length;
  assert.ok(share > 0.05 && share < 0.17, `${share} of the faces are in val; expected about 0.1`);
});

const superuser = process.getuid?.() === 0;
if (superuser || process.platform === 'win32')
  console.log('SKIP a locked subfolder: permissions do not apply to the superuser');
(superuser || process.platform === 'win32' ? test.skip : test)('a locked subfolder is reported', async () => {
  const root = await plainFolder(folder);
  await chmod(join(root, 'val'), 0);
  const set = await openFaceFolder(root);
  assert.match(set.unreadable.find(({ path }) => path === 'val')?.reason ?? '', /permission denied/);
  await chmod(join(root, 'val'), 0o700);
});

test('a manifest lists the faces, also in the subfolder faces, and bad lines and files are reported', async () => {
  const data = await mkdtemp(join(folder, 'manifest-'));
  const root = join(data, 'faces');
  const lines = [
    'path\tidentity\tsource\tsplit\tsex\trace',
    'a/1.png\ta\tfiw\ttrain\t\t',
    'a/2.png\ta\tfiw\ttrain\tfemale\tother\r',
    'b/1.png\tb\tpins\tval\t\t',
    '',
    'b/2.png\tb\tpins',
    '../outside.png\tc\tpins\ttrain\t\t',
    '/etc/outside.png\tc\tpins\ttrain\t\t',
    'gone.png\td\tpins\ttrain\t\t',
  ];
  await put(root, 'manifest.tsv', lines.join('\n'));
  for (const path of ['a/1.png', 'a/2.png', 'b/1.png', 'unlisted.png']) await put(root, path, await facePng(3));
  for (const from of [data, root]) {
    const set = await openFaceFolder(from);
    assert.equal(
      set.entries.map((e) => e.path),
      ['a/1.png', 'a/2.png', 'b/1.png', 'gone.png'],
    );
    assert.equal(set.entries[1], {
      path: 'a/2.png',
      identity: 'a',
      source: 'fiw',
      split: 'train',
      sex: 'female',
      race: 'other',
    });
    assert.equal(await set.readable(), [0, 1, 2]);
    assert.equal(
      set.unreadable.map(({ path }) => path.replace(`${join(root, 'manifest.tsv')}:`, 'line ')),
      ['line 6', 'line 7', 'line 8', 'gone.png'],
    );
  }
  const paths = async (options: Parameters<typeof openFaceFolder>[1]): Promise<string[]> =>
    (await openFaceFolder(data, options)).entries.map((e) => e.path);
  assert.equal(await paths({ split: 'val' }), ['b/1.png']);
  assert.equal(await paths({ sources: ['pins'] }), ['b/1.png', 'gone.png']);
  assert.equal(await paths({ split: 'train', sources: ['fiw'] }), ['a/1.png', 'a/2.png']);
  assert.equal(await paths({ limit: 2 }), ['a/1.png', 'b/1.png']);
  assert.equal(await paths({ limit: 9 }), ['a/1.png', 'a/2.png', 'b/1.png', 'gone.png']);
});

test('folders without faces give an error that says what was expected', async () => {
  const root = await mkdtemp(join(folder, 'none-'));
  const none = await rejection(() => openFaceFolder(root), ArgumentError);
  assert.is(
    none.message,
    `${root}: no faces; expected aligned JPEG, PNG, WebP, AVIF, GIF or TIFF crops of 96×112 (width×height), or a manifest.tsv that lists them`,
  );
  const missing = await rejection(() => openFaceFolder(join(root, 'x')), FileError);
  assert.match(missing.message, /x: cannot be read: no such file or folder/);
  await put(root, 'a.png', 'no face');
  await put(root, 'b.png', '');
  const set = await openFaceFolder(root);
  assert.match(
    (await rejection(() => set.batch([1]), ImageError)).message,
    /none of the 2 faces is readable; the first/,
  );
  assert.match((await rejection(() => set.face(0), ImageError)).message, /^a\.png: not a JPEG/);
  for (const index of [2, -1, 0.5]) await rejection(() => set.face(index), ArgumentError);
  for (const limit of [0, -1, 1.5]) await rejection(() => openFaceFolder(root, { limit }), ArgumentError);
  assert.match(
    (await rejection(() => openFaceFolder(root, { split: 'test' }), ArgumentError)).message,
    /of split test/,
  );
  await put(root, 'manifest.tsv', 'file,person\na.png,a\n');
  const bad = await rejection(() => openFaceFolder(root), FormatError);
  assert.match(bad.message, /manifest\.tsv: the first line is "file,person"; expected tab-separated names/);
});

test('a batch is complete even if faces are unreadable, because the next readable face replaces each', async () => {
  const root = await mkdtemp(join(folder, 'gaps-'));
  for (let i = 0; i < 6; i++) await put(root, `${i}.png`, [1, 2, 5].includes(i) ? 'damaged' : await facePng(i));
  const set = await openFaceFolder(root);
  const faces = await set.batch([0, 1, 2, 3, 4, 5, 1]);
  assert.equal(
    faces.map((face) => face[0]),
    [0, 3, 3, 3, 4, 0, 3],
  );
});

test('asking for the same face many times at once decodes it once', async () => {
  const root = await mkdtemp(join(folder, 'once-'));
  await put(root, 'a.png', await facePng(1));
  const set = await openFaceFolder(root);
  const faces = await Promise.all(Array.from({ length: 20 }, () => set.face(0)));
  assert.ok(faces.every((face) => face === faces[0]));
});

testWithData(
  'faces',
  'the training set: splits as documented, no identity in two of them, faces readable',
  async (path) => {
    const splits = ['train', 'val', 'test'] as const;
    const sets = await Promise.all(splits.map((split) => openFaceFolder(join(path, '..'), { split })));
    assert.is(
      sets.reduce((sum, set) => sum + set.count, 0),
      16_205,
    );
    const people = sets.map((set) => new Set(set.entries.map((e) => e.identity).filter((id) => id !== '')));
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ]) {
      const common = [...people[a]].filter((id) => people[b].has(id));
      assert.equal(common, [], `persons in ${splits[a]} and ${splits[b]}`);
    }
    const held = await openFaceFolder(path, { split: 'val', limit: 40 });
    assert.is((await held.readable()).length, 40);
    assert.equal(held.unreadable, []);
    const face = await held.face(0);
    assert.ok(new Set(face).size > 30, 'a face has many levels');
  },
);

test.run();
