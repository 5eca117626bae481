import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { openRecognizer, readRecognizerOf } from '../../src/data/checkpoints/recognizer-source.js';
import { FileError } from '../../src/data/files/atomic-file.js';
import { alignedFaceCrop } from '../../src/evaluation/verification/face-crops.js';
import { CameoFace } from '../../src/models/cameo-face.js';
import { Embedder } from '../../src/models/embedder.js';
import { recognizerToOnnx } from '../../src/models/onnx-networks.js';
import { parsePictureWords } from '../../src/models/onnx-pictures.js';
import { OnnxRecognizer } from '../../src/models/onnx-recognizer.js';
import type { Recognizer } from '../../src/models/recognizer.js';
import { WidenedRecognizer } from '../../src/models/widened-recognizer.js';
import { sum } from '../../src/ops/reduce.js';
import { Tape } from '../../src/ops/tape.js';
import { square } from '../../src/ops/unary.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { type GraphSpec, onnxFile } from '../helpers/onnx-writer.js';
import { rejection } from '../helpers/rejection.js';

const test = gpuSuite('onnx recogniser');
const folder = mkdtempSync(join(tmpdir(), 'cameo-onnx-recognizer-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const places = { data: folder, own: folder };

const SMALL = { width: 32, height: 48, dimension: 8, channels: [4, 8, 8, 8], units: [0, 0, 1, 0] } as const;

async function small(): Promise<CameoFace> {
  return new CameoFace(SMALL).initialize(await testGpu(), 3).eval();
}

/** Embeddings of two pictures, and the gradient of the sum of their squares by the pictures. */
async function measured(network: Recognizer, seed = 1): Promise<[Float32Array, Float32Array]> {
  const gpu = await testGpu();
  const { width, height } = network;
  const x = Tensor.from(gpu, randomValues(2 * height * width * 3, seed, [0, 1]), [2, height, width, 3]);
  const results = scope(gpu, () => {
    const tape = new Tape();
    const [embeddings, loss] = tape.record(() => {
      const found = network.embed(x);
      return [found, sum(square(found))];
    });
    const gradient = tape.gradients(loss, [x]).get(x)!;
    return [embeddings, gradient];
  });
  const [embeddings, gradient] = await Promise.all(results.map((one) => one.read()));
  for (const one of [x, ...results]) one.dispose();
  return [embeddings, gradient];
}

test('our own networks come back: embeddings and gradients are those of the same weights', async () => {
  const gpu = await testGpu();
  for (const layout of ['nhwc', 'nchw'] as const) {
    const network = await small();
    const path = join(folder, 'own.onnx');
    writeFileSync(path, await recognizerToOnnx(network, { layout }));
    const notes: string[] = [];
    const read = await readRecognizerOf(path, { ...places, note: (line) => notes.push(line) });
    read.load(gpu);
    const { recognizer } = read;
    assert.is(read.name, 'own');
    assert.equal(
      [recognizer.width, recognizer.height, recognizer.dimension],
      [network.width, network.height, network.dimension],
    );
    assert.equal(notes, [], 'the file says how pixels go in');
    const [own, imported] = [await measured(network), await measured(recognizer)];
    assertClose('embeddings', imported[0], own[0]);
    assertClose('gradient', imported[1], own[1]);
    const faces = new Uint8Array(3 * network.width * network.height * 3).map((_, i) => (i * 37) % 256);
    const embedders = [network, recognizer].map((one) => new Embedder(gpu, one, 2));
    assertClose('fused', await embedders[1].embed(faces), await embedders[0].embed(faces));
    for (const one of [...embedders, network, read]) one.dispose();
  }
});

/** The mean of each channel over the picture, as the graph gets them. */
const means = (spec: Partial<GraphSpec> = {}): GraphSpec => ({
  nodes: [
    { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['p'] },
    { op: 'Flatten', inputs: ['p'], outputs: ['y'] },
  ],
  inputs: [{ name: 'x', shape: ['n', 3, 112, 112] }],
  outputs: [{ name: 'y', shape: ['n', 3] }],
  ...spec,
});

/** The embedding of a picture of one colour. */
async function embeddingOf(name: string, color: readonly number[] = [10, 100, 200]): Promise<number[]> {
  const gpu = await testGpu();
  const opened = await openRecognizer(gpu, name, places);
  const { width, height } = opened.recognizer;
  const embedder = new Embedder(gpu, opened.recognizer, 2);
  const found = await embedder.embed(Uint8Array.from({ length: 3 * width * height * 3 }, (_, i) => color[i % 3]));
  assert.equal(found.slice(0, 3), found.slice(6, 9));
  embedder.dispose();
  opened.dispose();
  return [...found.slice(0, 3)];
}

test('pixels go in as words after the name say, and as usual without any, which is told', async () => {
  const path = join(folder, 'means.onnx');
  writeFileSync(path, onnxFile(means()));
  const near = async (words: string, expected: readonly number[]) =>
    assertClose(words, await embeddingOf(path + words), expected);
  await near('', [-117.5 / 128, -27.5 / 128, 72.5 / 128]);
  await near(':bgr:mean=0:scale=1', [200, 100, 10]);
  await near(':mean=10+20+30:scale=1+.5+2', [0, 40, 340]);
  await near(':bgr:mean=10+20+30:scale=1', [190, 80, -20]);
  await near(':112x112:nchw:scale=1e-2', [-1.175, -0.275, 0.725]);
  const notes: string[] = [];
  const note = (line: string) => notes.push(line);
  const plain = await readRecognizerOf(path, { ...places, note });
  assert.is(notes.length, 1);
  assert.match(
    notes[0],
    /means\.onnx does not say how pixels go in: taken as rgb, \(byte − 127\.5\)\/128; .*:bgr:mean=/,
  );
  const worded = await readRecognizerOf(`${path}:bgr`, { ...places, note });
  assert.is(notes.length, 1);
  assert.is.not(plain.modelId, worded.modelId, 'caches of embeddings are kept apart');
  assert.equal(parsePictureWords('bgr:output=a:b'), { channels: 'bgr', output: 'a:b' });
});

test('a graph for one face at a time, of any size, or of several outputs', async () => {
  const one = join(folder, 'one.onnx');
  const single = means({
    nodes: [
      { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['p'] },
      { op: 'Reshape', inputs: ['p', 'shape'], outputs: ['y'] },
      { op: 'Relu', inputs: ['y'], outputs: ['z'] },
    ],
    inputs: [{ name: 'x', shape: [1, 3, 16, 16] }],
    outputs: [{ name: 'y' }, { name: 'z' }],
    initializers: { shape: { dims: [2], values: [1, 3], type: 7 } },
  });
  writeFileSync(one, onnxFile(single));
  assertClose(':mean=50:scale=1:output=y', await embeddingOf(`${one}:mean=50:scale=1:output=y`), [-40, 50, 150]);
  assertClose(':mean=50:scale=1:output=z', await embeddingOf(`${one}:mean=50:scale=1:output=z`), [0, 50, 150]);
  const any = join(folder, 'any.onnx');
  writeFileSync(any, onnxFile(means({ inputs: [{ name: 'x', shape: ['n', 3, 'h', 'w'] }], outputs: ['y'] })));
  assertClose(':8x16:mean=0:scale=1', await embeddingOf(`${any}:8x16:mean=0:scale=1`), [10, 100, 200]);
  assert.match(
    (await rejection(() => openRecognizerHere(any), CheckpointError)).message,
    /any size; expected WIDTHxHEIGHT/,
  );
  assert.match(
    (await rejection(() => openRecognizerHere(one), CheckpointError)).message,
    /one\.onnx: its outputs are y \[\?\], z \[\?\]; expected one of embeddings, .*or output=NAME/,
  );
});

const openRecognizerHere = async (name: string) => openRecognizer(await testGpu(), name, places);

test('weights beside the file are read from its folder only', async () => {
  const graph = (location: string): GraphSpec =>
    means({
      nodes: [...means().nodes, { op: 'Add', inputs: ['y', 'b'], outputs: ['z'] }],
      outputs: [{ name: 'z', shape: ['n', 3] }],
      initializers: { b: { dims: [3], external: { location } } },
    });
  const path = join(folder, 'external.onnx');
  writeFileSync(path, onnxFile(graph('weights.bin')));
  const missing = await rejection(() => readRecognizerOf(path, places), FileError);
  assert.match(missing.message, /weights\.bin: /);
  writeFileSync(join(folder, 'weights.bin'), new Uint8Array(Float32Array.of(1, 2, 3).buffer));
  assertClose(':mean=0:scale=1', await embeddingOf(`${path}:mean=0:scale=1`), [11, 102, 203]);
  const { modelId } = await readRecognizerOf(path, places);
  writeFileSync(join(folder, 'weights.bin'), new Uint8Array(Float32Array.of(1, 2, 4).buffer));
  assert.is.not((await readRecognizerOf(path, places)).modelId, modelId);
  writeFileSync(path, onnxFile(graph('../weights.bin')));
  const outside = await rejection(() => readRecognizerOf(path, places), CheckpointError);
  assert.match(outside.message, /external\.onnx: .*not inside its folder/);
});

test('what is no recogniser is refused with the file, what it has and what was expected', async () => {
  const path = join(folder, 'wrong.onnx');
  const refused = async (spec: Partial<GraphSpec>, pattern: RegExp, words = '') => {
    writeFileSync(path, onnxFile(means(spec)));
    const { message } = await rejection(() => readRecognizerOf(path + words, places), CheckpointError);
    assert.match(message, pattern);
    assert.ok(message.startsWith(`${path}: `), message);
  };
  await refused(
    { inputs: [{ name: 'x', shape: ['n', 1, 112, 112] }] },
    /input is x \[n,1,112,112\]; expected 3 channels/,
  );
  await refused({ inputs: [{ name: 'x', shape: ['n', 3] }] }, /inputs are x \[n,3\]; expected one of float32/);
  await refused(
    { outputs: [{ name: 'p', shape: ['n', 3, 7, 7] }] },
    /outputs are p \[n,3,7,7\]; expected one of embed/,
  );
  await refused({}, /pictures of width 96 are asked for, but its input is x \[n,3,112,112\]/, ':96x112');
  await refused({}, /expected embeddings \[batch,values\] named q/, ':output=q');
  await refused({ nodes: [{ op: 'Odd', name: 'o', inputs: ['x'], outputs: ['y'] }] }, /Odd \(node "o"\): operator/);
  const word = await rejection(() => readRecognizerOf(`${path}:grey`, places), ArgumentError);
  assert.match(word.message, /wrong\.onnx:grey: "grey" says nothing about pictures; expected WIDTHxHEIGHT, rgb/);
  writeFileSync(path, Uint8Array.of(1, 2, 3));
  assert.match((await rejection(() => readRecognizerOf(path, places), CheckpointError)).message, /wrong\.onnx: ONNX/);
  const none = await rejection(() => readRecognizerOf(join(folder, 'none.onnx'), places), FileError);
  assert.match(none.message, /recogniser .*none\.onnx/);
});

test('a recogniser of 112×112 sees aligned faces of 96×112 as an evaluation shows them to it', async () => {
  const gpu = await testGpu();
  const network = new CameoFace({ ...SMALL, width: 112, height: 112 }).initialize(gpu, 4).eval();
  const wide = new WidenedRecognizer(network, 96);
  const face = Uint8Array.from(randomValues(96 * 112 * 3, 5, [0, 256]), Math.floor);
  const [narrow, full] = [new Embedder(gpu, wide, 1), new Embedder(gpu, network, 1)];
  const shown = await full.embed(alignedFaceCrop(face, '112x112'));
  assertClose('embedding', await narrow.embed(face), shown);
  for (const one of [narrow, full, network]) one.dispose();
});

test('a network that is not on a GPU says so', () => {
  const network = new OnnxRecognizer(onnxFile(means({ outputs: ['y'] })));
  assert.throws(() => network.dimension, /call putOn\(gpu\) first/);
});

test.run();
