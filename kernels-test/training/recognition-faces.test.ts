// adapters: once
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { FaceBatches, NO_AUGMENTATION } from '../../src/data/faces/batches.js';
import { contentKey, EmbeddingFile } from '../../src/data/faces/embedding-file.js';
import { FACE_BYTES, writeFacePack } from '../../src/data/faces/face-pack.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { listPhotos, parsePhotoManifest, photoCrops } from '../../src/data/faces/photo-crops.js';
import { DEGRADATION_WORDS, type DegradationPlan, degrade, planDegradation } from '../../src/data/pictures/degrade.js';
import { writePng } from '../../src/data/pictures/image.js';
import { alignFace, FACE_TEMPLATE, type FaceLandmarks } from '../../src/detection/align.js';
import { doubtfulPeople, packOriginals, packWithout } from '../../src/training/gather-faces.js';
import { blend, invent } from '../../src/training/generated-faces.js';
import { closestMatches, peopleOf } from '../../src/training/identity-overlap.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { rejection } from '../helpers/rejection.js';

const test = suite('recognition faces');
const folder = mkdtempSync(join(tmpdir(), 'cameo-faces-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const noise = (seed: number, size = FACE_BYTES): Uint8Array => {
  const random = new CounterRandom(seed);
  return Uint8Array.from({ length: size }, () => random.int(256));
};

const entryOf = (path: string, split: string, identity = 'p') => {
  return { path, identity, source: 's', split, sex: '', race: '' };
};

test('a pack has the faces that it was made from, by split, and refuses another number of faces', async () => {
  const root = join(folder, 'pack');
  const faces = ['a', 'b', 'c', 'd', 'e'].map((path, k) => {
    return { entry: entryOf(path, k % 2 ? 'val' : 'train', `p${k % 3}`), pixels: noise(k) };
  });
  const count = await writeFacePack(
    root,
    (async function* () {
      yield* faces;
    })(),
  );
  assert.is(count, 5);
  const train = await openFaceFolder(root, { split: 'train' });
  assert.equal(
    train.entries,
    [0, 2, 4].map((k) => faces[k].entry),
  );
  assert.equal(await train.batch([2, 0]), [faces[4].pixels, faces[0].pixels]);
  assert.equal(await train.readable(), [0, 1, 2]);
  const part = (await openFaceFolder(root)).subset([3, 1]);
  assert.equal([await part.face(0), await part.face(1)], [faces[3].pixels, faces[1].pixels]);
  assert.equal(part.subset([1]).entries[0].path, 'b');
  assert.equal(await part.subset([1]).face(0), faces[1].pixels);

  truncateSync(join(root, 'faces.rgb'), 5 * FACE_BYTES - 1);
  const short = await rejection(() => openFaceFolder(root), FormatError);
  assert.match(short.message, /161279 bytes; the manifest lists 5 faces of 32256: 161280/);
  const broken = (async function* () {
    yield { entry: entryOf('x', 'train'), pixels: new Uint8Array(7) };
  })();
  const error = await rejection(() => writeFacePack(join(folder, 'broken'), broken), FormatError);
  assert.match(error.message, /^x: 7 bytes of pixels; expected 32256/);
  assert.not(statSync(join(folder, 'broken', 'manifest.tsv'), { throwIfNoEntry: false }));
});

test('the main face of a photograph is the largest; bad lines are named', () => {
  const box = (score: number, size: number, x: number) =>
    `[${[score, x, 5, size, size, x, 1, x + 9, 1, x + 5, 6, x + 1, 11, x + 8, 11].join(',')}]`;
  const points = (x: number, size: number) =>
    `[${[0.9, x, 1, x + size, 1, x + 5, 6, x + 1, 1 + size, x + 8, 11].join(',')}]`;
  const lines = [
    'path\tidentity\tsplit\twidth\theight\tfaces',
    `a/1.webp\ta\ttrain\t50\t60\t[${box(0.95, 20, 3)},${box(0.7, 30, 40)}]`,
    'a/2.webp\ta\ttrain\t50\t60\t[]',
    `b/1.webp\tb\tval\t50\t60\t[${points(2, 9)},${points(30, 14)}]`,
    '',
  ];
  const photos = parsePhotoManifest(lines.join('\n'), 'photos');
  assert.equal(
    photos.map(({ entry, score, points: [eye] }) => [
      entry.path,
      entry.identity,
      entry.source,
      entry.split,
      score,
      eye,
    ]),
    [
      ['a/1.webp', 'a', 'photos', 'train', 0.7, [40, 1]],
      ['b/1.webp', 'b', 'photos', 'val', 0.9, [30, 1]],
    ],
  );
  for (const [line, message] of [
    ['a\tb\ttrain\t1\t1\t[[1,2]]', /line 2: expected faces of 15 numbers/],
    ['a\tb\ttrain\t1\t1\t{', /line 2: the faces are not JSON/],
    ['a\tb\ttrain\t[]', /line 2: 4 columns; expected 6/],
    [`../a\tb\ttrain\t1\t1\t[${box(1, 2, 3)}]`, /leads out of the folder/],
  ] as const) {
    assert.throws(() => parsePhotoManifest(`${lines[0]}\n${line}`, 'photos'), message);
  }
  assert.throws(() => parsePhotoManifest('path\tidentity\tfaces', 'photos'), /column "split" is missing/);
});

/** The landmarks of an aligned face that was enlarged. */
const enlarged = (factor: number): FaceLandmarks =>
  FACE_TEMPLATE.map(([x, y]) => [(x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5]) as unknown as FaceLandmarks;

test('a photograph reduced to a crop does not alias', () => {
  for (const factor of [1.3, 1.6, 1.9, 2.5]) {
    const [width, height] = [Math.round(96 * factor), Math.round(112 * factor)];
    // The pattern is finer than the crop can show, so columns of black and white must become grey.
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => ((Math.floor(i / 3) % width) % 2 ? 255 : 0));
    const crop = alignFace({ width, height, data }, enlarged(factor), '96x112', { smooth: true }).data;
    const rough = alignFace({ width, height, data }, enlarged(factor)).data;
    const spread = (values: Uint8Array): number => {
      const inner = [...values].filter((_, i) => {
        const [x, y] = [Math.floor(i / 3) % 96, Math.floor(i / 288)];
        return x > 4 && x < 91 && y > 4 && y < 107;
      });
      return Math.sqrt(inner.reduce((sum, value) => sum + (value - 127.5) ** 2, 0) / inner.length);
    };
    assert.ok(spread(crop) < 62, `factor ${factor}: ${spread(crop)}`);
    if (factor < 2) assert.ok(spread(crop) < 0.75 * spread(rough), `${factor}: ${spread(crop)}, ${spread(rough)}`);
  }
});

/** A data folder with aligned faces and two photographs, one of which has no good face. */
async function dataFolder(): Promise<string> {
  const root = join(folder, 'data');
  await writeIdentities(join(root, 'faces'));
  for (const set of ['photos', 'profiles']) {
    await mkdir(join(root, set, 'x'), { recursive: true });
    const [width, height] = [192, 224];
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7) % 256);
    await writePng(join(root, set, 'x', '1.png'), { width, height, data });
    const face = (score: number) => JSON.stringify([[score, ...enlarged(2).flat()]]);
    const lines = ['path\tidentity\tsplit\twidth\theight\tfaces'];
    for (const [path, score] of [
      ['x/1.png', 0.9],
      ['x/1.png', 0.5],
      ['x/gone.png', 0.9],
    ] as const) {
      lines.push(`${path}\t${set}-x\tval\t${width}\t${height}\t${face(score)}`);
    }
    writeFileSync(join(root, set, 'manifest.tsv'), `${lines.join('\n')}\n`);
  }
  return root;
}

