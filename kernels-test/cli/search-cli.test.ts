// adapters: once
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readKlt } from '../../src/codec/codec-weights.js';
import { bytesSource, FaceArchive, packArchive } from '../../src/codec/container/face-archive.js';
import { BLOCK_FACES } from '../../src/data/archives/archive-embeddings.js';
import { readRecognizerOf } from '../../src/data/checkpoints/recognizer-source.js';
import { writePng } from '../../src/data/pictures/image.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { demoFaces, writeSmallFaceModel } from '../helpers/budget-fixture.js';
import { writeTinyRecognizer } from '../helpers/people-fixture.js';
import { cameoInShell, temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('search');
const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);

const gpu = await openGpu();
const CAMEO_MODEL = await writeSmallFaceModel(gpu, at('face.safetensors'), 1);
const otherModel = await writeSmallFaceModel(gpu, at('other.safetensors'), 2);
gpu.destroy();
const recognizer = writeTinyRecognizer(at('tiny.safetensors'), 4);
const otherRecognizer = writeTinyRecognizer(at('tiny2.safetensors'), 5);
const { modelId } = await readRecognizerOf(recognizer, { data: folder, own: recognizer });
const THRESHOLD = 0.9999;
writeFileSync(
  at('thresholds.json'),
  JSON.stringify({
    [modelId]: { name: 'tiny', embedding: 'flip', thresholds: { '0.001': THRESHOLD, '0.1': -1 }, command: 'none' },
  }),
);
const env = { CAMEO_MODEL, CAMEO_ADAPTER: gpu.description.kind, CAMEO_THRESHOLDS: at('thresholds.json') };

// These are real faces, in a subfolder, so that names have a slash.
mkdirSync(at('faces', 'of'), { recursive: true });
const NAMES = ['ann', 'bob', 'cid', 'dan', 'eve', 'fay'];
for (const [k, data] of (await demoFaces()).slice(0, 6).entries()) {
  await writePng(at('faces', 'of', `${NAMES[k]}.png`), { width: 96, height: 112, data });
}
const made = await cameoHere(['encode', 'faces', '--archive', 'people.cameos', '--bytes', '900'], env, folder);
assert.is(made.code, 0, made.stderr);
const archive = readFileSync(at('people.cameos'));
const embeddings = at('people.cameos.embeddings');
const probe = 'faces/of/cid.png';

const search = (args: readonly string[], more: NodeJS.ProcessEnv = {}) =>
  cameoHere(['search', ...args, '--model', recognizer], { ...env, ...more }, folder);

/** Runs a search, asserts success, and returns its JSON document. */
async function searchJson(...args: string[]) {
  const run = await search([...args, '--json']);
  assert.is(run.code, 0, run.stderr);
  return { ...JSON.parse(run.stdout), notes: run.stderr };
}

test('the face itself comes first with the similarity of verify, and a second search computes no embeddings', async () => {
  const first = await searchJson(probe, 'people.cameos');
  assert.equal([first.ok, first.command, first.photo, first.archive], [true, 'search', probe, 'people.cameos']);
  assert.equal([first.faces, first.far, first.threshold], [6, 0.001, THRESHOLD]);
  assert.equal(first.recognizer, { name: 'tiny', model: modelId, lfw: null });
  assert.equal(first.embeddings, { path: 'people.cameos.embeddings', made: 6 });
  assert.equal(
    first.matches.map(({ rank }: { rank: number }) => rank),
    [1, 2, 3, 4, 5],
  );
  assert.equal([first.matches[0].name, first.matches[0].face], ['of/cid', 2]);
  for (const { name, similarity, above } of first.matches) {
    const verified = await cameoHere(
      ['verify', probe, `people.cameos:${name}`, '--model', recognizer, '--json'],
      env,
      folder,
    );
    const { similarity: expected, same } = JSON.parse(verified.stdout);
    assert.ok(Math.abs(similarity - expected) < 1e-5, `${name}: ${similarity}, verify says ${expected}`);
    assert.is(above, same);
  }
  const file = readFileSync(embeddings);
  const second = await searchJson(probe, 'people.cameos', '--top', '9');
  assert.equal(second.embeddings, { path: 'people.cameos.embeddings', made: 0 });
  assert.is(second.matches.length, 6, 'not more faces than the archive has');
  assert.equal(second.matches.slice(0, 5), first.matches);
  assert.equal(readFileSync(embeddings), file);
});

