// adapters: once
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readRecognizerOf } from '../../src/data/checkpoints/recognizer-source.js';
import { readImage, writePng } from '../../src/data/pictures/image.js';
import { cosineSimilarity } from '../../src/evaluation/metrics/verification.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { Embedder } from '../../src/models/embedder.js';
import { faceEmbedding, faceSimilarity } from '../../src/models/face-similarity.js';
import { loadRecognizer, readRecognizer, writeRecognizer } from '../../src/models/recognizer-file.js';
import { writeSmallFaceModel } from '../helpers/budget-fixture.js';
import { writeIdentities } from '../helpers/identity-fixture.js';
import { writePeople, writeTinyRecognizer } from '../helpers/people-fixture.js';
import { redSquares, writeRedSquaresDetector } from '../helpers/red-squares.js';
import { cameoInShell, ROOT, temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const test = suite('verify and identities');
const folder = temporaryFolder();
const model = writeTinyRecognizer(join(folder, 'tiny.safetensors'), 4);
const thresholds = join(folder, 'thresholds.json');
const env = { CAMEO_CACHE: join(folder, 'cache'), CAMEO_THRESHOLDS: thresholds };
const images = join(folder, 'images');
const people = writePeople(images);
const data = writeIdentities(join(folder, 'faces'));
const [a, b] = ['Ann/Ann_0001.jpg', 'Bob/Bob_0001.jpg'].map((name) => join(images, name));
const out = join(folder, 'identities');

const verify = (one: string, other: string, ...args: string[]) =>
  cameoHere(['verify', one, other, '--model', model, ...args], env);

const identities = async (args: readonly string[], environment: NodeJS.ProcessEnv = env) =>
  cameoHere(['evaluate', 'identities', '--data', await data, '--model', model, '-o', out, ...args], environment);

/** An adapter that does not exist: a run that gets as far as opening a device ends with exit code 2. */
const NO_GPU = { ...env, CAMEO_ADAPTER: 'no such adapter' };

/** Writes the thresholds of the tiny recogniser. */
async function know(entry: object): Promise<void> {
  const { modelId } = await readRecognizerOf(model, { data: folder, own: model });
  writeFileSync(
    thresholds,
    JSON.stringify({
      [modelId]: { name: 'tiny', embedding: 'flip', thresholds: { '0.001': 0.9 }, command: 'none', ...entry },
    }),
  );
}

test('verify prints the similarity of two faces, and no decision without a threshold', async () => {
  await people;
  const same = await verify(a, a);
  assert.is(same.code, 2, same.stderr);
  assert.equal(same.complaints, []);
  assert.match(same.stdout, /similarity 1\.0000/);
  assert.match(same.stdout, /^could not tell: no threshold is known/m);
  assert.match(same.stdout, /^how good this recogniser is has not been measured$/m);
  const other = await verify(a, b);
  assert.not.match(other.stdout, /similarity 1\.0000/);
  const nobody = join(images, 'nobody.jpg');
  const missing = await verify(a, nobody);
  assert.is(missing.code, 2);
  assert.is(missing.complaints.join(), `cameo: ${nobody}: cannot be read: no such file or folder (ENOENT)`);
});

test('an impossible rate is refused before a device is opened', async () => {
  for (const far of ['abc', '', '0', '1', '-0.1', 'NaN']) {
    const run = await cameoHere(['verify', a, b, '--model', model, `--far=${far}`], NO_GPU);
    assert.is(run.code, 2, run.stderr);
    assert.match(run.complaints.join(), /--far <rate>.*Expected a rate above 0 and below 1/);
  }
});

test('evaluate identities compares all faces of a folder, and reports of --single do not replace the others', async () => {
  const run = await identities(['--split', 'train']);
  assert.is(run.code, 0, run.stderr);
  const path = join(out, 'identities-tiny-train.json');
  const text = readFileSync(path, 'utf8');
  const [all] = JSON.parse(text).groups;
  assert.equal([all.name, all.genuine, all.impostor], ['all', 5 * 6, (20 * 19) / 2 - 30]);
  const single = await identities(['--split', 'train', '--single']);
  assert.is(single.code, 0, single.stderr);
  assert.is(readFileSync(path, 'utf8'), text);
  const report = JSON.parse(readFileSync(join(out, 'identities-tiny-train-single.json'), 'utf8'));
  assert.is(report.model.embedding, 'single');
  assert.ok(existsSync(join(out, 'identities-tiny-train-single.md')));
  const refused = await identities(['--split', 'test', '--save-thresholds']);
  assert.match(refused.complaints.join(), /not be chosen on split test/);
});

test('thresholds are added to those of other models, and verify decides "same" and "not the same" by them', async () => {
  await people;
  const others = { other: { name: 'other', embedding: 'single', thresholds: { '0.1': 0.5 }, command: 'none' } };
  const lfw = { pairs: 6, accuracy: 0.5, standardError: 0.1, tar: 0.25, far: 0, command: 'none' };
  await know({ lfw });
  const before = JSON.parse(readFileSync(thresholds, 'utf8'));
  writeFileSync(thresholds, JSON.stringify({ ...before, ...others }));
  const saved = await identities(['--split', 'train', '--save-thresholds']);
  assert.is(saved.code, 0, saved.stderr);
  assert.ok(saved.stdout.includes(thresholds), saved.stdout);
  const all = JSON.parse(readFileSync(thresholds, 'utf8'));
  assert.equal(all.other, others.other);
  const report = JSON.parse(readFileSync(join(out, 'identities-tiny-train.json'), 'utf8'));
  const entry = all[report.model.id];
  assert.equal(Object.keys(entry.thresholds), ['0.1', '0.01', '0.001', '0.0001']);
  assert.is(entry.thresholds['0.001'], report.groups[0].points[2].threshold);
  assert.equal([entry.name, entry.embedding, entry.lfw], ['tiny', 'flip', lfw]);
  const { genuine, impostor, points } = report.groups[0];
  assert.equal([entry.pairs.genuine, entry.pairs.impostor], [genuine, impostor]);
  assert.is(entry.pairs.tar['0.1'], points[0].tar);

  const similarity = Number((await verify(a, b)).stdout.match(/similarity (\S+)/)![1]);
  const aroundScore = { '0.1': similarity - 0.001, '0.001': similarity + 0.001 };
  writeFileSync(thresholds, JSON.stringify({ ...all, [report.model.id]: { ...entry, thresholds: aroundScore } }));
  const strict = await verify(a, b);
  assert.is(strict.code, 1, strict.stderr);
  assert.equal(strict.complaints, []);
  assert.match(strict.stdout, /^not the same person: threshold \S+ at a false accept rate of 0\.001$/m);
  for (const far of ['0.1', '1e-1']) {
    const lax = await verify(a, b, '--far', far);
    assert.is(lax.code, 0, lax.stderr);
    assert.match(lax.stdout, /^the same person: threshold \S+ at a false accept rate of 0\.1$/m);
  }
  const unknown = await verify(a, b, '--far', '0.5');
  assert.is(unknown.code, 2);
  assert.match(unknown.complaints.join(), /--far 0\.5: thresholds of tiny are known for 0\.1, 0\.001/);
});

test('a file of thresholds that cannot be read is an error, and does not count as no thresholds', async () => {
  const unreadable = join(folder, 'a-folder');
  mkdirSync(unreadable);
  const text = join(folder, 'damaged.json');
  for (const [path, content, message] of [
    [unreadable, null, /a-folder: it is a folder/],
    [text, '{', /damaged\.json/],
    [text, '[]', /damaged\.json: is a list of 0; expected an object of models/],
    [text, '{"x": {"embedding": "flip"}}', /model x is .*; expected embedding .* and thresholds by rate/],
    [
      text,
      '{"x": {"embedding": "flip", "thresholds": {}, "lfw": {"pairs": 1}}}',
      /lfw of model x is .*; expected pairs, accuracy/,
    ],
    [
      text,
      '{"x": {"embedding": "flip", "thresholds": {}, "pairs": {"genuine": 1}}}',
      /pairs of model x is .*; expected genuine, impostor and tar by rate/,
    ],
  ] as const) {
    if (content !== null) writeFileSync(path, content);
    const environment = { ...NO_GPU, CAMEO_THRESHOLDS: path };
    const decided = await cameoHere(['verify', a, b, '--model', model], environment);
    const saved = await identities(['--split', 'train', '--save-thresholds'], environment);
    assert.equal([decided.code, saved.code], [2, 1], decided.stderr + saved.stderr);
    for (const run of [decided, saved]) assert.match(run.complaints.join(), message);
    if (content !== null) assert.is(readFileSync(path, 'utf8'), content);
  }
});

test('the exit code is the decision, with --json too, and the figures are those of the file', async () => {
  await people;
  const lfw = { pairs: 600, accuracy: 0.8769, standardError: 0.0123, tar: 0.25, far: 0.001, command: 'none' };
  const { similarity } = JSON.parse((await verify(a, b, '--json')).stdout);
  await know({ lfw, thresholds: { '0.001': similarity - 1e-6, '0.1': similarity + 1e-6 } });
  const answers: [far: string, code: number, same: boolean][] = [
    ['0.001', 0, true],
    ['0.1', 1, false],
  ];
  for (const [far, code, same] of answers) {
    const run = await verify(a, b, '--far', far, '--json');
    const json = JSON.parse(run.stdout);
    assert.equal([run.code, json.same, json.ok, json.errors], [code, same, true, []]);
    assert.equal([json.similarity, json.recognizer.lfw], [similarity, lfw]);
  }
  const told = (await verify(a, b)).stdout;
  assert.match(
    told,
    /^how good it is: 87\.7 % ± 1\.2 of 600 pairs of LFW decided correctly; at a false .* 0\.001 .* 25\.0 %/m,
  );
  await know({ thresholds: {} });
  const unknown = await verify(a, b, '--json');
  const json = JSON.parse(unknown.stdout);
  assert.equal([unknown.code, json.same, json.threshold, json.ok, json.recognizer.lfw], [2, null, null, false, null]);
  const failed = await verify(a, join(images, 'nobody.jpg'), '--json');
  assert.equal([failed.code, JSON.parse(failed.stdout).ok, JSON.parse(failed.stdout).errors.length], [2, false, 1]);
  for (const words of [
    ['verify'],
    ['verify', a],
    ['verify', a, b, '--colour'],
    ['-q', 'verify', a, b, '--far', '2'],
    ['--quite', 'verify', a, b],
  ]) {
    const refused = await cameoHere(words, NO_GPU);
    assert.equal([refused.code, refused.complaints.length], [2, 1], words.join(' '));
  }
  assert.is((await cameoHere(['verify', '--help'], NO_GPU)).code, 0);
});

test('a verdict that cannot be printed is no verdict', async () => {
  await people;
  await know({});
  const command = `cameo verify "${a}" "${a}" --model "${model}" --far 0.001`;
  const printed = await cameoInShell(command, env, folder);
  assert.is(printed.code, 0, printed.stderr);
  for (const json of ['', ' --json']) {
    const run = await cameoInShell(`${command}${json} >/dev/full`, env, folder);
    assert.is(run.code, 2, run.stderr);
    assert.equal(run.complaints, ['cameo: standard output: cannot be written: the disk is full (ENOSPC)']);
  }
});

test('the document of a wrong command line names its command', async () => {
  for (const [line, command] of [
    ['-q encode x --json --bogus', 'encode'],
    ['--json --bogus verify a b', 'verify'],
    ['evaluate -q detection --json --bogus', 'evaluate detection'],
    ['--json --bogus', ''],
  ]) {
    const refused = await cameoHere(line.split(' '), NO_GPU);
    assert.is(JSON.parse(refused.stdout).command, command, line);
  }
});

test('faceSimilarity gives the number of the command, to the last bit of a float32', async () => {
  await people;
  const gpu = await openGpu();
  const { description, tensors } = await readRecognizerOf(model, { data: folder, own: model });
  const network = loadRecognizer(gpu, readRecognizer(writeRecognizer(description!, tensors)));
  const embedder = new Embedder(gpu, network, 2);
  const [one, other] = await Promise.all([a, b].map(async (path) => (await readImage(path)).data));
  const number = await faceSimilarity(embedder, one, other);
  const embeddings = [await faceEmbedding(embedder, one), await faceEmbedding(embedder, other)];
  assert.is(cosineSimilarity(embeddings[0], embeddings[1]), number);
  const short = await faceSimilarity(embedder, one, other.subarray(3)).catch((error: Error) => error.message);
  assert.match(`${short}`, /32253 bytes; a face of 96×112 has 32256/);
  embedder.dispose();
  network.dispose();
  gpu.destroy();
  const json = JSON.parse((await verify(a, b, '--json')).stdout);
  assert.is(Math.fround(json.similarity), Math.fround(number));
  assert.ok(number < 0.99999, 'two pictures');
});

test('compact files, QR codes and faces of archives are compared like the pictures that they restore', async () => {
  const at = (name: string): string => join(folder, name);
  const gpu = await openGpu();
  await writeSmallFaceModel(gpu, at('face.safetensors'), 1);
  gpu.destroy();
  const compact = { ...env, CAMEO_MODEL: at('face.safetensors'), CAMEO_ADAPTER: gpu.description.kind };
  const run = (...args: string[]) => cameoHere(args, compact, folder);
  const done = async (...args: string[]) => assert.is((await run(...args)).code, 0, args.join(' '));
  await done('encode', a, b, '-o', 'small', '--archive', 'all.cameos', '--bytes', '300');
  await done('encode', b, '--archive', 'one.cameos', '--bytes', '300');
  await done('encode', a, '-o', 'small', '--container', 'bare', '--bytes', '300');
  await done('decode', 'small/Ann_0001.cameo.bare', '-o', 'restored-bare');
  await done('qr', 'small/Ann_0001.cameo', '-o', 'code.png');
  await done('decode', 'small/Ann_0001.cameo', 'small/Bob_0001.cameo', '-o', 'restored');
  writeTinyModel(at('png.safetensors'), 1);
  await done('encode', a, '-o', 'small', '--model', 'png.safetensors');
  const similarity = async (one: string, other: string, more = {}): Promise<number> => {
    const told = await cameoHere(['verify', one, other, '--model', model, '--json'], { ...compact, ...more }, folder);
    assert.equal(told.complaints, [], `${one} ${other}`);
    const json = JSON.parse(told.stdout);
    assert.equal([json.a, json.b], [one, other]);
    return json.similarity;
  };
  const [ann, bob] = ['Ann', 'Bob'].map((name) => `restored/${name}_0001.decoded.png`);
  const wanted = await similarity(ann, bob);
  assert.ok(wanted < 0.99999, `${wanted}`);
  for (const one of ['small/Ann_0001.cameo', 'code.png', 'all.cameos:Ann_0001']) {
    assert.is(await similarity(one, bob), wanted, one);
    assert.ok((await similarity(one, ann)) > 0.9999, one);
  }
  const bare = await similarity('small/Ann_0001.cameo.bare', 'restored-bare/Ann_0001.decoded.png');
  assert.ok(bare > 0.9999, `${bare}`);
  const only = await run('verify', 'one.cameos', ann, '--model', model, '--json');
  const { a: name, similarity: ofOnly } = JSON.parse(only.stdout);
  assert.equal([name, ofOnly], ['one.cameos:Bob_0001', await similarity('one.cameos:Bob_0001', ann)]);
  await similarity('small/Ann_0001.cameo.png', ann, { CAMEO_MODEL: 'png.safetensors' });
  const refused: [string, RegExp][] = [
    ['all.cameos', /all\.cameos: an archive of 2 faces; name one as all\.cameos:NAME/],
    ['all.cameos:nobody', /none of the 2 faces is called "nobody"/],
    ['none.cameos:Ann_0001', /none\.cameos:Ann_0001: cannot be read: no such file/],
    ['png.safetensors', /png\.safetensors: not a JPEG, PNG/],
  ];
  for (const [one, message] of refused) {
    const { code, complaints } = await cameoHere(
      ['verify', one, bob, '--model', model],
      { ...compact, ...NO_GPU, CAMEO_MODEL: compact.CAMEO_MODEL },
      folder,
    );
    assert.is(code, 2, one);
    assert.match(complaints.join(), message);
  }
  const piped = await cameoInShell(
    `cameo verify - ${bob} --model ${model} --json < small/Ann_0001.cameo`,
    compact,
    folder,
  );
  assert.is(JSON.parse(piped.stdout).similarity, wanted, piped.stderr);
});

test('verify takes the largest face of a photograph, or the chosen one', async () => {
  const at = (name: string): string => join(folder, name);
  const photo = redSquares(260, 120, 60, [
    [20, 30],
    [180, 10],
  ]);
  await writePng(at('two.png'), photo);
  await writePng(at('none.png'), redSquares(150, 120, 60, []));
  const detector = { ...env, CAMEO_DETECTOR: writeRedSquaresDetector(at('detector.safetensors')) };
  const compare = (...args: string[]) =>
    cameoHere(['verify', 'two.png', 'two.png', '--min-face', '60', '--model', model, ...args], detector, folder);
  const largest = await compare('--json');
  assert.match(
    largest.stderr,
    /^two\.png: it has 2 faces; the largest, face \d, is compared \(choose another with --face N\)$/m,
  );
  assert.match(JSON.parse(largest.stdout).a, /^two\.png, face \d$/);
  const second = JSON.parse((await compare('--json', '--face', '2')).stdout);
  assert.is(second.a, 'two.png, face 2');
  const every = await compare('--faces', 'all');
  assert.equal([every.code, every.complaints.length], [2, 1]);
  assert.match(every.complaints[0], /two\.png: it has 2 faces; choose one with --face N or --faces largest/);
  const nobody = await cameoHere(['verify', 'none.png', a, '--model', model], detector, folder);
  assert.equal([nobody.code, nobody.complaints], [2, ['cameo: none.png: no face found in this picture of 150×120']]);
});

test('the figures of the shipped recogniser are those in its report and its model card', async () => {
  const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');
  const { figures, model: evaluated, command } = JSON.parse(read('results/lfw-cameo.json'));
  const path = join(ROOT, 'models/recognizer.safetensors');
  const { modelId } = await readRecognizerOf('cameo', { data: folder, own: path });
  const { lfw } = JSON.parse(read('models/verification-thresholds.json'))[modelId];
  const { pairs, accuracy, standardError, tar } = figures;
  assert.is(evaluated.id, modelId);
  assert.equal(lfw, { pairs, accuracy, standardError, tar: tar.tar, far: tar.far, command });
  const percent = (share: number, digits: number): string => (100 * share).toFixed(digits);
  const texts = [
    `accuracy ${percent(accuracy, 2)} % ± ${percent(standardError, 2)}`,
    `TAR at FAR 1e-3 ${percent(tar.tar, 1)} %`,
  ];
  for (const text of texts) assert.ok(read('models/recognizer.md').includes(text), text);
});

test.run();
