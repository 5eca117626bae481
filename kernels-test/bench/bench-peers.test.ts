import * as assert from 'uvu/assert';
import { KINDS, worksOf } from '../../bench/core/work.js';
import { conv, convTranspose, type LayerShape } from '../../bench/layers.js';
import { compareWithPeer } from '../../bench/peers/compare.js';
import { openOnnxRuntime } from '../../bench/peers/onnxruntime.js';
import type { OpenPeer, Peer } from '../../bench/peers/peer.js';
import { acceptSharedMemory } from '../../bench/peers/shared-memory.js';
import { openTensorFlowJs } from '../../bench/peers/tfjs.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { gpuSuite, testGpu } from '../helpers/harness.js';

const test = gpuSuite('bench peers');

const CONV = conv([9, 10], 8, 12, { stride: 2 });
const SHAPES: LayerShape[] = [
  CONV,
  conv([8, 6], 3, 16, { kernel: 5 }),
  { ...CONV, cout: 8, groups: 8 },
  conv([3, 2], 8, 8, { kernel: [3, 2], padding: 0, groups: 8 }),
  convTranspose([5, 5], 8, 6),
  { type: 'linear', inputs: 20, outputs: 12 },
];
const worksOfShape = (shape: LayerShape) => worksOf({ name: 'small', shape, counts: {} }, 2);

for (const [name, open, kinds] of [
  ['TensorFlow.js', openTensorFlowJs, KINDS.length],
  ['onnxruntime-web', openOnnxRuntime, 4],
] as const satisfies [string, OpenPeer, number][]) {
  test(`${name} agrees with our engine on the same device, and both are timed`, async () => {
    const gpu = await testGpu();
    const peer = await open(gpu);
    if (typeof peer === 'string') return assert.match(peer, /not installed/);
    const compared = new Set<string>();
    try {
      for (const work of SHAPES.flatMap(worksOfShape).filter(({ kind }) => peer.kinds.includes(kind))) {
        const row = await compareWithPeer(gpu, peer, work, 1);
        assert.is(row.problem, null, `${work.kind}: ${row.problem}`);
        assert.ok(row.ratio! > 0 && row.ours!.samples >= 3 && row.peer!.samples >= 3);
        assert.is(row.batch, 2);
        compared.add(work.kind);
      }
    } finally {
      peer.dispose();
    }
    assert.is(compared.size, kinds);
  });
}

const lazy: Peer = {
  name: 'lazy',
  version: '0',
  kinds: KINDS,
  note: '',
  prepare: async () => ({
    run: () => assert.unreachable('it must not be timed'),
    finish: async () => {},
    result: async () => new Float32Array(2 * 5 * 5 * 12),
    dispose: () => {},
  }),
  dispose: () => {},
};

test('a peer that computes something else is reported, not timed', async () => {
  const row = await compareWithPeer(await testGpu(), lazy, worksOfShape(CONV)[0], 1);
  assert.match(row.problem!, /^lazy: .*sampled values are wrong/);
  assert.is(row.ratio, null);
});

test('a peer that cannot run a shape is reported with its reason', async () => {
  const prepare = () => Promise.reject(new Error('no such operator\nat line 3'));
  const row = await compareWithPeer(await testGpu(), { ...lazy, prepare }, worksOfShape(CONV)[0], 1);
  assert.is(row.problem, 'lazy: no such operator');
  assert.is(row.peer, null);
});

test('a queue accepts shared memory, by bytes and by elements, until this is undone', async () => {
  const gpu = await testGpu();
  const { queue } = gpu.device;
  const shared = new Float32Array(new SharedArrayBuffer(32));
  shared.set([1, 2, 3, 4, 5, 6, 7, 8]);
  const restore = acceptSharedMemory(queue);
  const written = async (write: (buffer: GPUBuffer, offset: number) => void): Promise<Float32Array> => {
    const tensor = Tensor.zeros(gpu, [4]);
    gpu.flush();
    write(tensor.buffer.raw, 0);
    const values = await tensor.read();
    tensor.dispose();
    return values;
  };
  const write = queue.writeBuffer.bind(queue) as (
    buffer: GPUBuffer,
    offset: number,
    data: AllowSharedBufferSource,
    from?: number,
    size?: number,
  ) => void;
  assert.equal([...(await written((to) => write(to, 0, shared, 1, 3)))], [2, 3, 4, 0]);
  assert.equal([...(await written((to) => write(to, 4, shared.buffer, 16, 8)))], [0, 5, 6, 0]);
  assert.equal([...(await written((to) => write(to, 0, shared.subarray(4))))], [5, 6, 7, 8]);
  assert.equal([...(await written((to) => write(to, 0, Float32Array.of(9, 8, 7), 1)))], [8, 7, 0, 0]);
  restore();
  assert.not.ok(Object.hasOwn(queue, 'writeBuffer'));
});

test.run();
