// adapters: all
// process: own
// suite: long
import 'fake-indexeddb/auto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import type { ConvShape } from '../../shaders/common/conv-geometry.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { loadTuning, saveTuning } from '../../src/gpu/node/tuning-file.js';
import { ENGINE_VERSION, storedTuning, Tuning, tuningAdapter, tuningKey } from '../../src/gpu/tuning.js';
import { loadTuningFromIndexedDb, saveTuningToIndexedDb } from '../../src/gpu/tuning-indexeddb.js';
import {
  chooseGather,
  chooseWeightGradient,
  gatherCandidates,
  weightGradientCandidates,
} from '../../src/ops/conv/choose.js';
import { conv2d, conv2dOp, convRequest } from '../../src/ops/conv/conv.js';
import { gatherOf } from '../../src/ops/conv/gather-plan.js';
import { planGather } from '../../src/ops/conv/plan.js';
import { convShape } from '../../src/ops/conv/shape.js';
import { tuneConv } from '../../src/ops/conv/tune.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { checkOp, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('tuning');

const ATTRS = { stride: [2, 2], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 } as const;
const X = [2, 9, 12, 8];
const W = [3, 3, 8, 16];
const SHAPE: ConvShape = convShape(X, [2, 5, 6, 16], W, ATTRS);
const PASSES = ['forward', 'inputGradient', 'weightGradient'] as const;

test('a conv requests a choice of kernel for each pass', async () => {
  const gpu = await testGpu();
  const requests = gpu.tuning.collect(() =>
    scope(gpu, () => {
      const x = Tensor.from(gpu, randomValues(2 * 9 * 12 * 8, 1), X);
      const w = Tensor.from(gpu, randomValues(9 * 8 * 16, 2), W);
      const tape = new Tape();
      const y = tape.record(() => conv2d(x, w, null, ATTRS));
      tape.gradients(y, [x, w], y);
    }),
  );
  const expected = PASSES.map((pass) => tuningKey(convRequest(pass, SHAPE)));
  assert.equal(requests.map(tuningKey).sort(), expected.sort());
});

// Each adapter runs every candidate that it would measure. SwiftShader also runs those of a GPU; LLVM would take too long.
test('every candidate of an adapter passes the float64 check', async () => {
  const gpu = await testGpu();
  const lavapipe = gpu.description.kind === 'lavapipe';
  for (const limits of lavapipe ? [gpu.limits] : [gpu.limits, { ...gpu.limits, software: false }]) {
    const forward = gatherCandidates(gatherOf(SHAPE, 'forward'), limits);
    const inputGradient = gatherCandidates(gatherOf(SHAPE, 'inputGradient'), limits);
    const weightGradient = weightGradientCandidates(SHAPE, limits);
    assert.ok(forward.length > 2 && inputGradient.length > 2 && weightGradient.length > 2);
    const most = Math.max(forward.length, inputGradient.length, weightGradient.length);
    for (let k = 0; k < most; k++) {
      const configs = {
        forward: forward[k % forward.length],
        inputGradient: inputGradient[k % inputGradient.length],
        weightGradient: weightGradient[k % weightGradient.length],
      };
      const implementation = conv2dOp({ configs });
      await checkOp({ op: 'conv2d', attrs: ATTRS, inputs: [X, W], sumLength: 9 * 16, implementation });
    }
  }
});

test('GPUs with one subgroup size measure the register kernels with shared loads, but never choose them by estimate', () => {
  const size = gatherOf(SHAPE, 'forward');
  const limits = { maxWorkgroupInvocations: 256, maxWorkgroupStorageBytes: 16384 };
  const subgroups = (software: boolean, subgroupSize: number): number[][] =>
    [
      gatherCandidates(size, { ...limits, software, subgroupSize }),
      weightGradientCandidates(SHAPE, { ...limits, software, subgroupSize }),
    ].map((configs) => {
      const registers = configs.flatMap((config) => (config.variant === 'register' ? [config] : []));
      for (const { subgroup, workgroup } of registers) {
        assert.is(workgroup % Math.max(1, subgroup), 0, `${workgroup} invocations in subgroups of ${subgroup}`);
      }
      return [...new Set(registers.map(({ subgroup }) => subgroup))].sort((a, b) => a - b);
    });
  for (const subgroupSize of [4, 8, 32, 128]) {
    assert.equal(subgroups(false, subgroupSize), [
      [0, subgroupSize],
      [0, subgroupSize],
    ]);
    const onGpu = { ...limits, software: false, subgroupSize };
    for (const config of [
      chooseGather(size, onGpu),
      chooseGather(size, onGpu, 'register'),
      chooseGather({ ...size, dest: [...size.dest.slice(0, 3), 3] }, onGpu),
      chooseWeightGradient(SHAPE, onGpu),
      chooseWeightGradient(SHAPE, onGpu, 'register'),
    ]) {
      assert.ok(!('subgroup' in config && config.subgroup > 0), JSON.stringify(config));
    }
  }
  // CPU adapters share loads wherever they can, among up to 16 lanes.
  assert.equal(subgroups(true, 4), [[4], [4]]);
  assert.equal(subgroups(true, 8), [[8], [8]]);
  assert.equal(subgroups(true, 32), [[0], [0]]);
  assert.equal(subgroups(false, 0), [[0], [0]]);
});

