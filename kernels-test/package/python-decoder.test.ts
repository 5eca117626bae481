// adapters: once
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { shippedWeights } from '../../src/cli/weights.js';
import { encodePng, readImage } from '../../src/data/pictures/image.js';
import { ROOT, temporaryFolder } from '../cli/cli-fixture.js';
import { cameoHere } from '../cli/cli-here.js';
import { readShippedVectors } from '../codec/shipped-vectors.js';

// The decoder of examples/decode_face.py: symbols by all frozen streams, and pictures beside `cameo decode`.
const PYTHON = process.env.CAMEO_PYTHON ?? 'python3';
const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);

/** Runs a program in Python that may import the example. @returns what it printed, or undefined if it failed */
function python(program: string, ...args: string[]): { printed: string; failed: string } {
  const env = { ...process.env, PYTHONPATH: join(ROOT, 'examples'), PYTHONDONTWRITEBYTECODE: '1' };
  const { status, stdout, stderr, error } = spawnSync(PYTHON, ['-c', program, ...args], { env, encoding: 'utf8' });
  return { printed: stdout ?? '', failed: status === 0 ? '' : stderr || `${error}` };
}

const has = (packages: string): boolean => python(`import ${packages}`).failed === '';

function testWith(packages: string, title: string, body: () => Promise<void>): void {
  if (has(packages)) test(title, body);
  else {
    console.log(`SKIP ${title}: ${PYTHON} has no ${packages} (CAMEO_PYTHON names another Python)`);
    test.skip(title);
  }
}

const SYMBOLS = `
import json, sys
from decode_face import Model, Refused
weights, vectors = sys.argv[1:]
model = Model(open(weights, 'rb').read())
faces = json.load(open(vectors))['faces'][:6]
damaged = 0
for face in faces:
    for kind in 'file', 'bare':
        data = bytes.fromhex(face[kind])
        q, grey, symbols, points, _ = model.read(data)
        wanted = face['symbols']
        if isinstance(wanted, str):
            wanted = [int.from_bytes(bytes.fromhex(wanted[i : i + 4]), 'little', signed=True) for i in range(0, len(wanted), 4)]
        assert symbols.tolist() == wanted and (q, grey) == (face['qIndex'], face['grey'])
    try:
        model.read(data[:-1] + bytes([data[-1] ^ 64]))
    except Refused:
        damaged += 1
print(len(faces), damaged)
`;

testWith('numpy', 'the decoder in Python reads all frozen streams, and refuses damaged ones', async () => {
  const vectors = (name: string): string => join(ROOT, 'kernels-test', 'codec', name);
  for (const [weights, faces] of [
    [shippedWeights('codec'), 'shipped-vectors.json'],
    [shippedWeights('codec'), 'shipped-vectors-ff7b0a36.json'],
    [vectors('bitstream-vectors.safetensors'), 'bitstream-vectors.json'],
  ]) {
    const { printed, failed } = python(SYMBOLS, weights, vectors(faces));
    assert.is(failed, '', faces);
    const [count, refused] = printed.split(' ').map(Number);
    assert.ok(count > 0 && refused === count, `${faces}: ${printed}`);
  }
});

const DETAILS = `
import json, sys
from decode_face import Model, Refused
weights, base, vectors = sys.argv[1:]
model = Model(open(weights, 'rb').read())
plain = json.load(open(base))['faces']
faces = json.load(open(vectors))['faces']
damaged = 0
for face in faces:
    for kind in 'file', 'bare':
        data = bytes.fromhex(face[kind])
        q, grey, symbols, points, (step, detail) = model.read(data)
        assert symbols.tolist() == plain[face['face']]['symbols']
        assert (q, grey, step) == (plain[face['face']]['qIndex'], face['grey'], face['step'])
        flat = detail.reshape(-1).tolist()
        assert [[k, symbol] for k, symbol in enumerate(flat) if symbol] == face['symbols']
    try:
        model.read(data[:-1] + bytes([data[-1] ^ 64]))
    except Refused:
        damaged += 1
print(len(faces), damaged)
`;

