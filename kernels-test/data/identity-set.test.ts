import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FaceBatches } from '../../src/data/faces/batches.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { balancedWeights, labelFaces, labelReportText } from '../../src/data/faces/identity-set.js';
import { writePng } from '../../src/data/pictures/image.js';

const folder = mkdtempSync(join(tmpdir(), 'cameo-identities-'));
const test = suite('identity set');
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** A face whose pixels depend on a number. */
async function face(path: string, seed: number): Promise<void> {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  const data = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => (seed * 37 + i * (seed + 3)) % 251);
  await writePng(join(folder, path), { width: 96, height: 112, data });
}

test('labels leave out and report single faces, duplicate pictures, pictures under two names, and unreadable ones', async () => {
  for (const [path, seed] of [
    ['train/ann/1.png', 1],
    ['train/ann/2.png', 2],
    ['train/ann/2-again.png', 2],
    ['train/bob/1.png', 3],
    ['train/bob/2.png', 4],
    ['train/bob/3.png', 5],
    ['train/cid/1.png', 6],
    ['train/dan/1.png', 7],
    ['train/dan/2.png', 8],
    ['train/eve/1.png', 8], // the same picture as one of dan's
    ['train/eve/2.png', 9],
    ['train/eve/3.png', 10],
  ] as const) {
    await face(path, seed);
  }
  writeFileSync(join(folder, 'train/bob/broken.png'), 'no picture');
  const faces = await openFaceFolder(folder, { split: 'train' });
  const labelling = await labelFaces(faces);
  const paths = (indices: readonly number[]): string[] => indices.map((index) => faces.entries[index].path);
  // Only one face is certainly dan's, which is too few for a class.
  assert.equal(
    labelling.identities,
    ['train/ann', 'train/bob', 'train/eve'].map((path) => faces.entries.find((e) => e.path.startsWith(path))!.identity),
  );
  assert.is(labelling.labelled.length, 2 + 3 + 2);
  assert.equal(paths(labelling.unlabelled).sort(), ['train/cid/1.png', 'train/dan/1.png', 'train/dan/2.png'].sort());
  const { single, duplicates, unreadable } = labelling.report;
  assert.is(single.length, 2);
  assert.is(duplicates.length, 2);
  assert.equal(duplicates.map(({ identities }) => identities.length).sort(), [1, 2]);
  assert.equal(
    unreadable.map(({ path }) => path),
    ['train/bob/broken.png'],
  );
  const text = labelReportText(labelling.report).join('\n');
  for (const part of [
    /2 identities have a single face/,
    /1 pictures occur more than once/,
    /several identities/,
    /1 pictures are unreadable/,
  ]) {
    assert.match(text, part);
  }
  for (const index of labelling.labelled) {
    assert.is(labelling.identities[labelling.classOf[index]], faces.entries[index].identity);
  }
});

test('balanced weights draw every identity equally often', () => {
  const classOf = Int32Array.from([0, 0, 0, 0, 0, 0, 1, 1, 2]);
  const indices = [...classOf.keys()];
  const weights = balancedWeights(indices, classOf);
  const batches = new FaceBatches({ count: indices.length, batchSize: 3000, seed: 5, weights });
  const drawn = [0, 0, 0];
  for (const index of batches.plan(0).indices) drawn[classOf[index]]++;
  for (const count of drawn) assert.ok(Math.abs(count - 1000) < 120, `${drawn}`);
});

test('a subset of a set shares its decoded faces, and has its own indices', async () => {
  const faces = await openFaceFolder(folder, { split: 'train' });
  const last = faces.count - 1;
  const whole = await faces.face(last);
  const part = faces.subset([last, 0]);
  assert.is(part.count, 2);
  assert.is(await part.face(0), whole);
  assert.is(part.entries[1].path, faces.entries[0].path);
});

test.run();