test('tuning measures the candidates and the conv then runs the fastest', async () => {
  const gpu = await testGpu();
  for (const pass of PASSES) {
    const request = convRequest(pass, SHAPE);
    const tuning = await tuneConv(gpu, request);
    assert.ok(tuning && tuning.timed.length > 1);
    assert.equal(tuning.refused, []);
    const { timed, chosen, estimated } = tuning;
    const times = timed.map(({ ms }) => ms);
    assert.ok(
      times.every((time) => time > 0 && time < Infinity),
      `${times}`,
    );
    assert.is(chosen, timed[times.indexOf(Math.min(...times))]);
    assert.is(estimated, timed[0]);
    const choice = gpu.tuning.choice<unknown>(request, () => timed.map(({ config }) => config));
    assert.equal(choice, chosen.config);
  }
  // The tuned conv still gives the right result.
  await checkOp({ op: 'conv2d', attrs: ATTRS, inputs: [X, W], sumLength: 9 * 16 });
  assert.is(await tuneConv(gpu, { family: 'another kernel', problem: {} }), null);
});

test('a candidate with a wrong result is refused, however fast it is', async () => {
  const gpu = await testGpu();
  const size = gatherOf(SHAPE, 'forward');
  const wrong = gatherCandidates(size, gpu.limits)[0];
  const { wgsl } = planGather(gatherOf(SHAPE, 'forward'), 'none', wrong).steps.at(-1)!.kernel;
  const { run } = gpu;
  // One of its products is wrong by 1 %.
  const broken = wgsl.replace('fma(vec4f(', 'fma(1.01 * vec4f(');
  assert.is.not(broken, wgsl);
  gpu.run = (kernel, ...rest) => run.call(gpu, kernel.wgsl === wgsl ? { ...kernel, wgsl: broken } : kernel, ...rest);
  try {
    const tuning = await tuneConv(gpu, convRequest('forward', SHAPE));
    assert.ok(tuning);
    assert.equal(
      tuning.refused.map(({ config }) => config),
      [wrong],
    );
    assert.match(tuning.refused[0].reason, /^element \d+ is .*, the naive kernel's is /);
    assert.is(tuning.estimated, null);
    assert.not.equal(tuning.chosen.config, wrong);
  } finally {
    delete (gpu as Partial<typeof gpu>).run; // the method of the class shows again
  }
});

test('a choice from a file is accepted only if it is a candidate', () => {
  const request = { family: 'conv forward', problem: { n: 1 } };
  const tuning = new Tuning();
  const candidates = () => [{ tile: 4 }, { tile: 8 }];
  assert.is(tuning.choice(request, candidates), undefined);
  tuning.set(request, { tile: 8 });
  assert.equal(tuning.choice(request, candidates), { tile: 8 });
  tuning.set(request, { tile: 7 });
  assert.is(tuning.choice(request, candidates), undefined);
  for (const stored of [null, 3, {}, { adapter: 'a', engine: ENGINE_VERSION, choices: 5 }]) tuning.load(stored, 'a');
  const choices = { [tuningKey(request)]: { tile: 4 } };
  tuning.load({ adapter: 'a', engine: '0.0.0', choices }, 'a');
  tuning.load({ adapter: 'b', engine: ENGINE_VERSION, choices }, 'a');
  assert.is(tuning.choice(request, candidates), undefined);
  tuning.load({ adapter: 'a', engine: ENGINE_VERSION, choices }, 'a');
  assert.equal(tuning.choice(request, candidates), { tile: 4 });
});

test('choices are kept in a file, and a damaged file is ignored', async () => {
  const gpu = await testGpu();
  const folder = mkdtempSync(join(tmpdir(), 'cameo-tuning-'));
  const before = process.env.CAMEO_CACHE;
  process.env.CAMEO_CACHE = folder;
  try {
    const path = saveTuning(gpu);
    assert.is(readdirSync(folder).length, 1, 'no temporary file is left');
    const other = await openGpu({ tuning: false });
    try {
      assert.equal(other.tuning.choices(), {});
      loadTuning(other);
      assert.equal(other.tuning.choices(), gpu.tuning.choices());
    } finally {
      other.destroy();
    }
    writeFileSync(path, '{"adapter": "');
    const third = { ...gpu, tuning: new Tuning(), description: gpu.description } as unknown as typeof gpu;
    loadTuning(third);
    assert.equal(third.tuning.choices(), {});
  } finally {
    if (before === undefined) delete process.env.CAMEO_CACHE;
    else process.env.CAMEO_CACHE = before;
    rmSync(folder, { recursive: true });
  }
});

test('the engine version is that of the package', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  assert.is(ENGINE_VERSION, JSON.parse(text).version);
});

test('choices are kept in a browser', async () => {
  const gpu = await testGpu();
  await saveTuningToIndexedDb(gpu);
  const stored = storedTuning(gpu.tuning, gpu.description);
  assert.is(stored.adapter, tuningAdapter(gpu.description));
  const fresh = { tuning: new Tuning(), description: gpu.description } as unknown as typeof gpu;
  await loadTuningFromIndexedDb(fresh);
  assert.ok(Object.keys(stored.choices).length >= 3);
  assert.equal(fresh.tuning.choices(), stored.choices);
});

test.run();