testWith('numpy', 'the decoder in Python reads the frozen detail layers', async () => {
  const at = (name: string): string => join(ROOT, 'kernels-test', 'codec', name);
  const names = ['bitstream-vectors.safetensors', 'bitstream-vectors.json', 'detail-vectors.json'];
  const { printed, failed } = python(DETAILS, ...names.map(at));
  assert.is(failed, '');
  const [count, refused] = printed.split(' ').map(Number);
  assert.ok(count > 0 && refused === count, printed);
});

testWith('numpy, onnxruntime', 'its pictures are those of `cameo decode` to one level', async () => {
  assert.is((await cameoHere(['export', 'synthesis', '-o', at('synthesis.onnx')])).code, 0);
  const { faces } = await readShippedVectors();
  const chosen = [faces[0], faces.find(({ grey }) => grey) ?? faces[1], faces[faces.length - 1]].map(
    ({ file }) => file,
  );
  // One with a detail layer, of a restored picture with noise.
  writeFileSync(at('first.cameo'), chosen[0]);
  assert.is((await cameoHere(['decode', at('first.cameo'), '-o', folder])).code, 0);
  const restored = await readImage(at('first.decoded.png'));
  const data = restored.data.map((level, k) => Math.min(255, Math.max(0, level + ((k * 7919) % 23) - 11)));
  writeFileSync(at('noisy.png'), await encodePng({ ...restored, data }));
  assert.is((await cameoHere(['encode', at('noisy.png'), '--bytes', '1500', '-o', folder])).code, 0);
  chosen.push(new Uint8Array(readFileSync(at('noisy.cameo'))));
  assert.is(chosen[3][4], 2, 'the version of a face with a detail layer');
  for (const [k, file] of chosen.entries()) {
    const face = at(`${k}.cameo`);
    writeFileSync(face, file);
    const run = await cameoHere(['decode', face, '-o', folder]);
    assert.is(run.code, 0, run.stderr);
    const program = readFileSync(join(ROOT, 'examples', 'decode_face.py'), 'utf8');
    const paths = [shippedWeights('codec'), at('synthesis.onnx'), face, at('python.png')];
    assert.is(python(program, ...paths).failed, '');
    const [ours, theirs] = await Promise.all([readImage(at(`${k}.decoded.png`)), readImage(at('python.png'))]);
    assert.equal([theirs.width, theirs.height], [ours.width, ours.height]);
    const difference = ours.data.reduce((most, level, k) => Math.max(most, Math.abs(level - theirs.data[k])), 0);
    assert.ok(difference <= 1, `differs by ${difference} levels`);
    assert.ok(new Set(ours.data).size > 20, 'a picture');
  }
});

testWith(
  'numpy, onnxruntime',
  'the program of docs/onnx.md finds two faces as similar as `cameo verify` does',
  async () => {
    assert.is((await cameoHere(['export', 'recognizer', '-o', at('recognizer.onnx')])).code, 0);
    copyFileSync(shippedWeights('codec'), at('face.safetensors'));
    const { faces } = await readShippedVectors();
    for (const [name, { file }] of [['a', faces[2]] as const, ['b', faces[3]] as const])
      writeFileSync(at(`${name}.cameo`), file);
    const [, program] = /```python\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'docs', 'onnx.md'), 'utf8'))!;
    const { printed, failed } = python(`import os\nos.chdir(${JSON.stringify(folder)})\n${program}`);
    assert.is(failed, '');
    const verified = await cameoHere(['verify', at('a.cameo'), at('b.cameo'), '--json']);
    const { similarity } = JSON.parse(verified.stdout);
    const found = Number(/similarity (\S+)/.exec(printed)?.[1]);
    assert.ok(Math.abs(found - similarity) < 1e-3, `${found} beside ${similarity}`);
  },
);

test.run();