test('faces and photographs become one pack, and doubtful and unreadable ones are left out and reported', async () => {
  const root = await dataFolder();
  const out = join(folder, 'originals');
  // Without a manifest, the folder faces is listed below the data folder.
  const leftOut = await packOriginals(join(root, 'faces'), out, 0.8, () => {}, root);
  assert.equal(
    leftOut.map(({ path, reason }) => [path, /below 0.8|no such file/.test(reason)]),
    ['photos', 'profiles'].flatMap((set) => [
      [`${set}/x/1.png`, true],
      [`${set}/x/gone.png`, true],
    ]),
  );
  const pack = await openFaceFolder(out);
  assert.is(pack.count, 9 * 4 + 2);
  const photo = pack.entries.findIndex(({ source }) => source === 'photos');
  assert.equal(pack.entries[photo], { ...entryOf('photos/x/1.png', 'val', 'photos-x'), source: 'photos' });
  const photos = await listPhotos(join(root, 'photos'), 'photos');
  const crops = [];
  for await (const crop of photoCrops(join(root, 'photos'), photos, 0.8, () => {})) crops.push(crop);
  assert.equal(await pack.face(photo), crops[0].pixels);

  const kept = await packWithout(pack, new Set(['photos-x', 'train/p1']), join(folder, 'kept'));
  assert.equal(kept, { kept: 9 * 4 + 2 - 5, leftOut: 5 });
  const names = new Set((await openFaceFolder(join(folder, 'kept'))).entries.map(({ identity }) => identity));
  assert.ok(!names.has('photos-x') && !names.has('train/p1') && names.has('profiles-x'));
});

