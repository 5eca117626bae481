import * as assert from 'uvu/assert';
import type { OpenRecognizer } from '../../src/data/checkpoints/recognizer-source.js';
import {
  compareIdentification,
  type IdentificationOptions,
  identificationSplit,
} from '../../src/evaluation/comparison/compare-identification.js';
import type { FaceEncoder } from '../../src/evaluation/comparison/face-encoders.js';
import { againstTable, identificationTable } from '../../src/evaluation/comparison/identification-report.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('compare identification');

/** A network of random weights, which gives equal pictures equal embeddings, and different pictures different ones. */
async function recognizer(): Promise<OpenRecognizer> {
  const network = new CameoFace({ dimension: 16, channels: [4, 8, 8, 8], units: [0, 0, 0, 0] });
  network.initialize(await testGpu(), 5).eval();
  return { name: 'random', modelId: '0', recognizer: network, dispose: () => network.dispose() };
}

/** An artificial face: a different pattern for each person, and small changes for each picture. */
const inventedFace = (person: number, picture: number): Uint8Array =>
  Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % 96, Math.floor(i / 288), i % 3];
    const wave = Math.sin((x * (person + 1)) / 20 + c * person) + Math.cos((y * (2 * person + 2)) / 25);
    return Math.round(128 + 55 * wave) + (i % 7 === 0 ? picture : 0);
  });

/** Pictures of six persons: the first four have three each, the others one. */
const faces = new Map<string, Uint8Array>();
for (let person = 0; person < 6; person++) {
  for (let picture = 0; picture < (person < 4 ? 3 : 1); picture++) {
    faces.set(`p${person}/${picture}.png`, inventedFace(person, picture));
  }
}
const personOf = (name: string): string => name.split('/')[0];

/** A codec that restores a face of the gallery to the result of `restore`. */
const encoder = (name: string, restore: (all: readonly Uint8Array[], k: number) => Uint8Array | null): FaceEncoder => ({
  name,
  title: name,
  version: '1',
  async encodeAll(all, maxBytes) {
    return all.map((_, k) => {
      const rgb = restore(all, k);
      return rgb && { size: maxBytes - k, rgb };
    });
  },
});

async function compare(more: Partial<IdentificationOptions>) {
  const opened = await recognizer();
  try {
    return await compareIdentification({
      gpu: await testGpu(),
      faces,
      personOf,
      split: identificationSplit([...faces.keys()], personOf),
      encoders: [],
      budgets: [],
      recognizer: opened,
      cacheOf: () => null,
      ...more,
    });
  } finally {
    opened.dispose();
  }
}

test('the gallery has the first picture of every person, and every other picture is a probe', () => {
  const names = ['Bo/2', 'Al/1', 'Cy/3', 'Bo/1', 'Al/2', 'Al/10'];
  assert.equal(identificationSplit(names, personOf), {
    gallery: ['Al/1', 'Bo/1', 'Cy/3'],
    mated: ['Al/10', 'Al/2', 'Bo/2'],
    unmated: ['Cy/3'],
  });
  assert.throws(() => identificationSplit(['Al/1', 'Bo/1'], personOf), /2 pictures of 2 persons; expected two persons/);
  assert.throws(() => identificationSplit(['Al/1', 'Al/2'], personOf), /2 pictures of 1 persons; expected two persons/);
  assert.throws(() => identificationSplit([], personOf), /0 pictures of 0 persons/);
});

test('codecs get their known ranks: one that changes nothing, one that exchanges persons, and one without files', async () => {
  const rows = await compare({
    encoders: [
      encoder('mixed', (all, k) => all[(k + 1) % all.length]),
      encoder('none', () => null),
      encoder('cameo', (all, k) => all[k]),
    ],
    budgets: [500, 300],
  });
  assert.equal(
    rows.map(({ codec, budget }) => `${codec} ${budget}`),
    ['uncompressed null', 'cameo 300', 'mixed 300', 'none 300', 'cameo 500', 'mixed 500', 'none 500'],
  );
  const [plain, cameo, mixed, none] = rows;
  for (const row of [plain, cameo]) {
    assert.equal(row.rankOne, { value: 1, low: 1, high: 1 }, row.title);
    assert.ok(row.fnir.value < 1 && row.fnir.low <= row.fnir.value && row.fnir.value <= row.fnir.high, row.title);
    assert.is(row.fpir, 0, 'at 1 %, ten searches allow no false positive');
  }
  assert.equal([cameo.fnir, cameo.threshold], [plain.fnir, plain.threshold]);
  assert.equal([cameo.bytes, mixed.bytes, plain.bytes, none.bytes], [297.5, 297.5, null, null]);
  // Each mate has the face of somebody else; and grey pictures are all equal, so none is first.
  for (const row of [mixed, none]) {
    assert.equal(row.rankOne, { value: 0, low: 0, high: 0 }, row.title);
    assert.equal(row.fnir, { value: 1, low: 1, high: 1 }, row.title);
    assert.is(row.against!.rankOne.difference, 1);
    assert.equal(row.against!.rankOne.p, 0.002, 'at least two of a thousand resamples');
    assert.is(row.against!.fnir.difference, cameo.fnir.value - 1);
  }
  assert.equal([mixed.missing, none.missing, cameo.against], [0, 6, undefined]);
  assert.is(identificationTable({ rows, fpir: 0.01 }).rows.length, 7);
  assert.is(identificationTable({ rows, fpir: 0.01 }).rows[3].at(-1), 6);
  assert.is(againstTable(rows)!.rows.length, 4);
  assert.is(againstTable([plain, cameo]), undefined);
});

test('a probe that is more similar to another person does not rank first', async () => {
  const swapped = new Map(faces);
  // One of eight probes shows another person of the gallery, and finds that person.
  swapped.set('p1/2.png', inventedFace(2, 0));
  const [row] = await compare({ faces: swapped });
  assert.is(row.rankOne.value, 7 / 8);
  assert.ok(row.rankOne.low < 7 / 8 && row.rankOne.high === 1, JSON.stringify(row.rankOne));
  assert.ok(row.threshold > 0.9999, 'its search without the mate returns a face of similarity 1');
  assert.ok(row.fnir.value >= 1 / 8);
});

test.run();
