// adapters: once
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { type Lifetime, memoryPeak, planMemory } from '../../src/gpu/memory-plan.js';

/** Lifetimes like those of recorded steps: many short ones, some that span most of the step, and sizes over four orders of magnitude. */
function randomLifetimes(seed: number, count: number): Lifetime[] {
  const random = new CounterRandom(seed);
  return Array.from({ length: count }, () => {
    const first = Math.floor(random.uniform() * count);
    const length = Math.floor(random.uniform() ** 4 * count);
    return { bytes: 256 * Math.ceil(2 ** (12 * random.uniform())), first, last: first + length };
  });
}

const total = (sizes: readonly number[]): number => sizes.reduce((sum, bytes) => sum + bytes, 0);

/** Pairs that share memory although their lifetimes overlap, of which there must be none. */
function conflicts(lifetimes: readonly Lifetime[], placement: readonly number[]): string[] {
  return lifetimes.flatMap((a, i) =>
    lifetimes.flatMap((b, k) =>
      i < k && placement[i] === placement[k] && a.first <= b.last && b.first <= a.last ? [`${i} and ${k}`] : [],
    ),
  );
}

test('no two buffers of overlapping lifetimes share memory, and all fit', () => {
  for (let seed = 0; seed < 200; seed++) {
    const lifetimes = randomLifetimes(seed, 1 + (seed % 90));
    const { sizes, placement } = planMemory(lifetimes);
    assert.equal(conflicts(lifetimes, placement), [], `seed ${seed}`);
    lifetimes.forEach(({ bytes }, k) => {
      assert.ok(sizes[placement[k]] >= bytes, `seed ${seed}: ${bytes} bytes in ${sizes[placement[k]]}`);
    });
    assert.ok(
      total(sizes) >= memoryPeak(lifetimes).bytes,
      `seed ${seed}: less than the bytes that are live at one time`,
    );
    assert.ok(total(sizes) <= total(lifetimes.map(({ bytes }) => bytes)));
  }
});

test('random plans take little more memory than is live at one time', () => {
  const ratios = Array.from({ length: 50 }, (_, seed) => {
    const lifetimes = randomLifetimes(1000 + seed, 200);
    return total(planMemory(lifetimes).sizes) / memoryPeak(lifetimes).bytes;
  });
  assert.ok(Math.max(...ratios) < 1.35, `up to ${Math.max(...ratios)}`);
});

test('an output does not share memory with an input of its own dispatch, but the next output may', () => {
  const chain = [0, 1, 2, 3].map((first) => ({ bytes: 1024, first, last: first + 1 }));
  const { sizes, placement } = planMemory(chain);
  assert.equal(sizes, [1024, 1024]);
  assert.equal(placement, [0, 1, 0, 1]);
});

test('existing memory is used before new memory, unless it is too small', () => {
  const wanted = [
    { bytes: 4096, first: 0, last: 3 },
    { bytes: 1024, first: 1, last: 2 },
  ];
  assert.equal(planMemory(wanted, [1024, 8192, 512]), { sizes: [1024, 8192, 512], placement: [1, 0] });
  assert.equal(planMemory(wanted, [2048]), { sizes: [2048, 4096], placement: [1, 0] });
});

test('the peak is at the dispatch with the most live bytes', () => {
  const lifetimes = [
    { bytes: 10, first: 0, last: 4 },
    { bytes: 5, first: 2, last: 2 },
    { bytes: 7, first: 4, last: 6 },
    { bytes: 1, first: 5, last: 9 },
  ];
  assert.equal(memoryPeak(lifetimes), { bytes: 17, at: 4 });
  assert.equal(memoryPeak([]), { bytes: 0, at: 0 });
});

test.run();
