import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { constant, cosine, stepDecay, warmUp } from '../../src/nn/schedule.js';

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-12, `${actual}`);

test('constant gives the same rate at every step', () => {
  const schedule = constant(0.3);
  for (const step of [0, 1, 1e9]) assert.is(schedule(step), 0.3);
});

test('stepDecay falls at its milestones and not before', () => {
  const schedule = stepDecay(0.1, [10, 20], 0.5);
  for (const [step, rate] of [
    [0, 0.1],
    [9, 0.1],
    [10, 0.05],
    [19, 0.05],
    [20, 0.025],
    [1000, 0.025],
  ]) {
    near(schedule(step), rate);
  }
  assert.is(stepDecay(0.1, [])(5), 0.1);
});

test('cosine goes from the rate to the final one, and is half way in the middle', () => {
  const schedule = cosine(1, 100, 0.2);
  assert.is(schedule(0), 1);
  near(schedule(50), 0.6);
  near(schedule(25), 0.2 + 0.4 * (1 + Math.SQRT1_2));
  assert.is(schedule(100), 0.2);
  assert.is(schedule(5000), 0.2);
  for (let step = 0; step < 100; step++) assert.ok(schedule(step + 1) < schedule(step));
});

test('warmUp rises to the first rate of the schedule that it wraps, which then starts', () => {
  const schedule = warmUp(cosine(1, 10), 4);
  for (let step = 0; step < 4; step++) near(schedule(step), (step + 1) / 5);
  assert.is(schedule(4), 1);
  assert.is(schedule(9), cosine(1, 10)(5));
  assert.is(schedule(14), 0);
  assert.is(warmUp(constant(0.5), 0)(0), 0.5);
});

test('arguments out of range are refused', () => {
  for (const make of [
    () => constant(-1),
    () => constant(Number.NaN),
    () => stepDecay(1, [20, 10]),
    () => stepDecay(1, [0]),
    () => stepDecay(1, [5], -2),
    () => cosine(1, 0),
    () => cosine(1, 10, Number.POSITIVE_INFINITY),
    () => warmUp(constant(1), 1.5),
  ]) {
    assert.throws(make, (error: Error) => error instanceof ArgumentError && / is |ascend/.test(error.message));
  }
});

test.run();
