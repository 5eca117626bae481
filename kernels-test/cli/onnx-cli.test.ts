// adapters: once
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writePng } from '../../src/data/pictures/image.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { MobileFaceNet } from '../../src/models/mobilefacenet.js';
import { readRecognizer, writeRecognizer } from '../../src/models/recognizer-file.js';
import { writeSingleShot } from '../../src/models/single-shot.js';
import { readSafetensors } from '../../src/nn/safetensors.js';
import { saveState } from '../../src/nn/state.js';
import { exportOnnx } from '../../src/onnx/export/export.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { onnxFile } from '../helpers/onnx-writer.js';
import { fixedDetectorWeights, SMALL_DETECTOR } from '../models/single-shot-fixture.js';
import { sharedGpu } from '../runner/shared-gpu.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const run = async (...args: string[]) => {
  const result = await cameoHere(args);
  assert.is(result.code, 0, result.stderr);
  return result;
};
const SIZE = { width: 96, height: 112, dimension: 4, channels: [2, 2, 2, 2], units: [0, 0, 1, 0] } as const;

test('a recogniser that was exported is imported bit by bit, and compares faces by its ONNX file', async () => {
  const network = new CameoFace({ ...SIZE }).initialize(await sharedGpu(), 1);
  const description = { architecture: 'cameo-face', ...SIZE } as const;
  writeFileSync(at('small.safetensors'), writeRecognizer(description, await saveState(network)));
  network.dispose();
  await run('export', at('small.safetensors'), '-o', at('small.onnx'));
  const { stdout } = await run('import', at('small.onnx'), '-o', at('back.safetensors'));
  assert.match(stdout, /cameo-face, faces of 96×112, embeddings of 4 values/);
  assert.equal(readFileSync(at('back.safetensors')), readFileSync(at('small.safetensors')));

  for (const k of [1, 2]) {
    const data = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => (i * i * k) % 251);
    await writePng(at(`${k}.png`), { width: 96, height: 112, data });
  }
  const similarity = async (model: string): Promise<number> => {
    const { stdout } = await cameoHere(['verify', at('1.png'), at('2.png'), '--model', model, '--json']);
    return JSON.parse(stdout).similarity;
  };
  const [direct, onnx] = [await similarity(at('small.safetensors')), await similarity(at('small.onnx'))];
  assert.ok(Math.abs(direct - onnx) < 1e-5, `${onnx}, not ${direct}`);
  const other = await cameoHere(['import', at('small.onnx'), '--architecture', 'sphere20', '-o', at('o.safetensors')]);
  assert.is(other.code, 1);
  assert.match(other.complaints[0], /small\.onnx: it is a cameo-face, but --architecture sphere20 was given/);
});

test('a published network with its names is converted; of another one, the arrays are', async () => {
  const gpu = await sharedGpu();
  const network = new MobileFaceNet(96, 112).initialize(gpu, 1).eval();
  const faces = Tensor.zeros(gpu, [1, 112, 96, 3]);
  const bytes = await exportOnnx((x: Tensor) => network.embed(x), faces, { module: network });
  writeFileSync(at('published.onnx'), bytes);
  const { stdout } = await run('import', at('published.onnx'), '-o', at('published.safetensors'));
  assert.match(stdout, /mobilefacenet, faces of 96×112, embeddings of 128 values/);
  const { tensors } = readRecognizer(readFileSync(at('published.safetensors')));
  for (const [name, { data }] of await saveState(network)) assert.equal(tensors.get(name)!.data, data, name);
  for (const one of [network, faces]) one.dispose();

  const spec = {
    nodes: [{ op: 'Gather', inputs: ['x', 'order'], outputs: ['y'], attributes: { axis: { i: 1 } } }],
    inputs: [{ name: 'x', shape: ['n', 3, 112, 96] }],
    outputs: [{ name: 'y', shape: ['n', 2] }],
    initializers: { order: { dims: [1], values: [0], type: 7 }, w: { dims: [2], values: [5, 6] } },
  };
  writeFileSync(at('other.onnx'), onnxFile(spec));
  const other = await run('import', at('other.onnx'), '-o', at('other.safetensors'));
  assert.match(other.stdout, /1 tensors by their names in the file, without 1 arrays of integers/);
  assert.match(other.stderr, /other\.onnx is no network that is known: give .*other\.onnx itself/);
  assert.equal([...readSafetensors(readFileSync(at('other.safetensors'))).tensors.get('w')!.data], [5, 6]);
});

test('faces are found by the ONNX file of a detector, and one that is not known is refused', async () => {
  const bytes = writeSingleShot(SMALL_DETECTOR, fixedDetectorWeights([2, ...new Array(14).fill(0)]));
  writeFileSync(at('detector.safetensors'), bytes);
  await run('export', at('detector.safetensors'), '-o', at('detector.onnx'), '--size', '128x128');
  await writePng(at('photo.png'), { width: 128, height: 128, data: new Uint8Array(128 * 128 * 3).fill(90) });
  const found = async (file: string) => {
    const { stdout } = await run('detect', at('photo.png'), '--detector', file, '--json');
    return JSON.parse(stdout).photographs?.[0] ?? JSON.parse(stdout);
  };
  const [direct, onnx] = [await found(at('detector.safetensors')), await found(at('detector.onnx'))];
  assert.equal(onnx, direct);
  const refused = await cameoHere(['detect', at('photo.png'), '--detector', at('other.onnx')]);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /other\.onnx: not a face detector that is known: .* its outputs y \[n,2\]; expected/);
  const trained = await cameoHere(['train', 'landmarks', '--detector', at('detector.onnx'), '-o', at('out')]);
  assert.match(trained.stderr, /detector\.onnx: this training takes no detector of an ONNX file/);
});

test.run();
