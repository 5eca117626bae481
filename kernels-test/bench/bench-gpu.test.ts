import * as assert from 'uvu/assert';
import { ablate } from '../../bench/core/ablation.js';
import { prepareEngine } from '../../bench/core/engine.js';
import { measureTask } from '../../bench/core/measure.js';
import { cosFaceTasks, normTasks } from '../../bench/core/own-tasks.js';
import { PassTimer } from '../../bench/core/pass-timer.js';
import { copyKernel, PEAK_FORMS, peakKernel, peakOutputSize, peakReference } from '../../bench/core/peak-kernels.js';
import { referenceSamples, wrongness } from '../../bench/core/samples.js';
import { taskOf } from '../../bench/core/task.js';
import { tuneTasks } from '../../bench/core/tune.js';
import { operands, worksOf } from '../../bench/core/work.js';
import { conv, convTranspose, type LayerShape } from '../../bench/layers.js';
import { convShape } from '../../src/ops/conv/shape.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { assertClose, gpuSuite, randomValues, testGpu } from '../helpers/harness.js';

const test = gpuSuite('bench');

const CONV = conv([9, 10], 6, 8, { stride: 2 });
const SHAPES: LayerShape[] = [
  CONV,
  { ...CONV, cin: 8, groups: 8 },
  convTranspose([5, 5], 8, 6),
  { type: 'linear', inputs: 20, outputs: 12 },
];
const worksOfShape = (shape: LayerShape) => worksOf({ name: 'small', shape, counts: {} }, 2);

test('the peak kernels compute every multiply-add that is counted', async () => {
  const gpu = await testGpu();
  const [workgroups, turns] = [2, 5];
  // With factor 1 each step adds the addend, so a step left out would show in every element.
  for (const [factor, addend] of [
    [1, 0.5],
    [0.75, 0.25],
  ]) {
    for (const form of PEAK_FORMS) {
      const coefficients = Tensor.from(gpu, [...Array(4).fill(factor), ...Array(4).fill(addend)], [8]);
      const output = Tensor.empty(gpu, [peakOutputSize(workgroups)]);
      gpu.run(peakKernel(form, workgroups), [coefficients.buffer, output.buffer], Uint32Array.of(turns).buffer);
      const expected = Array.from({ length: output.size }, (_, i) =>
        peakReference(form, { factor, addend, turns, invocation: Math.floor(i / 4) }),
      );
      assertClose(`${form.chains} ${form.fused}`, await output.read(), expected, {
        sumLength: form.chains * 20,
        linear: true,
      });
      coefficients.dispose();
      output.dispose();
    }
  }
});

test('the copy kernels copy everything', async () => {
  const gpu = await testGpu();
  const values = randomValues(4 * 64 * 24, 1);
  for (const each of [1, 4]) {
    const source = Tensor.from(gpu, values, [values.length]);
    const destination = Tensor.zeros(gpu, [values.length]);
    gpu.run(copyKernel(values.length / 4, each), [source.buffer, destination.buffer]);
    assert.equal(await destination.read(), values);
    source.dispose();
    destination.dispose();
  }
});

test('the computations that the bench times agree with float64', async () => {
  const gpu = await testGpu();
  for (const work of SHAPES.flatMap(worksOfShape)) {
    const values = operands(work);
    const runnable = prepareEngine(gpu, work, values);
    assert.is(wrongness(work, await runnable.result(), referenceSamples(work, values, 1000)), null, work.kind);
    runnable.dispose();
  }
});

test('batch norm, PReLU and CosFace tasks give finite results and leave no tensors behind', async () => {
  const gpu = await testGpu();
  for (const task of [...normTasks([4, 3, 8], 2), ...cosFaceTasks({ dim: 16, classes: 30 }, 4)]) {
    const runnable = task.prepare(gpu);
    const values = await runnable.result();
    assert.ok(values.length > 0 && values.every(Number.isFinite), task.kind);
    assert.ok(
      values.some((value) => value !== 0),
      `${task.kind}: all zero`,
    );
    runnable.dispose();
  }
});

test('a measurement has a time and the kernels, and does not change the device', async () => {
  const gpu = await testGpu();
  const timer = PassTimer.on(gpu);
  const task = taskOf(worksOfShape(CONV)[0]);
  const measured = await measureTask(gpu, task, null, 5);
  timer?.dispose();
  assert.ok(measured.time.median > 0 && measured.time.low <= measured.time.high);
  assert.ok(measured.kernels.some((label) => label.startsWith('conv forward')));
  assert.is(measured.flops, 2 * 2 * 25 * 9 * 6 * 8);
  assert.not.ok(Object.hasOwn(gpu, 'run'), 'the recording of labels is over');
});

test('an ablation measures the kernel without each of its parts', async () => {
  const gpu = await testGpu();
  const attrs = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 } as const;
  const layer = await ablate(gpu, 'small', convShape([1, 6, 6, 8], [1, 6, 6, 16], [3, 3, 8, 16], attrs));
  assert.ok(layer && layer.gflops > 0);
  const expected = [
    'nothing',
    'loads of the source',
    'loads of the weights',
    ...(gpu.limits.subgroupSize > 0 ? ['sharing of the weights between lanes'] : []),
    'three quarters of the multiply-adds',
    'all loads',
  ];
  assert.equal(
    layer.parts.map(({ without }) => without),
    expected,
  );
  assert.ok(layer.parts.every(({ time }) => time > 0));
  const deep = convShape([1, 4, 6, 8], [1, 4, 6, 8], [3, 3, 1, 8], { ...attrs, groups: 8 });
  assert.is(await ablate(gpu, 'depthwise', deep), null);
});

test('tuning measures each conv once and keeps the choice', async () => {
  const gpu = await testGpu();
  const tasks = [taskOf(worksOfShape({ ...CONV, cin: 5 })[0])];
  let saved = 0;
  const save = () => void saved++;
  assert.is(await tuneTasks(gpu, tasks, save), 1);
  assert.is(await tuneTasks(gpu, tasks, save), 0);
  assert.is(saved, 1);
});

test('timestamps count the passes between start and stop', async () => {
  const gpu = await testGpu();
  const timer = PassTimer.on(gpu);
  if (!timer) return;
  const runnable = taskOf(worksOfShape(CONV)[0]).prepare(gpu);
  runnable.run();
  await gpu.sync();
  timer.start();
  assert.is(await timer.stop(), null, 'no pass, no time');
  timer.start();
  const start = performance.now();
  runnable.run();
  await gpu.sync();
  const wall = performance.now() - start;
  const stamped = await timer.stop();
  assert.ok(stamped === null || (stamped >= 0 && stamped <= 1.1 * wall), `${stamped} ms of ${wall} ms`);
  timer.dispose();
  runnable.dispose();
});

test.run();
