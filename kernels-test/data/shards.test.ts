import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { parseShard, shardOf, shardOfEnvironment } from '../../src/data/archives/shards.js';
import { thrown } from '../helpers/rejection.js';

const refusal = (work: () => unknown): string => {
  const error = thrown(work);
  assert.instance(error, ArgumentError);
  return (error as Error).message;
};

test('a name has the same shard for ever, whatever the composition of its letters', () => {
  // The first six bytes of `printf ann/1 | sha256sum`, modulo the count, and 1.
  assert.equal(
    ['ann/1', 'bob', 'J\u00fcrgen', 'face 10'].map((name) => [shardOf(name, 8), shardOf(name, 1000)]),
    [
      [5, 525],
      [3, 355],
      [8, 200],
      [6, 542],
    ],
  );
  assert.is(shardOf('Ju\u0308rgen', 1000), shardOf('J\u00fcrgen', 1000));
  assert.is(shardOf('anyone', 1), 1);
});

test('the shards of many names have about the same size', () => {
  for (const count of [2, 8, 100]) {
    const sizes = new Array<number>(count).fill(0);
    for (let k = 0; k < 200 * count; k++) sizes[shardOf(`img-${String(k).padStart(6, '0')}`, count) - 1]++;
    // The standard deviation is 14.
    assert.ok(Math.min(...sizes) > 130 && Math.max(...sizes) < 270, `${count}: ${sizes}`);
  }
});

test('a shard is given as number/count', () => {
  assert.equal(parseShard('2/8'), { number: 2, count: 8 });
  assert.equal(parseShard(' 1/1 '), { number: 1, count: 1 });
  for (const text of ['', '2', '0/8', '9/8', '1/0', '-1/8', '1.5/8', '2/8/1', 'two/8', '1/100001', 'Auto']) {
    assert.match(
      refusal(() => parseShard(text)),
      `--shard ${text}: expected auto, or number/count, as 2/8`,
    );
  }
});

const slurm = (id: string, min = '1', count = '4') => ({
  SLURM_ARRAY_TASK_ID: id,
  SLURM_ARRAY_TASK_MIN: min,
  SLURM_ARRAY_TASK_COUNT: count,
});

test('auto reads a Slurm job array, which may begin anywhere', () => {
  assert.equal(shardOfEnvironment(slurm('1')), { number: 1, count: 4 });
  assert.equal(shardOfEnvironment(slurm('4')), { number: 4, count: 4 });
  assert.equal(shardOfEnvironment(slurm('0', '0')), { number: 1, count: 4 });
  assert.equal(shardOfEnvironment(slurm('12', '10', '3')), { number: 3, count: 3 });
  assert.equal(shardOfEnvironment({ ...slurm('2'), CAMEO_SHARDS: '4' }), { number: 2, count: 4 });
});

test('auto reads an indexed Job of Kubernetes, which counts from 0', () => {
  assert.equal(shardOfEnvironment({ JOB_COMPLETION_INDEX: '0', CAMEO_SHARDS: '8' }), { number: 1, count: 8 });
  assert.equal(shardOfEnvironment({ JOB_COMPLETION_INDEX: '7', CAMEO_SHARDS: '8' }), { number: 8, count: 8 });
});

test('missing or contradictory variables are named with their values', () => {
  for (const [variables, message] of [
    [{}, 'neither SLURM_ARRAY_TASK_ID (Slurm) nor JOB_COMPLETION_INDEX (Kubernetes) is set; expected a job array'],
    [{ CAMEO_SHARDS: '8' }, 'neither SLURM_ARRAY_TASK_ID'],
    [{ SLURM_ARRAY_TASK_ID: '' }, 'neither SLURM_ARRAY_TASK_ID'],
    [{ SLURM_ARRAY_TASK_ID: '1' }, 'SLURM_ARRAY_TASK_MIN is not set; expected an integer of at least 0'],
    [{ ...slurm('1'), SLURM_ARRAY_TASK_COUNT: undefined }, 'SLURM_ARRAY_TASK_COUNT is not set; expected an integer'],
    [slurm('x'), 'SLURM_ARRAY_TASK_ID is "x"; expected an integer of at least 0'],
    [slurm('1', '1', '0'), 'SLURM_ARRAY_TASK_COUNT is "0"; expected an integer from 1 to 100000'],
    [
      slurm('5'),
      'SLURM_ARRAY_TASK_ID is 5, with SLURM_ARRAY_TASK_MIN 1 and SLURM_ARRAY_TASK_COUNT 4; expected an id from 1 to 4: give the array as one range without gaps',
    ],
    [
      slurm('1', '2'),
      'SLURM_ARRAY_TASK_ID is 1, with SLURM_ARRAY_TASK_MIN 2 and SLURM_ARRAY_TASK_COUNT 4; expected an id from 2 to 5',
    ],
    [
      { ...slurm('1'), CAMEO_SHARDS: '8' },
      'CAMEO_SHARDS is 8, but SLURM_ARRAY_TASK_COUNT is 4; expected the same, as all tasks of the array have it',
    ],
    [
      { ...slurm('1'), JOB_COMPLETION_INDEX: '0', CAMEO_SHARDS: '4' },
      'both SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are set; expected those of one system',
    ],
    [{ JOB_COMPLETION_INDEX: '0' }, 'CAMEO_SHARDS is not set; expected an integer of at least 1'],
    [{ JOB_COMPLETION_INDEX: '0', CAMEO_SHARDS: '1e3' }, 'CAMEO_SHARDS is "1e3"; expected an integer from 1'],
    [
      { JOB_COMPLETION_INDEX: '8', CAMEO_SHARDS: '8' },
      'JOB_COMPLETION_INDEX is 8, but CAMEO_SHARDS is 8; expected an index from 0 to 7: set CAMEO_SHARDS to the completions',
    ],
  ] as const) {
    assert.match(
      refusal(() => shardOfEnvironment(variables)),
      `--shard auto: ${message}`,
    );
  }
});

test.run();