test('embeddings are kept by content and by recogniser, also if the process is killed', async () => {
  const path = join(folder, 'cache', 'teacher');
  const open = (): Promise<EmbeddingFile> => EmbeddingFile.open(path, 'cafe', 3);
  const [a, b] = [noise(1), noise(2)].map(contentKey);
  const first = await open();
  first.set(a, Float32Array.of(0.25, -1, 3));
  await first.save();
  first.set(b, Float32Array.of(1, 2, 1 / 3));
  await first.save();
  await first.save();
  const again = await open();
  assert.equal([...again.get(b)!], [1, 2, Math.fround(1 / 3)]);
  assert.is(again.get(contentKey(noise(3))), undefined);
  // The process was killed while it wrote.
  const whole = readFileSync(path);
  appendFileSync(path, whole.subarray(0, 17));
  const cut = await open();
  assert.equal([...cut.get(a)!], [0.25, -1, 3]);
  assert.equal(readFileSync(path), whole);
  for (const [id, dimension] of [
    ['beef', 3],
    ['cafe', 4],
  ] as const) {
    const error = await rejection(() => EmbeddingFile.open(path, id, dimension), FormatError);
    assert.match(error.message, new RegExp(`not a file of ${dimension} values a face of recogniser ${id}`));
  }
});

test('similar persons of two sets are found, the most similar first', () => {
  const unit = (...angles: number[]) => angles.map((angle) => Float32Array.of(Math.cos(angle), Math.sin(angle)));
  const people = peopleOf(unit(0, 0.2, 1.5, 3), ['a', 'a', 'b', '']);
  assert.equal(people.names, ['a', 'b']);
  assert.ok(Math.abs(people.means[1] - Math.sin(0.1)) < 1e-6);
  const others = peopleOf(unit(0.4, 1.6, 1.5), ['x', 'y', 'b']);
  const matches = closestMatches(people, others);
  assert.equal(
    matches.map(({ identity, other }) => [identity, other]),
    [
      ['b', 'y'],
      ['a', 'x'],
    ],
  );
  assert.ok(Math.abs(matches[0].cosine - Math.cos(0.1)) < 1e-6 && Math.abs(matches[1].cosine - Math.cos(0.3)) < 1e-6);
  const overlaps = [{ title: 's and t', people: 2, others: 3, matches }];
  assert.equal([...doubtfulPeople(overlaps, 0.99)], [['b', 's and t: y, cosine 0.995']]);
  assert.equal([...doubtfulPeople(overlaps, 0.9).keys()], ['b', 'a']);
});

