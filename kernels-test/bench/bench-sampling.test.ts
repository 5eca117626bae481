// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultBatches, parseBatches, wanted } from '../../bench/core/choose.js';
import { runsFor, samplesFor, timeByTurns } from '../../bench/core/runnable.js';
import { worksOf } from '../../bench/core/work.js';
import { conv } from '../../bench/layers.js';
import { meanRatios, type PeerRow } from '../../bench/peers/compare.js';
import { onnxModel, toOihw } from '../../bench/peers/onnx-model.js';
import { peerTables } from '../../bench/report.js';

test('a sample has enough runs to fill its time, even if a single run is mostly waiting', async () => {
  const asked: number[] = [];
  const time = async (runs: number): Promise<number> => {
    asked.push(runs);
    return 0.5 + 0.01 * runs; // milliseconds: a wait of 0.5, and kernels of 10 µs
  };
  const runs = await runsFor(time, 5, 0.51);
  assert.ok(0.5 + 0.01 * runs >= 5 && runs < 2000, `${runs} runs`);
  assert.is(asked.at(-1), runs);
  assert.is(await runsFor(time, 5, 6), 1, 'one run is enough if it takes that long');
  assert.is(await runsFor(async () => 0, 5, 0, 40), 40, 'the limit also holds for runs that take no time');
});

test('a budget gives at least three samples and at most nine', () => {
  assert.equal(
    [10, 450, 10_000].map((budget) => samplesFor(budget, 100)),
    [3, 4, 9],
  );
});

test('runnables are timed in turn, also slow ones', async () => {
  const order: string[] = [];
  const runnable = (name: string, ms: number) => ({
    run: () => void order.push(name),
    finish: () => new Promise<void>((resolve) => setTimeout(resolve, ms)),
    result: async () => new Float32Array(0),
    dispose: () => {},
  });
  const slow = await timeByTurns([runnable('a', 20), runnable('b', 25)], 5);
  assert.equal(order.join(''), 'abababab', 'once to see how long it takes, then three turns');
  assert.equal(
    slow.samples.map(({ length }) => length),
    [3, 3],
  );
  assert.ok(slow.samples.flat().every((ms) => ms > 10));
});

test('a run that returns a promise ends before the next run begins', async () => {
  let running = 0;
  const asynchronous = {
    run: async () => {
      assert.is(running++, 0);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
    },
    finish: async () => {},
    result: async () => new Float32Array(0),
    dispose: () => {},
  };
  const { samples } = await timeByTurns([asynchronous], 50);
  assert.ok(samples[0].length >= 3);
});

test('batch sizes are read from a list', () => {
  assert.equal(parseBatches('1,32'), [1, 32]);
  assert.equal(parseBatches('4, 4'), [4]);
  assert.equal([defaultBatches(false), defaultBatches(true)], [[1, 32], [4]]);
  for (const text of ['', '0', '1,,2', '1.5', '-3', 'many']) assert.throws(() => parseBatches(text), /not a list/);
});

const row = (kind: PeerRow['kind'], layer: string, ratio: number | null, batch = 1): PeerRow => ({
  kind,
  layer,
  batch,
  megaflop: 1,
  ours: null,
  peer: null,
  ratio,
  deviceRatio: ratio && 2 * ratio,
  problem: ratio === null ? 'not supported' : null,
});

test('ratios are averaged by kind and batch, over what was timed', () => {
  const without = { ...row('matmul', 'f', 12), deviceRatio: null };
  const means = meanRatios([
    row('conv forward', 'a', 2),
    row('conv forward', 'b', 8),
    row('conv forward', 'c', null),
    row('conv forward', 'a', 5, 32),
    row('matmul', 'd', 3),
    without,
    row('transposed forward', 'e', null),
  ]);
  const rounded = (ratio: number | null): number | null => ratio && Math.round(ratio * 1e6) / 1e6;
  assert.equal(
    means.map((mean) => [
      mean.kind,
      mean.batch,
      mean.layers,
      rounded(mean.ratio),
      rounded(mean.deviceRatio),
      mean.worst.layer,
    ]),
    [
      ['conv forward', 1, 2, 4, 8, 'a'],
      ['conv forward', 32, 1, 5, 10, 'a'],
      ['matmul', 1, 2, 6, null, 'd'],
    ],
  );
});

test('each peer has its own tables, which show what it could not compute', () => {
  const rows = [row('conv forward', 'a', 2), row('conv forward', 'c', null)];
  const [means, layers] = peerTables({ name: 'other', version: '1', note: 'Forward only.', rows });
  assert.match(means.title!, /other 1/);
  assert.match(means.note!, /Forward only\.$/);
  assert.equal(means.rows, [['conv forward', 1, 1, '2.00×', '4.00×', '2.00×', 'a']]);
  assert.equal(layers.rows[1], ['conv forward', 'c', 1, '', '', '', '', '', '', 'not supported']);
});

test('weights are in the layout of ONNX, and gradients of convs have no model', () => {
  // There are two taps, 2 inputs and 3 outputs: value = 100·tap + 10·input + output.
  const values = Float32Array.from(
    { length: 12 },
    (_, k) => 100 * Math.floor(k / 6) + 10 * (Math.floor(k / 3) % 2) + (k % 3),
  );
  assert.equal([...toOihw(values, [2, 1, 2, 3])], [0, 100, 10, 110, 1, 101, 11, 111, 2, 102, 12, 112]);
  const [forward, byInput, byWeights] = worksOf({ name: 'l', shape: conv([4, 4], 4, 4), counts: {} }, 1);
  const operands = [new Float32Array(64), new Float32Array(144)] as const;
  assert.equal(onnxModel(forward, operands)!.inputs, [{ name: 'x', operand: 0, shape: [1, 4, 4, 4] }]);
  assert.is(onnxModel(byInput, operands), null);
  assert.is(onnxModel(byWeights, operands), null);
});

test('kinds are chosen by the starts of their words, and transposed convs also by their old name', () => {
  const tasks = ['conv forward', 'transposed forward', 'matmul'].map((kind) => ({ kind, layer: 'a layer' }));
  const chosen = (kinds: string) => wanted(tasks, [], { kinds }).map(({ kind }) => kind);
  assert.equal(chosen('conv'), ['conv forward']);
  assert.equal(chosen('forward, matmul'), ['conv forward', 'transposed forward', 'matmul']);
  assert.equal(chosen('transposed'), ['transposed forward']);
  assert.equal(chosen('deconv forward'), ['transposed forward']);
  assert.throws(() => chosen('onv'), /nothing to time/);
});

test.run();
