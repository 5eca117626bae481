import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as assert from 'uvu/assert';
import { CheckpointError } from '../../src/common/errors.js';
import { dequantize, dlibTensors, readDlibWeights } from '../../src/data/checkpoints/dlib-weights.js';
import { readImage } from '../../src/data/pictures/image.js';
import { landmarksOf, readLandmarks } from '../../src/data/pictures/landmarks.js';
import { alignFace, alignmentTransform, applySimilarity, fitResidual, type Point } from '../../src/detection/align.js';
import { cosineSimilarity } from '../../src/evaluation/metrics/verification.js';
import { DlibResNet } from '../../src/models/dlib-resnet.js';
import { loadState } from '../../src/nn/state.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS } from '../helpers/data-available.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('dlib');

const refused = (run: () => unknown, pattern: RegExp): void => {
  assert.throws(run, (error: Error) => error instanceof CheckpointError && pattern.test(error.message));
};

test('weights are read by their manifest: bytes by scale and minimum, floats unchanged', () => {
  const quantized = { name: 'q', shape: [3], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.5, min: -1 } };
  const plain = { name: 'f', shape: [1, 2], dtype: 'float32' };
  const floats = new Uint8Array(Float32Array.of(1.5, -2).buffer);
  const bytes = Uint8Array.of(0, 2, 255, ...floats);
  const tensors = dequantize([quantized, plain], bytes);
  assert.equal([...tensors.get('q')!.data], [-1, 0, 126.5]);
  assert.equal([...tensors.get('f')!.data], [1.5, -2]);
  assert.equal(tensors.get('f')!.shape, [1, 2]);
  refused(() => dequantize([quantized, plain], bytes.subarray(0, 10)), /^f: needs bytes 3 to 11, the file has 10$/);
  refused(() => dequantize([quantized], bytes), /the manifest names 3 bytes, the file has 11/);
  refused(() => dequantize([{ ...plain, dtype: 'int32' }], bytes), /^f: int32 stored as int32/);
  const half = { ...quantized, quantization: { ...quantized.quantization, dtype: 'uint16' } };
  refused(() => dequantize([half], bytes), /^q: float32 stored as uint16; expected float32 or uint8$/);
});

test('affine layers are folded into the convs before them', () => {
  const tensors = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const name of new DlibResNet().entries().keys()) {
    if (!name.endsWith('.weight') || name === 'fc.weight') continue;
    const part = name.slice(0, -'.weight'.length).replace('.', '/');
    tensors.set(`${part}/conv/filters`, { shape: [1, 1, 2, 2], data: Float32Array.of(1, 2, 3, 4) });
    tensors.set(`${part}/conv/bias`, { shape: [2], data: Float32Array.of(5, 6) });
    tensors.set(`${part}/scale/weights`, { shape: [2], data: Float32Array.of(10, 100) });
    tensors.set(`${part}/scale/biases`, { shape: [2], data: Float32Array.of(7, 8) });
  }
  refused(() => dlibTensors(tensors), /the weights have no fc/);
  tensors.set('fc', { shape: [1], data: Float32Array.of(9) });
  const folded = dlibTensors(tensors);
  assert.equal([...folded.keys()].sort(), [...new DlibResNet().entries().keys()].sort());
  assert.equal([...folded.get('conv64_down.conv2.weight')!.data], [10, 200, 30, 400]);
  assert.equal([...folded.get('conv64_down.conv2.bias')!.data], [57, 608]);
  tensors.delete('conv32_1/conv2/scale/biases');
  refused(() => dlibTensors(tensors), /the weights have no conv32_1\/conv2\/scale\/biases/);
});

const photo = join(DEMO_PHOTOS, 'sample1.jpg');
const faces = landmarksOf(await readLandmarks(DEMO_LANDMARKS), photo)!;

/** Eyes, nose and corners of the mouth of dlib's mean face of 150×150, with a margin of a quarter. */
const TEMPLATE: Point[] = [
  [47.55, 46.6],
  [100.48, 46.6],
  [74.01, 76.56],
  [50.41, 103.02],
  [97.61, 103.02],
];