test('the table shows rank, similarity and side of the threshold, and the text explains threshold and recogniser', async () => {
  const run = await search([probe, 'people.cameos', '--top', '2']);
  assert.is(run.code, 0, run.stderr);
  const lines = run.stdout.trim().split('\n');
  assert.match(lines[0], /^Rank +Similarity +Threshold +Name$/);
  assert.match(lines[2], /^ *1 +0\.99\d\d +(above|below) +of\/cid$/);
  assert.match(lines[4], /^of 6 faces in people\.cameos \(cosine; tiny, weights [0-9a-f]{16}\)$/);
  assert.match(lines[5], /^how good this recogniser is has not been measured$/);
  assert.match(
    lines[6],
    /^threshold 0\.9999 at a false accept rate of 0\.001 for one comparison: of 6 .* about 0\.006 are above it$/,
  );
  const lax = await search([probe, 'people.cameos', '--top', '6', '--far', '0.1']);
  assert.is(lax.stdout.match(/ above +of/g)?.length, 6);
  const none = await search([probe, 'people.cameos'], { CAMEO_THRESHOLDS: at('none.json') });
  assert.is(none.code, 0, none.stderr);
  assert.match(none.stdout, /^no threshold is known for this recogniser/m);
  assert.not.match(none.stdout, / above | below /);
});

test('if the archive or the recogniser changes, or the kept embeddings are damaged, they are computed again', async () => {
  const { matches } = await searchJson(probe, 'people.cameos');
  const whole = readFileSync(embeddings);
  writeFileSync(embeddings, whole.subarray(0, -5));
  const cut = await searchJson(probe, 'people.cameos');
  assert.match(cut.notes, /people\.cameos\.embeddings: is damaged from face 0 on; it is made again from there/);
  assert.equal([cut.matches, cut.embeddings.made], [matches, 6]);
  assert.equal(readFileSync(embeddings), whole);

  const other = await cameoHere(['search', probe, 'people.cameos', '--model', otherRecognizer, '--json'], env, folder);
  assert.is(JSON.parse(other.stdout).embeddings.made, 6, other.stderr);
  assert.match(other.stderr, /is of another archive, codec or recogniser, or damaged; it is made again/);
  assert.equal((await searchJson(probe, 'people.cameos')).matches, matches);

  // The names are the same, but the faces are those of another budget.
  await cameoHere(['encode', 'faces', '--archive', 'less.cameos', '--bytes', '400'], env, folder);
  writeFileSync(at('less.cameos.embeddings'), whole);
  const less = await searchJson(probe, 'less.cameos');
  assert.is(less.embeddings.made, 6);
  assert.not.equal(less.matches, matches);
});

test('a search that was stopped between two blocks can be continued, with the same bits', async () => {
  const { model } = readKlt(readFileSync(CAMEO_MODEL)).tables!;
  const six = await FaceArchive.open(bytesSource(archive));
  const symbols = await Promise.all(NAMES.map((_, k) => six.face(k, model)));
  const many = Array.from({ length: BLOCK_FACES + 3 }, (_, k) => ({ ...symbols[k % 6], name: `${k}` }));
  writeFileSync(at('many.cameos'), packArchive(many, model));
  const whole = await searchJson(probe, 'many.cameos', '--top', '99');
  assert.is(whole.embeddings.made, BLOCK_FACES + 3);
  const bytes = readFileSync(at('many.cameos.embeddings'));
  rmSync(at('many.cameos.embeddings'));
  writeFileSync(at('many.cameos.embeddings.part'), bytes.subarray(0, bytes.length - 9));
  const resumed = await searchJson(probe, 'many.cameos', '--top', '99');
  assert.equal([resumed.embeddings.made, resumed.matches], [3, whole.matches]);
  assert.equal(readFileSync(at('many.cameos.embeddings')), bytes);
  // Equal faces have the same similarity, and are sorted by their numbers.
  const first = whole.matches.slice(0, 11).map(({ face }: { face: number }) => face);
  assert.equal(
    first,
    Array.from({ length: 11 }, (_, k) => 2 + 6 * k),
  );
});

test('if embeddings cannot be kept, a warning says so, and the results are the same', async () => {
  const { matches } = await searchJson(probe, 'people.cameos');
  writeFileSync(at('copy.cameos'), archive);
  writeFileSync(at('copy.cameos.embeddings'), 'notes of somebody');
  const copy = await searchJson(probe, 'copy.cameos');
  assert.match(copy.notes, /^the embeddings are not kept for the next search: .*is left unchanged$/m);
  assert.equal([copy.matches, copy.embeddings], [matches, { path: null, made: 6 }]);
  assert.is(readFileSync(at('copy.cameos.embeddings'), 'utf8'), 'notes of somebody');
  assert.not(existsSync(at('copy.cameos.embeddings.lock')));
});

test('a damaged face is named by each search, and the others are searched', async () => {
  const damaged = Uint8Array.from(archive);
  const { bytes } = await (await FaceArchive.open(bytesSource(archive))).entry(5);
  damaged[archive.length - Math.floor(bytes / 2)] ^= 0x55;
  writeFileSync(at('damaged.cameos'), damaged);
  for (const embedded of [5, 0]) {
    const run = await search([probe, 'damaged.cameos', '--json', '--top', '9']);
    assert.is(run.code, 1);
    assert.match(run.complaints.join('\n'), /^cameo: damaged\.cameos, face 5: /);
    assert.is(run.complaints.length, 1);
    const { ok, faces, matches, embeddings: kept, errors } = JSON.parse(run.stdout);
    assert.equal([ok, faces, matches.length, kept.made], [false, 5, 5, embedded]);
    assert.is(errors[0].input, 'damaged.cameos, face 5');
    assert.is(matches[0].name, 'of/cid');
  }
});

