// suite: long
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { shippedWeights } from '../../src/cli/weights.js';
import { AutoencoderCodec } from '../../src/codec/autoencoder-codec.js';
import { FaceCodec } from '../../src/codec/face-codec.js';
import { CameoError } from '../../src/common/errors.js';
import type { OpenRecognizer } from '../../src/data/checkpoints/recognizer-source.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import type { FacePair } from '../../src/data/faces/lfw.js';
import { writePng } from '../../src/data/pictures/image.js';
import { EncodingCache } from '../../src/evaluation/codecs/encoding-cache.js';
import { JPEG } from '../../src/evaluation/codecs/jpeg.js';
import { type ComparisonRow, compareCodecs } from '../../src/evaluation/comparison/compare-codecs.js';
import { compareGroups } from '../../src/evaluation/comparison/compare-groups.js';
import {
  plainRows,
  readEarlier,
  settingId,
  stillValid,
  writeScores,
} from '../../src/evaluation/comparison/earlier-rows.js';
import {
  autoencoderPngEncoder,
  baselineEncoder,
  cameoEncoder,
  cameoPngEncoder,
} from '../../src/evaluation/comparison/face-encoders.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { demoFaces, smallFaceModel } from '../helpers/budget-fixture.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('compare codecs');
const folder = mkdtempSync(join(tmpdir(), 'cameo-compare-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** A network of random weights, which distinguishes faces well enough for a test. */
async function recognizer(): Promise<OpenRecognizer> {
  const config = { width: 96, height: 112, dimension: 16, channels: [4, 8, 8, 8], units: [0, 0, 1, 0] } as const;
  const network = new CameoFace({ ...config }).initialize(await testGpu(), 5).eval();
  return { name: 'random', modelId: '0', recognizer: network as CameoFace, dispose: () => network.dispose() };
}

const noted = (face: Uint8Array): Uint8Array => face.map((value, i) => Math.min(255, value + (i % 7)));

test('every codec stays within the budget, every pair is decided, and a second run uses the results of the first', async () => {
  const gpu = await testGpu();
  const faceData = (await demoFaces()).slice(0, 4);
  const codec = FaceCodec.fromWeights(gpu, await smallFaceModel(gpu, 1));
  const watcher = await recognizer();
  const faces = new Map<string, Uint8Array>();
  faceData.forEach((face, k) => {
    faces.set(`a${k}`, face);
    faces.set(`b${k}`, noted(face));
  });
  const pairs: FacePair[] = faceData.flatMap((_, k) => [
    { a: `a${k}`, b: `b${k}`, same: true, fold: k % 2 },
    { a: `a${k}`, b: `b${(k + 1) % faceData.length}`, same: false, fold: k % 2 },
  ]);
  const cache = new EncodingCache(join(folder, 'encodings'));
  const options = {
    gpu,
    pairs,
    faces,
    personOf: (name: string) => name.slice(1),
    encoders: [cameoEncoder(codec, cache), cameoPngEncoder(codec, cache), baselineEncoder(JPEG, cache)],
    budgets: [150, 700],
    recognizers: [watcher],
    mixes: ['both', 'reference'] as const,
    cacheOf: () => join(folder, 'embeddings.safetensors'),
    sampleBudget: 700,
    run: { commit: 'abc', date: '2026-01-01', device: 'one', command: 'cameo' },
  };
  const { conditions, samples } = await compareCodecs(options);
  assert.equal(
    conditions.map(({ codec, budget }) => `${codec} ${budget}`),
    ['uncompressed null', 'cameo 150', 'cameo-png 150', 'jpeg 150', 'cameo 700', 'cameo-png 700', 'jpeg 700'],
  );
  const [plain, , , jpeg150, cameo700, png700, jpeg700] = conditions;
  assert.is(plain.verdicts.length, 1);
  assert.is(jpeg150.missing, 8, 'no JPEG is as small');
  assert.is(jpeg150.verdicts.length, 0);
  for (const row of [cameo700, png700, jpeg700]) {
    assert.ok(row.bytes <= 700 && row.psnr > 15, `${row.title}: ${row.bytes} bytes`);
    assert.equal(
      row.verdicts.map(({ mix }) => mix),
      ['both', 'reference'],
    );
    for (const { figures, open } of row.verdicts) {
      assert.is(figures.pairs, 8);
      assert.is(open.impostors, 24, '8 pictures make 28 pairs, 4 of one person');
      assert.ok(open.low! <= open.tar && open.tar <= open.high!, JSON.stringify(open));
    }
  }
  assert.is(cameo700.verdicts[0].against, undefined);
  const [{ open: jpegOpen, against }] = jpeg700.verdicts;
  assert.ok(against!.accuracy.p <= 1);
  const gained = cameo700.verdicts[0].open.tar - jpegOpen.tar;
  assert.ok(Math.abs(against!.open.difference - gained) < 1e-12);
  assert.ok(against!.open.p! > 0 && against!.open.p! <= 1);
  assert.ok(png700.ownBytes! < png700.bytes, 'a PNG of the same symbols is larger');
  assert.is(samples.get('Cameo')!.length, 8);

  const again = await compareCodecs({ ...options, encoders: options.encoders.map((entry) => ({ ...entry })) });
  assert.equal(JSON.stringify(again.conditions), JSON.stringify(conditions));
  const turned = await compareCodecs({ ...options, earlier: conditions, reference: 'jpeg' });
  assert.equal(
    turned.conditions.map(({ codec }) => codec).slice(-3),
    ['jpeg', 'cameo', 'cameo-png'],
    'the codec of reference comes first',
  );
  const [jpegFirst, cameoSecond] = turned.conditions.slice(-3).map(({ verdicts }) => verdicts[0]);
  assert.is(jpegFirst.against, undefined);
  assert.is(cameoSecond.against!.accuracy.onlyFirst, against!.accuracy.onlySecond);
  assert.ok(Math.abs(cameoSecond.against!.open.difference + gained) < 1e-12);
  const encoders = options.encoders.map((entry) => ({ ...entry, budgets: entry.name === 'cameo' ? undefined : [700] }));
  const partial = await compareCodecs({ ...options, encoders });
  const asked = conditions.filter(({ codec, budget }) => budget !== 150 || codec === 'cameo');
  assert.equal(JSON.stringify(partial.conditions), JSON.stringify(asked));

  // A report contains enough for a later run to show its rows among the new ones.
  const report = { setting: 'setting', groups: [], besides: [], model: { id: 'x' }, command: 'c', device: {} };
  const json = JSON.stringify({ ...report, conditions: plainRows(conditions) });
  const scores = writeScores(conditions, 'setting');
  const rows = () => readEarlier(json, scores, 'setting', pairs.length).conditions;
  const run = { ...options.run, commit: 'def', date: '2026-02-02' };
  const plainOf = (all: readonly ComparisonRow[]) => JSON.stringify(plainRows(all));
  const idle = options.encoders.map((entry) => ({
    ...entry,
    encodeAll: () => Promise.reject(new Error(`${entry.name} is asked again`)),
  }));
  const keeping = { ...options, run, budgets: [700], earlier: rows() };
  const kept = await compareCodecs({ ...keeping, encoders: idle, sampleBudget: 300 });
  assert.is(plainOf(kept.conditions), plainOf(conditions));
  assert.is(kept.samples.size, 0, 'no row has that budget');
  // For kept rows, only the faces that are shown are encoded again.
  const { samples: shown } = await compareCodecs({ ...keeping, encoders: [], earlierEncoders: options.encoders });
  assert.equal([...shown.keys()], [...samples.keys()]);
  for (const [title, all] of samples) {
    assert.equal(
      shown.get(title)!.map((entry) => entry && [entry.size, entry.rgb]),
      all.map((entry) => entry && [entry.size, entry.rgb]),
      title,
    );
  }
  assert.is(
    (await compareCodecs({ ...keeping, encoders: [] })).samples.size,
    0,
    'without the codecs no face can be shown',
  );
  const fewer = rows().filter(({ codec, budget }) => !(codec === 'jpeg' && budget === 700));
  const added = await compareCodecs({ ...options, run, budgets: [700], earlier: fewer });
  assert.is(
    plainOf(added.conditions),
    plainOf(conditions).replace(/(.*)"abc","date":"2026-01-01"/, '$1"def","date":"2026-02-02"'),
  );
  // Rows of an older version lack the thresholds of resamples. Requested rows are measured again, and others are kept.
  const older = rows().map((row) => ({
    ...row,
    verdicts: row.verdicts.map(({ thresholds: _, open: { low: __, high: ___, ...open }, ...verdict }) => ({
      ...verdict,
      open,
    })),
  }));
  const only = (name: string) => options.encoders.filter((entry) => entry.name === name);
  const mixed = await compareCodecs({ ...options, run, encoders: only('cameo'), budgets: [700], earlier: older });
  assert.equal(
    mixed.conditions.map(({ codec, budget, run }) => `${codec} ${budget} ${run.commit}`),
    [
      'uncompressed null def',
      'cameo 150 abc',
      'cameo-png 150 abc',
      'jpeg 150 abc',
      'cameo 700 def',
      'cameo-png 700 abc',
      'jpeg 700 abc',
    ],
  );
  const [unknown] = mixed.conditions.at(-1)!.verdicts;
  assert.equal(unknown.against!.open, { difference: against!.open.difference });
  // A row of ours without the quality of each face, which decides what is shown, is measured again, too.
  const blind = rows().map((row) => ({ ...row, psnrs: [] }));
  const seeing = await compareCodecs({ ...options, run, encoders: only('cameo'), budgets: [700], earlier: blind });
  assert.equal(
    seeing.conditions.filter((row) => row.run.commit === 'def').map(({ codec, budget }) => `${codec} ${budget}`),
    ['cameo 700'],
  );
  // If a codec has changed, its requested rows are measured again, and its other rows are dropped.
  const versions = new Map(options.encoders.map(({ name, version }) => [name, version]));
  assert.equal(stillValid(rows(), versions).changed, []);
  const { kept: valid, changed } = stillValid(rows(), new Map([...versions, ['jpeg', 'next']]));
  assert.equal(
    changed.map(({ codec, budget }) => [codec, budget]),
    [
      ['jpeg', 150],
      ['jpeg', 700],
    ],
  );
  // What a run saves after each of its rows contains all rows that are known, even if the run fails later.
  const seen: number[] = [];
  const renewed = await compareCodecs({
    ...options,
    run,
    encoders: options.encoders.map((entry) => (entry.name === 'jpeg' ? { ...entry, version: 'next' } : entry)),
    budgets: [700],
    earlier: valid,
    onRow: (_, all) => {
      seen.push(all.length);
    },
  });
  assert.equal(seen, [...new Array(valid.length).fill(valid.length), valid.length + 1]);
  assert.equal(
    renewed.conditions.filter(({ codec }) => codec === 'jpeg').map(({ budget, version }) => [budget, version]),
    [[700, 'next']],
  );
  const refused = (message: RegExp, read: () => unknown): void => {
    assert.throws(read, (error: Error) => error instanceof CameoError && message.test(error.message));
  };
  refused(/other pictures or pairs.*setting setting; this run has other/, () => readEarlier(json, scores, 'other', 8));
  refused(/8 scores of "uncompressed - random both"; expected 9/, () => readEarlier(json, scores, 'setting', 9));
  const odd8 = conditions.map((row) => ({ ...row, psnrs: row.psnrs.slice(1) }));
  refused(/7 values of "cameo 150 psnr"; expected 8/, () =>
    readEarlier(json, writeScores(odd8, 'setting'), 'setting', 8),
  );
  refused(/report.json is not the report/, () => readEarlier('{}', scores, 'setting', 8));
  refused(/report.json is not the report/, () => readEarlier('{', scores, 'setting', 8));
  const odd = JSON.stringify({ ...report, conditions: [{ codec: 'x' }] });
  refused(/a row lacks/, () => readEarlier(odd, scores, 'setting', 8));
  const another = JSON.stringify({ ...report, setting: 'another', conditions: [] });
  refused(/setting another; this run has setting/, () => readEarlier(another, scores, 'setting', 8));
  const setting = { pairs, faces, recognizers: [watcher], mixes: options.mixes, single: false };
  const ids = [
    setting,
    { ...setting, single: true },
    { ...setting, pairs: pairs.slice(1) },
    { ...setting, recognizers: [{ name: 'random', modelId: '1' }] },
    { ...setting, faces: new Map([...faces].map(([name, face]) => [name, noted(face)])) },
  ].map(settingId);
  assert.is(new Set(ids).size, ids.length);
  watcher.dispose();
  codec.dispose();
});

test('the autoencoder stores a face in a PNG at the finest rate that fits', async () => {
  const gpu = await testGpu();
  const codec = AutoencoderCodec.fromWeights(gpu, readFileSync(shippedWeights('autoencoder')));
  const faces = (await demoFaces()).slice(0, 2);
  const encoder = autoencoderPngEncoder(codec, new EncodingCache(join(folder, 'encodings-png')));
  const made = await Promise.all([0, 1, codec.rates - 1].map((rate) => codec.encode(faces, rate)));
  const [coarse, next, fine] = made;
  // Deflate may take a byte less for a face's second rate than for its first one.
  const smallest = Math.min(...[...coarse, ...next].map(({ length }) => length));
  const largest = Math.max(...fine.map(({ length }) => length));
  for (const [budget, files] of [
    [largest, fine],
    [smallest - 1, null],
  ] as const) {
    const found = await encoder.encodeAll(faces, budget, () => {});
    const restored = files && (await codec.decode(files));
    assert.equal(
      found.map((entry) => entry && [entry.size, entry.rgb]),
      faces.map((_, k) => files && [files[k].length, restored![k]]),
    );
  }
  const between = await encoder.encodeAll(faces, coarse[0].length, () => {});
  assert.is(between[0]?.size, coarse[0].length);
  codec.dispose();
});

test('restored faces are compared with their originals by group', async () => {
  const gpu = await testGpu();
  const codec = FaceCodec.fromWeights(gpu, await smallFaceModel(gpu, 1));
  const watcher = await recognizer();
  const data = join(folder, 'groups');
  const faceData = (await demoFaces()).slice(0, 4);
  const rows = ['path\tidentity\tsource\tsplit\tsex\trace'];
  for (const [k, face] of faceData.entries()) {
    await writePng(join(folder, `${k}.png`), { width: 96, height: 112, data: face });
    rows.push(`${k}.png\tp${k}\tutk\ttest\t${k < 2 ? 'f' : 'm'}\t${k === 3 ? '' : 'asian'}`);
  }
  writeFileSync(join(folder, 'manifest.tsv'), `${rows.join('\n')}\n`);
  const cache = new EncodingCache(join(folder, 'encodings-groups'));
  const services = await compareGroups({
    gpu,
    faces: await openFaceFolder(folder, { split: 'test' }),
    encoders: [cameoEncoder(codec, cache), baselineEncoder(JPEG, cache)],
    budget: 150,
    recognizer: watcher,
    cache: join(data, 'embeddings.safetensors'),
  });
  assert.equal(
    services.map(({ codec, group, faces }) => `${codec} ${group} ${faces}`),
    ['cameo f asian 2', 'cameo m asian 1'],
    'codecs without a file for each face, and faces without both labels, are left out',
  );
  for (const { similarity, psnr } of services) assert.ok(similarity > 0 && similarity <= 1 && psnr > 15);
  watcher.dispose();
  codec.dispose();
});

test.run();