test('faces of 150×150 are aligned so that their landmarks are as near to the template as possible', () => {
  const { a, b, tx, ty } = { a: 2 * Math.cos(0.3), b: 2 * Math.sin(0.3), tx: 40, ty: -7 };
  const moved = TEMPLATE.map((point) => applySimilarity({ a, b, tx, ty }, point)) as never;
  const exact = alignmentTransform(moved, '150x150');
  for (const [k, point] of TEMPLATE.entries()) {
    const [x, y] = applySimilarity(exact, moved[k]);
    assert.ok(Math.hypot(x - point[0], y - point[1]) < 0.02, `${k}: ${x}, ${y}`);
  }
  for (const face of faces) {
    const best = alignmentTransform(face, '150x150');
    const residual = fitResidual(best, face, TEMPLATE);
    // Real faces differ from the mean face: their noses are several pixels off.
    assert.ok(residual < 11, `residual ${residual}`);
    for (const step of [-1, 1]) {
      const others = [
        { ...best, tx: best.tx + step },
        { ...best, ty: best.ty + step },
        { ...best, a: best.a * (1 + 0.02 * step) },
        { ...best, b: best.b + 0.02 * step * best.a },
      ];
      for (const other of others) assert.ok(fitResidual(other, face, TEMPLATE) > residual);
    }
  }
});

/** The members of the package's network that are used here. */
interface PackageNetwork {
  loadFromWeightMap(weights: unknown): void;
  forwardInput(input: { toBatchTensor: () => unknown }): { data(): Promise<Float32Array> };
}

/** The package's own network on the CPU backend of TensorFlow.js, in place of the native backend that it asks for. */
async function packageEmbedding(pixels: Uint8Array): Promise<Float32Array> {
  const require = createRequire(import.meta.url);
  const core = require('@tensorflow/tfjs-core');
  require('@tensorflow/tfjs-backend-cpu');
  // The network calls these two as methods, but the core has them only as functions.
  Object.assign(core.Tensor.prototype, {
    div(by: unknown) {
      return core.div(this, by);
    },
    mean(axes: number[]) {
      return core.mean(this, axes);
    },
  });
  const root = dirname(require.resolve('@vladmandic/face-api/package.json'));
  const tf = { ...core, version: { tfjs: core.version_core, 'tfjs-core': core.version_core } };
  const module = { exports: {} as { nets: Record<'faceRecognitionNet', PackageNetwork> } };
  const code = readFileSync(join(root, 'dist/face-api.node.js'), 'utf8');
  const load = (id: string) => (id.startsWith('@tensorflow/') ? tf : require(id));
  new Function('require', 'module', 'exports', code)(load, module, module.exports);
  await core.setBackend('cpu');
  const manifest = JSON.parse(readFileSync(join(root, 'model/face_recognition_model-weights_manifest.json'), 'utf8'));
  const stored = new Uint8Array(readFileSync(join(root, 'model/face_recognition_model.bin')));
  const net = module.exports.nets.faceRecognitionNet;
  net.loadFromWeightMap(core.io.decodeWeights(stored.buffer, manifest[0].weights));
  const input = core.tensor4d(Float32Array.from(pixels), [1, 150, 150, 3]);
  return net.forwardInput({ toBatchTensor: () => input }).data();
}

test('embeddings equal those of the package itself', async () => {
  const gpu = await testGpu();
  const image = await readImage(photo);
  const { tensors } = await readDlibWeights();
  const model = new DlibResNet();
  loadState(model, tensors, gpu);
  model.eval();
  const crop = alignFace(image, faces[0], '150x150');
  const output = scope(gpu, () => {
    const values = Float32Array.from(crop.data, (value) => value / 255);
    return model.embed(Tensor.from(gpu, values, [1, 150, 150, 3]));
  });
  const actual = await output.read();
  output.dispose();
  model.dispose();
  const expected = await packageEmbedding(crop.data);
  const similarity = cosineSimilarity(actual, expected);
  const apart = Math.hypot(...actual.map((value, i) => value - expected[i])) / Math.hypot(...expected);
  assert.ok(similarity > 0.999 && apart < 1e-3, `cosine ${similarity}, relative difference ${apart}`);
});

test.run();