test('a face with a damaged name is listed by its number', async () => {
  const damaged = Uint8Array.from(archive);
  damaged[Buffer.from(archive).indexOf('of/cid')] ^= 1;
  writeFileSync(at('name.cameos'), damaged);
  const run = await search([probe, 'name.cameos', '--json']);
  assert.is(run.code, 1);
  assert.match(run.complaints.join('\n'), /^cameo: name\.cameos, face 2: .*checksum over its name does not match/);
  const { faces, matches } = JSON.parse(run.stdout);
  assert.equal([faces, matches.length, matches[0].name, matches[0].face], [6, 5, 'face 2', 2]);
});

test('an archive can be read from standard input, and none of its embeddings are kept', async () => {
  const script = `cameo search ${probe} - --model ${recognizer} --json < people.cameos`;
  const run = await cameoInShell(script, env, folder);
  assert.is(run.code, 0, run.stderr);
  const { archive: name, embeddings: kept, matches } = JSON.parse(run.stdout);
  assert.equal([name, kept, matches[0].name], ['standard input', { path: null, made: 6 }, 'of/cid']);
  assert.not(existsSync(at('-.embeddings')));
});

test('a name of an archive cannot send control characters to the terminal', async () => {
  const { model } = readKlt(readFileSync(CAMEO_MODEL)).tables!;
  const known = await FaceArchive.open(bytesSource(archive));
  const names = ['\u001b]0;title\u0007', 'two\nlines', 'c1 \u009b2J', '\u202eback', 'ann 😀'];
  const faces = await Promise.all(names.map(async (name, k) => ({ ...(await known.face(k, model)), name })));
  writeFileSync(at('odd.cameos'), packArchive(faces, model));
  const shown = await search([probe, 'odd.cameos', '--top', '5']);
  assert.is(shown.code, 0, shown.stderr);
  assert.not.match(shown.stdout + shown.stderr, /[^\P{C}\n]/u);
  for (const name of ['"\\u001b]0;title\\u0007"', '"two\\nlines"', '"c1 \\u{9b}2J"', '"\\u{202e}back"', 'ann 😀']) {
    assert.ok(shown.stdout.includes(` ${name}`), name);
  }
  const json = JSON.parse((await search([probe, 'odd.cameos', '--top', '5', '--json'])).stdout);
  assert.equal(json.matches.map((match: { name: string }) => match.name).sort(), [...names].sort());
  for (const args of [
    ['info', 'odd.cameos'],
    ['decode', 'odd.cameos', '-o', 'odd'],
    ['encode', '\u001b[2J.png', '-o', 'odd'],
  ]) {
    const run = await cameoHere(args, env, folder);
    assert.not.match(run.stdout + run.stderr, /[^\P{C}\n]/u, args[0]);
  }
});

test('what cannot be searched is refused before a device is opened', async () => {
  writeFileSync(at('text.cameos'), 'no archive');
  writeFileSync(at('empty.cameos'), '');
  rmSync(at('nowhere'), { force: true });
  const none = { CAMEO_ADAPTER: 'no such adapter' };
  for (const [args, complaint, more] of [
    [[probe, 'none.cameos'], /none\.cameos: cannot be read: no such file/],
    [[probe, 'text.cameos'], /^cameo: text\.cameos: not an archive of faces/],
    [[probe, 'empty.cameos'], /^cameo: empty\.cameos: not an archive of faces/],
    [[probe, 'faces'], /faces: it is a folder/],
    [
      ['faces', 'people.cameos'],
      /^cameo: faces: it is a folder; expected a photograph or an aligned face, a compact file, /,
    ],
    [['nobody.png', 'people.cameos'], /nobody\.png: cannot be read: no such file/],
    [[probe, 'people.cameos', '--top', '0'], /--top <n>.*Expected an integer from 1 to 10000/],
    [
      [probe, 'people.cameos', '--far', '0.5'],
      /--far 0\.5: thresholds of tiny are known for 0\.1, 0\.001|0\.001, 0\.1/,
    ],
    [
      [probe, 'people.cameos'],
      /^cameo: people\.cameos: written by model .*; the model loaded is/,
      { CAMEO_MODEL: otherModel },
    ],
  ] as const) {
    const run = await search(args, { ...none, ...more });
    assert.is(run.code, 1, `${args.join(' ')}: ${run.stderr}`);
    assert.is(run.complaints.length, 1, run.stderr);
    assert.match(run.complaints[0], complaint);
  }
});

test.run();
