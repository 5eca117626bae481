import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, FormatError, ImageError } from '../src/common/errors.js';
import { FileError } from '../src/data/atomic-file.js';
import {
  assembleBatch,
  type BatchPlan,
  FaceBatches,
  type FaceBatchesOptions,
  NO_AUGMENTATION,
  sourceWeights,
} from '../src/data/batches.js';
import type { FaceEntry } from '../src/data/face-listing.js';
import { FACE_BYTES, openFaceFolder } from '../src/data/faces.js';
import { encodePng } from '../src/data/image.js';
import { testWithData } from './data-available.js';
import { rejection } from './rejection.js';

const folder = await mkdtemp(join(tmpdir(), 'cameo-dataset-'));
test.after(() => rm(folder, { recursive: true, force: true }));

/** A face-sized picture that its number can be told from: its first byte. */
async function facePng(number: number, width = 96, height = 112): Promise<Uint8Array> {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (number + (i >> 4)) % 256);
  return encodePng({ width, height, data });
}

async function put(root: string, path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

/** A folder without a manifest: 12 faces, and one entry of every kind that is no face. */
async function plainFolder(): Promise<string> {
  const root = await mkdtemp(join(folder, 'plain-'));
  for (let i = 0; i < 10; i++) await put(root, `ann/${i}.png`, await facePng(i));
  await put(root, 'test/bob/x.PNG', await facePng(10));
  await put(root, 'val/x.png', await facePng(11));
  await put(root, 'bad/empty.jpg', '');
  await put(root, 'bad/text.jpg', 'no picture');
  await put(root, 'bad/cut.png', (await facePng(1)).slice(0, -150));
  await put(root, 'bad/wide.png', await facePng(1, 112, 112));
  await put(root, 'bad/old.gif', 'GIF89a');
  await put(root, 'notes.txt', 'ignored');
  await put(root, '.hidden/x.png', 'ignored');
  await symlink('nowhere', join(root, 'bad/dangling.png'));
  await symlink('..', join(root, 'bad/loop'));
  await mkdir(join(root, 'bad/folder.png'));
  return root;
}

test('a plain folder: faces are read, everything else is reported with path and reason', async () => {
  const root = await plainFolder();
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
  assert.match(reasons['bad/old.gif'], /not a JPEG, PNG or WebP/);
  assert.match(reasons['bad/text.jpg'], /not a JPEG, PNG or WebP/);
  assert.match(reasons['bad/wide.png'], /112×112; expected 96×112/);
  // Asking again neither repeats the reports nor changes the answer.
  assert.equal(await set.readable(), readable);
  assert.is(set.unreadable.length, 6);
});

test('a plain folder: splits by top folder or by path, identities by folder', async () => {
  const root = await plainFolder();
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
  // A face keeps its split when others come.
  for (let i = 10; i < 200; i++) await put(root, `ann/${i}.png`, '');
  const later = (await openFaceFolder(root)).entries;
  for (const { path, split } of all) assert.is(later.find((e) => e.path === path)?.split, split);
  const share = later.filter((e) => e.split === 'val').length / later.length;
  assert.ok(share > 0.05 && share < 0.17, `${share} of the faces are in val; expected about 0.1`);
});

const superuser = process.getuid?.() === 0;
if (superuser || process.platform === 'win32') console.log('SKIP a locked subfolder: it binds no superuser');
(superuser || process.platform === 'win32' ? test.skip : test)('a locked subfolder is reported', async () => {
  const root = await plainFolder();
  await chmod(join(root, 'val'), 0);
  const set = await openFaceFolder(root);
  assert.match(set.unreadable.find(({ path }) => path === 'val')?.reason ?? '', /permission denied/);
  await chmod(join(root, 'val'), 0o700);
});

test('a manifest names the faces; also in the subfolder faces; bad lines and files are reported', async () => {
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

test('folders without faces get a clear error', async () => {
  const root = await mkdtemp(join(folder, 'none-'));
  const none = await rejection(() => openFaceFolder(root), ArgumentError);
  assert.is(
    none.message,
    `${root}: no faces; expected aligned JPEG, PNG or WebP crops of 96×112 (width×height), or a manifest.tsv that lists them`,
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

test('a batch is complete even if faces are unreadable: the next readable one stands in', async () => {
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

const OPTIONS: FaceBatchesOptions = { count: 53, batchSize: 8, seed: 42 };

test('a batch depends on seed and step alone', () => {
  const forward = new FaceBatches(OPTIONS);
  const plans = Array.from({ length: 40 }, (_, step) => forward.plan(step));
  // A new object that starts in the middle, and one that is asked backwards.
  const resumed = new FaceBatches(OPTIONS);
  for (let step = 25; step < 40; step++) assert.equal(resumed.plan(step), plans[step]);
  const backward = new FaceBatches(OPTIONS);
  for (let step = 39; step >= 0; step--) assert.equal(backward.plan(step), plans[step]);
  assert.equal(new FaceBatches(OPTIONS).plan(10 ** 9), new FaceBatches(OPTIONS).plan(10 ** 9));
  const other = new FaceBatches({ ...OPTIONS, seed: 43 });
  for (const key of ['indices', 'flip', 'dx', 'brightness'] as const) {
    assert.not.equal(other.plan(0)[key], plans[0][key], `${key} of another seed`);
    assert.not.equal(plans[1][key], plans[0][key], `${key} of another step`);
  }
});

test('every epoch has each face once, in an order of its own', () => {
  const batches = new FaceBatches(OPTIONS);
  const drawn: number[] = [];
  for (let step = 0; drawn.length < 53 * 4; step++) {
    const plan = batches.plan(step);
    assert.is(plan.epoch, Math.floor((step * 8) / 53));
    drawn.push(...plan.indices);
  }
  const epochs = [0, 1, 2, 3].map((e) => drawn.slice(e * 53, (e + 1) * 53));
  for (const epoch of epochs) {
    assert.equal(
      [...epoch].sort((a, b) => a - b),
      Array.from({ length: 53 }, (_, i) => i),
    );
  }
  assert.not.equal(epochs[0], epochs[1]);
  assert.not.equal(epochs[1], epochs[2]);
  // A batch larger than the set goes through it more than once.
  const large = new FaceBatches({ count: 3, batchSize: 9, seed: 1 }).plan(0);
  assert.equal([...large.indices].sort(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
});

test('augmentations keep to their ranges, use them, and can be switched off one by one', () => {
  const draw = (augment: FaceBatchesOptions['augment']): BatchPlan =>
    new FaceBatches({ count: 10, batchSize: 4000, seed: 5, augment }).plan(3);
  const plan = draw({ shift: 2, brightness: 0.1, contrast: 0.2 });
  const flips = plan.flip.filter(Boolean).length;
  assert.ok(Math.abs(flips - 2000) < 160, `${flips} of 4000 are mirrored`);
  for (const shifts of [plan.dx, plan.dy]) {
    for (const value of [-2, -1, 0, 1, 2]) {
      const times = shifts.filter((s) => s === value).length;
      assert.ok(Math.abs(times - 800) < 130, `shift ${value} comes ${times} times of 4000`);
    }
  }
  assert.ok(Math.min(...plan.brightness) < -0.095 && Math.min(...plan.brightness) >= -0.1);
  assert.ok(Math.max(...plan.brightness) > 0.095 && Math.max(...plan.brightness) <= 0.1);
  assert.ok(Math.min(...plan.contrast) < 0.81 && Math.min(...plan.contrast) >= 0.8);
  assert.ok(Math.max(...plan.contrast) > 1.19 && Math.max(...plan.contrast) <= 1.2);
  const still = draw({ flip: false, shift: 0, brightness: 0.1, contrast: 0 });
  assert.ok(still.flip.every((f) => !f) && still.dx.every((d) => d === 0) && still.contrast.every((c) => c === 1));
  assert.equal(still.brightness, plan.brightness);
});

test('assembleBatch: mirrored, shifted with repeated edges, brighter, with more contrast', () => {
  const face = Uint8Array.from({ length: FACE_BYTES }, (_, i) => (i * 7 + (i >> 8)) % 256);
  const at = (y: number, x: number, c: number): number => face[(y * 96 + x) * 3 + c];
  const plan = (flip: boolean, dx: number, dy: number, brightness: number, contrast: number): BatchPlan => ({
    step: 0,
    epoch: 0,
    indices: new Uint32Array(2),
    flip: [false, flip],
    dx: Int32Array.of(0, dx),
    dy: Int32Array.of(0, dy),
    brightness: Float64Array.of(0, brightness),
    contrast: Float64Array.of(1, contrast),
    angle: new Float64Array(2),
  });
  const clamp = (i: number, n: number): number => Math.min(n - 1, Math.max(0, i));
  for (const [flip, dx, dy, brightness, contrast] of [
    [false, 0, 0, 0, 1],
    [true, 0, 0, 0, 1],
    [false, 2, -1, 0, 1],
    [true, -2, 2, 0.1, 1.3],
  ] as const) {
    const images = assembleBatch([face, face], plan(flip, dx, dy, brightness, contrast));
    assert.is(images.length, 2 * FACE_BYTES);
    for (let y = 0, i = 0; y < 112; y++) {
      for (let x = 0; x < 96; x++) {
        for (let c = 0; c < 3; c++, i++) {
          assert.is(images[i], Math.fround(face[i] / 255));
          const column = clamp(x - dx, 96);
          const level = at(clamp(y - dy, 112), flip ? 95 - column : column, c) / 255;
          const expected = Math.min(1, Math.max(0, (level - 0.5) * contrast + 0.5 + brightness));
          assert.ok(Math.abs(images[FACE_BYTES + i] - expected) < 1e-6);
        }
      }
    }
  }
});

test('weights set how often a face is drawn', () => {
  const entry = (source: string): FaceEntry => ({ path: '', identity: '', source, split: '', sex: '', race: '' });
  const entries = ['fiw', 'pins', 'utk', 'fiw'].map(entry);
  const weights = sourceWeights(entries, { fiw: 0.25, utk: 0 });
  assert.equal([...weights], [0.25, 1, 0, 0.25]);
  const options = { count: 4, batchSize: 6000, seed: 9, weights };
  const plan = new FaceBatches(options).plan(2);
  const counts = [0, 1, 2, 3].map((i) => plan.indices.filter((k) => k === i).length);
  assert.is(counts[2], 0);
  [1000, 4000, 0, 1000].forEach((expected, i) => {
    assert.ok(Math.abs(counts[i] - expected) < 160, `face ${i} comes ${counts[i]} times, not about ${expected}`);
  });
  assert.equal(new FaceBatches(options).plan(2).indices, plan.indices);
  assert.not.equal(new FaceBatches(options).plan(1).indices, plan.indices);
});

test('batches of bad options or of a set that does not fit are refused', async () => {
  const bad: Partial<FaceBatchesOptions>[] = [
    { count: 0 },
    { count: 2.5 },
    { batchSize: 0 },
    { batchSize: Number.NaN },
    { seed: -1 },
    { seed: 2 ** 32 },
    { augment: { shift: 96 } },
    { augment: { shift: 0.5 } },
    { augment: { brightness: -0.1 } },
    { augment: { contrast: 1 } },
    { weights: [1, 2] },
    { weights: new Float64Array(53) },
    { weights: new Array(53).fill(-1) },
    { weights: new Array(53).fill(Number.NaN) },
    { weights: new Array(53).fill(Infinity) },
  ];
  for (const options of bad) await rejection(() => new FaceBatches({ ...OPTIONS, ...options }), ArgumentError);
  const batches = new FaceBatches(OPTIONS);
  for (const step of [-1, 0.5, Number.NaN, 2 ** 53]) await rejection(() => batches.plan(step), ArgumentError);
  await rejection(() => assembleBatch([], batches.plan(0)), ArgumentError);
  await rejection(() => assembleBatch(new Array(8).fill(new Uint8Array(5)), batches.plan(0)), ArgumentError);
  const set = await openFaceFolder(await plainFolder());
  assert.match((await rejection(() => batches.load(set, 0), ArgumentError)).message, /faces; expected 53/);
  const error = await rejection(() => sourceWeights(set.entries, { fwi: 1 }), ArgumentError);
  assert.match(error.message, /no face of source "fwi"/);
});

test('the batch of a folder has the faces of its plan', async () => {
  const set = await openFaceFolder(await plainFolder());
  const good = await set.readable();
  const batches = new FaceBatches({ count: set.count, batchSize: 7, seed: 3, augment: NO_AUGMENTATION });
  const { plan, images } = await batches.load(set, 4);
  assert.is(images.length, 7 * FACE_BYTES);
  for (let i = 0; i < 7; i++) {
    if (!good.includes(plan.indices[i])) continue;
    const face = await set.face(plan.indices[i]);
    const part = images.subarray(i * FACE_BYTES, (i + 1) * FACE_BYTES);
    assert.ok(part.every((v, k) => v === Math.fround(face[k] / 255)));
  }
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
    const some = await openFaceFolder(path, { split: 'val', limit: 40 });
    assert.is((await some.readable()).length, 40);
    assert.equal(some.unreadable, []);
    const face = await some.face(0);
    assert.ok(new Set(face).size > 30, 'a face has many levels');
  },
);

test.run();
