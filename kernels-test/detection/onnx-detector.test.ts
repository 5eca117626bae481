import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError, ShapeError } from '../../src/common/errors.js';
import { FaceDetector, type RgbImage } from '../../src/detection/index.js';
import { onnxFaceDetector } from '../../src/detection/onnx-detector.js';
import { detectorToOnnx } from '../../src/models/onnx-networks.js';
import { loadSingleShot, writeSingleShot } from '../../src/models/single-shot.js';
import { gpuSuite, randomValues, testGpu } from '../helpers/harness.js';
import { type ArraySpec, type GraphSpec, type NodeSpec, onnxFile } from '../helpers/onnx-writer.js';
import { rejection } from '../helpers/rejection.js';
import { fixedDetectorWeights, inventedDetector, SMALL_DETECTOR } from '../models/single-shot-fixture.js';

const test = gpuSuite('onnx detector');

const STRIDES = [8, 16, 32];
const int64 = (values: number[]): ArraySpec => ({ dims: [values.length], values, type: 7 });

/** A part of the outputs: values that are fixed, or those that are 1 where the top left pixel of a cell is brighter than 200. */
type Part = { columns: number; values: number[] } | 'bright' | 'one';

/** A detector whose cells all say the same, except of scores. @param anchors for each cell */
function graphOf(parts: Record<string, Part>, anchors: number, side: number | string, channel = 0): GraphSpec {
  const nodes: NodeSpec[] = [];
  const initializers: Record<string, ArraySpec> = { limit: { dims: [], values: [200] }, last: int64([-1]) };
  const outputs: GraphSpec['outputs'] = [];
  const add = (op: string, inputs: string[], output: string, attributes: NodeSpec['attributes'] = {}): string => {
    nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  };
  for (const [part, spec] of Object.entries(parts)) {
    for (const s of STRIDES) {
      const name = `${part}_${s}`;
      const columns = typeof spec === 'string' ? 1 : spec.columns;
      // The top left pixel of each cell, one channel: [1, 1, rows, columns].
      const weight = new Array<number>(3).fill(0);
      weight[channel] = 1;
      initializers[`${name}.w`] = { dims: [1, 3, 1, 1], values: weight };
      const picked = add('Conv', ['x', `${name}.w`], `${name}.p`, { strides: { ints: [s, s] } });
      const zero = add('Mul', [picked, 'none'], `${name}.z`);
      initializers.none = { dims: [], values: [0] };
      initializers[`${name}.v`] = { dims: [1, columns * anchors, 1, 1], values: valuesOf(spec, anchors) };
      let value = add('Add', [zero, `${name}.v`], `${name}.a`);
      if (spec === 'bright') {
        add('Greater', [picked, 'limit'], `${name}.g`);
        value = add('Mul', [value, add('Cast', [`${name}.g`], `${name}.c`, { to: { i: 1 } })], `${name}.m`);
      }
      initializers[`${name}.shape`] = int64([1, -1, columns]);
      const moved = add('Transpose', [value], `${name}.t`, { perm: { ints: [0, 2, 3, 1] } });
      outputs.push({ name: add('Reshape', [moved, `${name}.shape`], name), shape: [1, '?', columns] });
    }
  }
  return { nodes, inputs: [{ name: 'x', shape: [1, 3, side, side] }], outputs, initializers };
}

const valuesOf = (spec: Part, anchors: number): number[] =>
  Array.from({ length: anchors }, () => (typeof spec === 'string' ? [1] : spec.values)).flat();

const hundredths = (value: number): number => Math.round(value * 100) / 100;

/** Landmarks around the point (1, 1) strides from the corner of a cell. */
const POINTS = [0.5, 0.5, 1.5, 0.5, 1, 1, 0.6, 1.5, 1.4, 1.5];

/** A picture with one bright pixel, in one channel. */
function dotted(width: number, height: number, [x, y]: [number, number], channel: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  data[3 * (y * width + x) + channel] = 255;
  return { width, height, data };
}

test('our own detector comes back through its ONNX file', async () => {
  const gpu = await testGpu();
  const bytes = writeSingleShot(SMALL_DETECTOR, inventedDetector(3));
  const data = Uint8Array.from(randomValues(120 * 90 * 3, 4, [0, 256]), Math.floor);
  const picture: RgbImage = { width: 120, height: 90, data };
  const direct = FaceDetector.fromWeights(gpu, bytes);
  const expected = await direct.detect(picture, { threshold: 0.5 });
  direct.dispose();
  assert.ok(expected.length > 1, `${expected.length} faces`);
  const numbers = ({ score, box, landmarks }: (typeof expected)[0]) => [
    ...[score, ...Object.values(box), ...landmarks.flat()],
  ];
  const network = loadSingleShot(gpu, bytes);
  for (const layout of ['nhwc', 'nchw'] as const) {
    const detector = onnxFaceDetector(gpu, await detectorToOnnx(network, [128, 128], { layout }));
    const found = await detector.detect(picture, { threshold: 0.5 });
    assert.is(found.length, expected.length);
    for (const [k, face] of found.entries()) {
      const other = numbers(expected[k]);
      for (const [i, value] of numbers(face).entries())
        assert.ok(Math.abs(value - other[i]) < 1e-5 * (10 + Math.abs(other[i])), `${value}, not ${other[i]}`);
    }
    detector.dispose();
  }
  network.dispose();
});

