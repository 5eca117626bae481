// adapters: once
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CheckpointError } from '../../src/common/errors.js';
import { readRecognizer } from '../../src/models/recognizer-file.js';
import { Sphere20 } from '../../src/models/sphere20.js';
import { fromStateDict, recognizeStateDict } from '../../src/models/state-dict.js';
import type { HostTensor, HostTensors } from '../../src/nn/host-tensor.js';
import { pyTorchShape } from '../../src/nn/layout.js';
import { readSafetensors, writeSafetensors } from '../../src/nn/safetensors.js';
import { floats, legacyCheckpoint, type Picklable, tensor, zipCheckpoint } from '../data/pickle-writer.js';
import { testWithData } from '../helpers/data-available.js';
import { cameoInShell, temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const zeros = (...shape: number[]): HostTensor => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });

/** A checkpoint of tensors, in the present or in the older format of torch.save. */
function checkpoint(tensors: HostTensors, legacy: boolean): Uint8Array {
  const storages = [...tensors.values()].map(({ data }) => floats(data));
  const entries = [...tensors].map(([name, { shape }], k): [Picklable, Picklable] => [
    `module.${name}`,
    tensor(storages, k, shape, { legacy }),
  ]);
  return (legacy ? legacyCheckpoint : zipCheckpoint)({ dict: [['net', { ordered: entries }]] }, storages);
}

testWithData('weights', 'MobileFaceNet comes through a PyTorch checkpoint unchanged', async (weights) => {
  const bytes = readFileSync(join(weights, 'mobilefacenet-casia-112x96.safetensors'));
  const direct = readRecognizer(bytes);
  const { tensors } = readSafetensors(bytes);
  for (const legacy of [false, true]) {
    writeFileSync(at('face.pth'), checkpoint(new Map([...tensors, ['bn.num_batches_tracked', zeros(1)]]), legacy));
    const run = await cameoHere(['import', at('face.pth'), '-o', at('face.safetensors')]);
    assert.is(run.code, 0, run.stderr);
    assert.match(run.stdout, /mobilefacenet, faces of 96×112, embeddings of 128 values\n {2}\d+ parameters/);
    assert.match(run.stdout, /^.* → .* \(\d+ bytes\)$/m);
    const imported = readRecognizer(readFileSync(at('face.safetensors')));
    assert.equal(imported.description, direct.description);
    assert.equal([...imported.tensors.keys()].sort(), [...direct.tensors.keys()].sort());
    for (const [name, { shape, data }] of direct.tensors) {
      const other = imported.tensors.get(name)!;
      assert.equal(other.shape, shape, name);
      assert.ok(Buffer.from(other.data.buffer).equals(Buffer.from(data.buffer)), name);
    }
  }
});

test('a checkpoint can be read from a pipe as from a file; without a name for the result, the error says so', async () => {
  const entries = [...new Sphere20(2).entries()].map(([name, { shape, layout }]): [string, HostTensor] => [
    name,
    zeros(...pyTorchShape(shape, layout)),
  ]);
  writeFileSync(at('sphere.pth'), checkpoint(new Map(entries), false));
  const file = await cameoHere(['import', at('sphere.pth'), '-o', at('from-file.safetensors')]);
  assert.is(file.code, 0, file.stderr);
  const script = 'cameo import - -o - < sphere.pth > piped.safetensors; cameo import - < sphere.pth';
  const { code, complaints, stderr } = await cameoInShell(script, {}, folder);
  assert.is(code, 1, stderr);
  assert.equal(complaints, ['cameo: standard input has no name; name the weights file with -o']);
  assert.equal(readFileSync(at('piped.safetensors')), readFileSync(at('from-file.safetensors')));
});

test('tensors that do not fit are named with their number of values, and nothing is written', async () => {
  const network = new Map([
    ['linear7.conv.weight', zeros(512, 1, 7, 6)],
    ['blocks.0.conv.0.weight', zeros(3, 64, 1, 1)],
    ['extra.weight', zeros(2)],
  ]);
  writeFileSync(at('few.safetensors'), writeSafetensors(network));
  const before = readdirSync(folder);
  const few = await cameoHere(['import', at('few.safetensors'), '-o', at('out.safetensors')]);
  assert.is(few.code, 1);
  assert.is(few.complaints.length, 1, few.stderr);
  assert.match(few.complaints[0], /do not fit mobilefacenet: \d+ missing: conv1\.conv\.weight, .*, and \d+ more; /);
  assert.match(few.complaints[0], /1 unexpected: extra\.weight; 1 of another shape: blocks\.0\.conv\.0\.weight \[3/);
  const other = await cameoHere(['import', at('few.safetensors'), '--architecture', 'cameo-face', '-o', at('o')]);
  assert.is(other.code, 1);
  assert.match(other.complaints[0], /do not fit cameo-face: .*; 3 unexpected: /);
  assert.equal(readdirSync(folder), before);

  writeFileSync(at('foreign.pt'), checkpoint(new Map([['a.b', zeros(2)]]), false));
  const foreign = await cameoHere(['import', at('foreign.pt'), '-o', at('out.safetensors')]);
  assert.is(foreign.code, 1);
  assert.match(foreign.complaints[0], /its 1 tensors \(a\.b, …\) are not those of a known network; --architecture/);
  assert.not.ok(existsSync(at('out.safetensors')));
});

test('tensors of another rank or size are an error that names what was expected', () => {
  const refused = (tensors: HostTensors, pattern: RegExp) =>
    assert.throws(
      () => recognizeStateDict(tensors),
      (error: Error) => error instanceof CheckpointError && pattern.test(error.message),
    );
  const blocks = ['blocks.0.conv.0.weight', zeros(1)] as const;
  refused(
    new Map([['linear7.conv.weight', zeros(512)], blocks]),
    /linear7\.conv\.weight: the file has \[512\]; expected rank 4/,
  );
  refused(new Map([['linear7.conv.weight', zeros(512, 1, 0, 6)], blocks]), /no empty axis/);
  refused(
    new Map([
      ['stages.0.weight', zeros(1)],
      ['fc.weight', zeros(4)],
    ]),
    /fc\.weight: the file has \[4\]; expected rank 2/,
  );
  refused(
    new Map([
      ['stages.0.weight', zeros(1)],
      ['fc.weight', zeros(1, 5)],
    ]),
    /5 inputs are not those of Sphere20/,
  );
});

test('Sphere20 with our names is recognised, and its last layer is reordered to rows, columns, channels', () => {
  const dimension = 2;
  const network = new Sphere20(dimension);
  const dict: HostTensors = new Map();
  for (const [name, { shape, layout }] of network.entries()) dict.set(name, zeros(...pyTorchShape(shape, layout)));
  const { data } = dict.get('fc.weight')!;
  // This is the input (channel 300, row 5, column 4) of output 1.
  data[512 * 42 + 300 * 42 + 5 * 6 + 4] = 1;
  const description = recognizeStateDict(dict)!;
  assert.equal(description, { architecture: 'sphere20', dimension, width: 96, height: 112 });
  const fc = fromStateDict(description, dict).get('fc.weight')!;
  assert.equal(fc.shape, [512 * 42, dimension]);
  assert.is(fc.data.indexOf(1), ((5 * 6 + 4) * 512 + 300) * dimension + 1);
});

test.run();
