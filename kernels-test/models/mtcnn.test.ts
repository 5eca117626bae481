import * as assert from 'uvu/assert';
import { CheckpointError } from '../../src/common/errors.js';
import { sizeOf } from '../../src/common/shapes.js';
import { loadMtcnn, type Mtcnn } from '../../src/models/mtcnn.js';
import type { HostTensor, HostTensors } from '../../src/nn/host-tensor.js';
import { writeSafetensors } from '../../src/nn/safetensors.js';
import { referenceOps } from '../../src/ops/registry.js';
import { type NdArray, ndarray } from '../../src/reference/ndarray.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu, toNdArray } from '../helpers/harness.js';
import { inventedWeights } from './mtcnn-fixture.js';

const test = gpuSuite('mtcnn');

/** PyTorch's weight [outputs, inputs, rows, columns] as [rows, columns, inputs, outputs]. */
function convWeight({ shape: [outputs, inputs, rows, columns], data }: HostTensor): NdArray {
  const values = new Float64Array(data.length);
  let from = 0;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let at = i; at < rows * columns * inputs; at += inputs) values[at * outputs + o] = data[from++];
    }
  }
  return ndarray([rows, columns, inputs, outputs], values);
}

/** The weight of a dense layer, which reads a square map column by column with channels last, as one conv over the whole map. */
function denseWeight({ shape: [outputs, inputs], data }: HostTensor, side: number): NdArray {
  const channels = inputs / side ** 2;
  const values = new Float64Array(data.length);
  for (let o = 0; o < outputs; o++) {
    for (let x = 0; x < side; x++) {
      for (let y = 0; y < side; y++) {
        for (let c = 0; c < channels; c++) {
          values[((y * side + x) * channels + c) * outputs + o] = data[o * inputs + (x * side + y) * channels + c];
        }
      }
    }
  }
  return ndarray([side, side, channels, outputs], values);
}

/** The layers of a network in float64, by the names of their weights in PyTorch's file. */
function layersOf(weights: HostTensors, net: 'pnet' | 'rnet' | 'onet') {
  const stride1 = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 } as const;
  const vector = (name: string): NdArray => toNdArray(weights.get(name)!.data, weights.get(name)!.shape);
  const conv = (x: NdArray, name: string): NdArray => {
    const weight = weights.get(`${net}.${name}.weight`)!;
    const kernel = weight.shape.length === 4 ? convWeight(weight) : denseWeight(weight, x.shape[1]);
    return referenceOps.conv2d.forward([x, kernel, vector(`${net}.${name}.bias`)], stride1);
  };
  return {
    conv,
    withPRelu: (x: NdArray, name: string, k: number): NdArray =>
      referenceOps.prelu.forward([conv(x, name), vector(`${net}.prelu${k}.weight`)], {}),
    pool(x: NdArray, kernel: number): NdArray {
      // There is one more row and column if the windows, 2 apart, do not end at the border.
      const [, rows, columns] = x.shape;
      const more = (extent: number): number => (extent - kernel) % 2;
      const padding = [0, more(rows), 0, more(columns)] as const;
      return referenceOps.maxPool2d.forward([x], { kernel: [kernel, kernel], stride: [2, 2], padding });
    },
    together(heads: readonly NdArray[]): NdArray {
      return referenceOps.concat.forward(heads, { axis: 3 });
    },
  };
}

function proposalReference(weights: HostTensors, x: NdArray): NdArray {
  const { conv, withPRelu, pool, together } = layersOf(weights, 'pnet');
  const first = pool(withPRelu(x, 'conv1', 1), 2);
  const features = withPRelu(withPRelu(first, 'conv2', 2), 'conv3', 3);
  return together([conv(features, 'conv4_1'), conv(features, 'conv4_2')]);
}

function refineReference(weights: HostTensors, x: NdArray): NdArray {
  const { conv, withPRelu, pool, together } = layersOf(weights, 'rnet');
  const first = pool(withPRelu(x, 'conv1', 1), 3);
  const second = pool(withPRelu(first, 'conv2', 2), 3);
  const features = withPRelu(withPRelu(second, 'conv3', 3), 'dense4', 4);
  return together([conv(features, 'dense5_1'), conv(features, 'dense5_2')]);
}

function outputReference(weights: HostTensors, x: NdArray): NdArray {
  const { conv, withPRelu, pool, together } = layersOf(weights, 'onet');
  const first = pool(withPRelu(x, 'conv1', 1), 3);
  const second = pool(withPRelu(first, 'conv2', 2), 3);
  const third = withPRelu(pool(withPRelu(second, 'conv3', 3), 2), 'conv4', 4);
  const features = withPRelu(third, 'dense5', 5);
  return together(['dense6_1', 'dense6_2', 'dense6_3'].map((name) => conv(features, name)));
}

/** Longest sum of a layer: the inputs of the last network's dense layer. */
const SUM_LENGTH = 1152;

const NETS = [
  {
    part: 'proposal',
    reference: proposalReference,
    shapes: [
      [1, 12, 12, 3],
      [1, 13, 17, 3],
      [2, 31, 24, 3],
    ],
  },
  {
    part: 'refine',
    reference: refineReference,
    shapes: [
      [1, 24, 24, 3],
      [5, 24, 24, 3],
    ],
  },
  {
    part: 'output',
    reference: outputReference,
    shapes: [
      [1, 48, 48, 3],
      [3, 48, 48, 3],
    ],
  },
] as const;

for (const { part, reference, shapes } of NETS) {
  test(`the ${part} network agrees with the published layers in float64`, async () => {
    const gpu = await testGpu();
    const weights = inventedWeights(1);
    const networks: Mtcnn = loadMtcnn(gpu, writeSafetensors(weights));
    for (const shape of shapes) {
      const values = randomValues(sizeOf(shape), 7, [-1, 1]);
      const expected = reference(weights, toNdArray(values, shape));
      const output = scope(gpu, () => networks[part].forward(Tensor.from(gpu, values, shape)));
      const size = expected.shape[3];
      assert.equal([...output.shape], part === 'proposal' ? [...expected.shape] : [shape[0], size]);
      assertClose(`[${shape}]`, await output.read(), expected.data, { sumLength: SUM_LENGTH, linear: true });
      output.dispose();
    }
    networks.dispose();
  });
}

test('files that are not of MTCNN are refused by name', async () => {
  const gpu = await testGpu();
  const refused = (change: (weights: HostTensors) => void, pattern: RegExp): void => {
    const weights = inventedWeights(2);
    change(weights);
    assert.throws(
      () => loadMtcnn(gpu, writeSafetensors(weights)),
      (error: Error) => error instanceof CheckpointError && pattern.test(error.message),
    );
  };
  refused((weights) => weights.delete('rnet.prelu4.weight'), /rnet\.prelu4\.weight/);
  refused((weights) => weights.set('extra', { shape: [1], data: Float32Array.of(1) }), /extra/);
  refused((weights) => weights.set('pnet.conv1.bias', { shape: [9], data: new Float32Array(9) }), /pnet\.conv1\.bias/);
  refused((weights) => weights.get('onet.dense5.bias')!.data.fill(Number.NaN), /onet\.dense5\.bias/);
  assert.throws(
    () => loadMtcnn(gpu, new Uint8Array(5)),
    (error: Error) => error instanceof CheckpointError,
  );
});

test.run();