test('a picture that is larger than the input, which is no square, is seen in parts', async () => {
  const gpu = await testGpu();
  // Every cell reports a face.
  const network = loadSingleShot(
    gpu,
    writeSingleShot(SMALL_DETECTOR, fixedDetectorWeights([2, ...new Array(14).fill(0)])),
  );
  const detector = onnxFaceDetector(gpu, await detectorToOnnx(network, [128, 160]));
  const boxes = (await detector.detect(dotted(330, 260, [0, 0], 0))).map(({ box }) => box);
  assert.ok(Math.max(...boxes.map(({ x }) => x)) > 310);
  assert.ok(Math.max(...boxes.map(({ y }) => y)) > 240);
  assert.ok(boxes.some(({ width }) => Math.abs(width - 8) < 0.01));
  for (const one of [detector, network]) one.dispose();
});

test('YuNet: a face of the cell with a bright pixel, where OpenCV puts it', async () => {
  const gpu = await testGpu();
  const parts: Record<string, Part> = {
    cls: 'bright',
    obj: 'one',
    bbox: { columns: 4, values: [1, 1, Math.log(4), Math.log(4)] },
    kps: { columns: 10, values: POINTS },
  };
  // Its first channel is blue.
  for (const side of [128, 'side']) {
    const detector = onnxFaceDetector(gpu, onnxFile(graphOf(parts, 1, side)));
    const [face, ...others] = await detector.detect(dotted(128, 128, [40, 24], 2));
    assert.equal(others, []);
    // float32 rounds the logarithm.
    assert.equal(Object.values(face.box).map(hundredths), [40 + 8 - 16, 24 + 8 - 16, 32, 32]);
    assert.equal(face.landmarks[0], [44, 28]);
    assert.equal(face.landmarks[2], [48, 32]);
    assert.is(face.score, 1);
    assert.equal(await detector.detect(dotted(128, 128, [40, 24], 0)), [], 'red is its last channel');
    detector.dispose();
  }
  const rgb = onnxFaceDetector(gpu, onnxFile(graphOf(parts, 1, 128)), { channels: 'rgb' });
  assert.is((await rgb.detect(dotted(128, 128, [40, 24], 0))).length, 1, 'as words say');
  rgb.dispose();
});

test('SCRFD: two anchors a cell, with names or without', async () => {
  const gpu = await testGpu();
  const parts: Record<string, Part> = {
    score: 'bright',
    bbox: { columns: 4, values: [1, 2, 3, 4] },
    kps: { columns: 10, values: POINTS },
  };
  const graph = graphOf(parts, 2, 64);
  graph.initializers!.limit = { dims: [], values: [(200 - 127.5) / 128] };
  const renamed = JSON.parse(
    JSON.stringify(graph).replace(/"(score|bbox|kps)_(8|16|32)"/g, '"out_$1_$2"'),
  ) as GraphSpec;
  for (const one of [graph, renamed]) {
    const detector = onnxFaceDetector(gpu, onnxFile(one));
    const [face, ...others] = await detector.detect(dotted(64, 64, [24, 40], 0));
    assert.equal(others, []);
    assert.equal(face.box, { x: 16, y: 24, width: 32, height: 48 });
    assert.equal(face.landmarks[1], [36, 44]);
    detector.dispose();
  }
});

test('others are refused, with what was found and what was expected', async () => {
  const gpu = await testGpu();
  const refused = (spec: GraphSpec, pattern: RegExp) =>
    assert.throws(
      () => onnxFaceDetector(gpu, onnxFile(spec)),
      (error: Error) => error instanceof CheckpointError && pattern.test(error.message),
    );
  const parts: Record<string, Part> = {
    cls: 'one',
    obj: 'one',
    bbox: { columns: 4, values: [0, 0, 0, 0] },
    kps: 'one',
  };
  const graph = graphOf(parts, 1, 64);
  const some = { ...graph, outputs: [{ name: 'cls_8', shape: [1, 64, 1] }] };
  refused(
    some,
    /its inputs are x \[1,3,64,64\], and its outputs cls_8 \[1,64,1\]; expected the outputs cells .*; or cls_S/,
  );
  refused(graphOf(parts, 1, 100), /expected a batch of 1 or any, and sides that are multiples of 32/);
  await rejection(async () => onnxFaceDetector(gpu, onnxFile(graph), { width: 96, height: 96 }), ArgumentError);
  const detector = onnxFaceDetector(gpu, onnxFile(graph));
  const { message } = await rejection(() => detector.detect(dotted(64, 64, [0, 0], 0)), ShapeError);
  assert.match(message, /the output kps_8 is \[1,64,1\]; expected rows of 10 numbers/);
  detector.dispose();
});

test.run();