test('the given share of faces is degraded, each in a different way, and a step that is loaded again is the same', async () => {
  const options = { share: 0.6, covered: 0.2, grey: 0.1 };
  const plans = Array.from({ length: 3000 }, (_, k) => planDegradation(options, new CounterRandom(7, 3, k * 32)));
  const share = (has: (plan: DegradationPlan) => boolean) => plans.filter(has).length / plans.length;
  const degraded = share(({ blur, reduce, noise: n, jpeg }) => [blur, reduce, n, jpeg].some((value) => value !== null));
  assert.ok(Math.abs(degraded - 0.6) < 0.04 && Math.abs(share(({ cover }) => cover !== null) - 0.2) < 0.03);
  assert.ok(Math.abs(share(({ grey }) => grey) - 0.1) < 0.03);
  const random = new CounterRandom(1);
  planDegradation(options, random);
  assert.ok(random.state().counter <= DEGRADATION_WORDS);

  const face = Uint8Array.from({ length: FACE_BYTES }, (_, i) => 128 + 80 * Math.sin(i / 5) * Math.cos(i / 1400));
  const none: DegradationPlan = {
    grey: false,
    blur: null,
    reduce: null,
    noise: null,
    jpeg: null,
    cover: null,
    seed: 5,
  };
  const before = face.slice();
  const error = async (plan: Partial<DegradationPlan>): Promise<number> => {
    const values = await degrade(face, { ...none, ...plan });
    assert.is(values.length, FACE_BYTES);
    return Math.sqrt(values.reduce((sum, value, i) => sum + (value - face[i]) ** 2, 0) / FACE_BYTES);
  };
  assert.is(await error({}), 0);
  assert.ok(Math.abs((await error({ noise: 9 })) - 9) < 0.4, 'noise has the deviation asked for');
  for (const [weak, strong] of [
    [{ blur: 0.5 }, { blur: 1.8 }],
    [{ reduce: 1.4 }, { reduce: 3.2 }],
    [{ jpeg: 50 }, { jpeg: 8 }],
  ]) {
    const [less, more] = [await error(weak), await error(strong)];
    assert.ok(less > 0 && more > 1.2 * less, `${JSON.stringify(strong)}: ${less}, ${more}`);
  }
  const grey = await degrade(face, { ...none, grey: true });
  assert.ok(grey.every((value, i) => value === grey[i - (i % 3)]));
  const cover = { x: 10, y: 20, width: 16, height: 18, colour: [1, 2, 3], noisy: false };
  const covered = await degrade(face, { ...none, cover });
  const changed = [...covered.keys()].filter((i) => covered[i] !== face[i]).map((i) => Math.floor(i / 3));
  assert.ok(changed.every((i) => i % 96 >= 10 && i % 96 < 26 && i >= 20 * 96 && i < 38 * 96));
  assert.equal(face, before);

  const root = await writeIdentities(join(folder, 'degraded'));
  const set = await openFaceFolder(root, { split: 'train' });
  const batches = new FaceBatches({
    count: set.count,
    batchSize: 6,
    seed: 3,
    augment: NO_AUGMENTATION,
    degrade: options,
  });
  const [once, again] = [await batches.load(set, 4), await batches.load(set, 4)];
  assert.equal(once.images, again.images);
  const plain = new FaceBatches({ count: set.count, batchSize: 6, seed: 3, augment: NO_AUGMENTATION });
  assert.not.equal((await plain.load(set, 4)).images, once.images);
  for (const bad of [{ share: 1.1 }, { covered: -0.1 }, { grey: Number.NaN }]) {
    const name = Object.keys(bad)[0];
    assert.throws(
      () => new FaceBatches({ count: 4, batchSize: 2, seed: 1, degrade: { ...options, ...bad } }),
      (thrown: unknown) => thrown instanceof ArgumentError && thrown.message.startsWith(`degrade.${name} is`),
    );
  }
});

test('blended values are between those of two faces, and invented ones have the spread of the scales', () => {
  const size = 64;
  const [a, b] = [new Float32Array(size).fill(1), new Float32Array(size).fill(3)];
  const kinds = { even: 0, pose: 0, groups: 0 };
  for (let k = 0; k < 400; k++) {
    const values = blend(a, b, 40, new CounterRandom(k));
    assert.ok(values.every((value) => value >= 1 && value <= 3));
    const [symmetric, rest] = [new Set(values.slice(0, 40)), new Set(values.slice(40))];
    if (symmetric.size === 1 && rest.size === 1 && values[0] === values[63] && values[0] % 1 !== 0) kinds.even++;
    else if (symmetric.size === 1 && rest.size === 1 && values[63] === 3 && values[0] % 1 !== 0) kinds.pose++;
    else {
      kinds.groups++;
      for (let at = 0; at < size; at += 8) assert.is(new Set(values.slice(at, at + 8)).size, 1);
      assert.ok([...symmetric, ...rest].every((value) => value === 1 || value === 3));
    }
  }
  assert.ok(kinds.even > 160 && kinds.pose > 70 && kinds.groups > 70, JSON.stringify(kinds));
  const scales = Float64Array.of(1, 10);
  const drawn = Array.from({ length: 4000 }, (_, k) => invent(scales, new CounterRandom(k)));
  const deviation = (at: number) => Math.sqrt(drawn.reduce((sum, values) => sum + values[at] ** 2, 0) / drawn.length);
  assert.ok(Math.abs(deviation(1) / deviation(0) - 10) < 0.8);
  // π/√3 is the deviation of a logistic distribution, and 0.7 the mean factor on the spread.
  assert.ok(Math.abs(deviation(0) - (0.7 * Math.PI) / Math.sqrt(3)) < 0.15, `${deviation(0)}`);
});

test.run();
