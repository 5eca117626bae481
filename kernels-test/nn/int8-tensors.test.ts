import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { sizeOf } from '../../src/common/shapes.js';
import type { HostTensor, HostTensors } from '../../src/nn/host-tensor.js';
import { INT8_KEY, splitInt8 } from '../../src/nn/int8-tensors.js';
import {
  float16Bits,
  float16Value,
  readSafetensors,
  readSafetensorsMetadata,
  writeSafetensors,
} from '../../src/nn/safetensors.js';

function normal(shape: readonly number[], seed: number): HostTensor {
  const random = new CounterRandom(seed);
  return { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => 0.1 * random.normal()) };
}

const tensor = (shape: readonly number[], ...values: number[]): HostTensor => ({
  shape,
  data: Float32Array.from(values),
});

/** A file of 8-bit tensors; parts may be left out or replaced. */
function fileOf(parts: HostTensors, version: string | null = '1'): Uint8Array {
  const names = [...parts.keys()];
  return writeSafetensors(
    parts,
    new Map(version === null ? [] : [[INT8_KEY, version]]),
    new Set(names.filter((name) => name.endsWith('.half'))),
    new Set(names.filter((name) => name.endsWith('.int8'))),
  );
}

test('a tensor is read back within half a step, and its first columns as f16, over odd shapes', () => {
  for (const [k, [shape, first]] of (
    [
      [[1, 1], 0],
      [[7, 5], 0],
      [[7, 5], 2],
      [[7, 5], 4],
      [[3, 3, 2, 9], 0],
      [[3, 1, 2, 9], 3],
      [[13], 0],
      [[0, 4], 1],
    ] as const
  ).entries()) {
    const given = normal(shape, k);
    const { tensors, half, int8, metadata } = splitInt8('net.w', given, first);
    const bytes = writeSafetensors(
      new Map([...tensors, ['bias', tensor([2], 1, Math.fround(0.1))]]),
      new Map([metadata, ['other', 'text']]),
      new Set(half),
      new Set(int8),
    );
    const read = readSafetensors(bytes);
    assert.equal([...read.tensors.keys()].sort(), ['bias', 'net.w']);
    assert.equal([...read.tensors.get('bias')!.data], [1, Math.fround(0.1)]);
    const { shape: found, data } = read.tensors.get('net.w')!;
    assert.equal([...found], [...shape]);
    const columns = shape.at(-1)!;
    const scale = tensors.get('net.w.scale')!.data;
    given.data.forEach((value, at) => {
      const column = at % columns;
      if (column < first) assert.is(data[at], float16Value(float16Bits(value)));
      else {
        const step = scale[column - first];
        assert.ok(Math.abs(data[at] - value) <= step * 0.5001, `${shape}: ${value} became ${data[at]}, step ${step}`);
        // The product is exact in double precision and rounded once to float32, so another program gets the same bits.
        const count = Math.min(127, Math.max(-127, Math.round(value / step)));
        assert.ok(Object.is(data[at] + 0, Math.fround(count * step) + 0));
      }
    });
    // The form of storage is not part of the tensors, so they can be written again in another form.
    assert.equal([...read.metadata], [['other', 'text']]);
    assert.is(readSafetensorsMetadata(bytes).get(INT8_KEY), '1');
    const again = readSafetensors(writeSafetensors(read.tensors, read.metadata));
    assert.equal([...again.tensors.get('net.w')!.data], [...data]);
  }
});

test('a given step is used, unless a value of the column is larger than 127 steps', () => {
  const given = tensor([3, 2], 1, 1, -2, -254, 4, 0);
  const { tensors } = splitInt8('w', given, 0, [0.5, 0.5]);
  assert.equal([...tensors.get('w.scale')!.data], [0.5, 2]);
  assert.equal([...tensors.get('w.int8')!.data], [2, 1, -4, -127, 8, 0]);
  const { tensors: zero } = splitInt8('w', tensor([2, 1], 0, 0));
  assert.equal([...readSafetensors(fileOf(zero)).tensors.get('w')!.data], [0, 0]);
});

test('all 8-bit integers are read, and those of a file without the mark are not scaled', () => {
  const data = Float32Array.from({ length: 256 }, (_, k) => k - 128);
  const parts: HostTensors = new Map([
    ['w.int8', { shape: [256, 1], data }],
    ['w.scale', tensor([1], 0.25)],
  ]);
  assert.equal(
    [...readSafetensors(fileOf(parts)).tensors.get('w')!.data],
    [...data].map((value) => value / 4),
  );
  const plain = readSafetensors(fileOf(parts, null)).tensors;
  assert.equal([...plain.keys()].sort(), ['w.int8', 'w.scale']);
  assert.equal([...plain.get('w.int8')!.data], [...data]);
});

const values = tensor([2, 2], 1, 2, 3, 4);
const REFUSED: [what: string, parts: [string, HostTensor][], message: RegExp, version?: string][] = [
  ['no scale', [['w.int8', values]], /"w\.scale" is missing; expected \[2\]/],
  [
    'a scale too short',
    [
      ['w.int8', values],
      ['w.scale', tensor([1], 1)],
    ],
    /"w\.scale" is \[1\]; expected \[2\]/,
  ],
  [
    'a scale a row',
    [
      ['w.int8', values],
      ['w.scale', tensor([2, 1], 1, 1)],
    ],
    /"w\.scale" is \[2,1\]; expected \[2\]/,
  ],
  [
    'a NaN',
    [
      ['w.int8', values],
      ['w.scale', tensor([2], 1, NaN)],
    ],
    /"w\.scale" is NaN at 1; expected numbers above 0/,
  ],
  [
    'an infinite step',
    [
      ['w.int8', values],
      ['w.scale', tensor([2], Infinity, 1)],
    ],
    /is Infinity at 0/,
  ],
  [
    'a step of 0',
    [
      ['w.int8', values],
      ['w.scale', tensor([2], 0, 1)],
    ],
    /is 0 at 0/,
  ],
  [
    'a negative step',
    [
      ['w.int8', values],
      ['w.scale', tensor([2], 1, -1)],
    ],
    /is -1 at 1/,
  ],
  [
    'a single number',
    [
      ['w.int8', tensor([], 1)],
      ['w.scale', tensor([1], 1)],
    ],
    /"w\.scale" is \[1\]; expected \[undefined\]/,
  ],
  [
    'halves of other rows',
    [
      ['w.int8', values],
      ['w.scale', tensor([2], 1, 1)],
      ['w.half', tensor([3, 1], 1, 2, 3)],
    ],
    /"w\.half" is \[3,1\]; expected \[2,n\]/,
  ],
  [
    'another version',
    [
      ['w.int8', values],
      ['w.scale', tensor([2], 1, 1)],
    ],
    /"cameo\.int8" is 2; expected 1/,
    '2',
  ],
];
for (const [what, parts, message, version] of REFUSED) {
  test(`refuses ${what}`, () => {
    assert.throws(
      () => readSafetensors(fileOf(new Map(parts), version)),
      (error: Error) => error instanceof CheckpointError && message.test(error.message),
    );
  });
}

test('a tensor may have only f16 columns', () => {
  const parts: HostTensors = new Map([
    ['w.half', tensor([2, 2], 1, 2, 3, 4)],
    ['w.int8', tensor([2, 0])],
    ['w.scale', tensor([0])],
  ]);
  const { shape, data } = readSafetensors(fileOf(parts)).tensors.get('w')!;
  assert.equal(
    [[...shape], [...data]],
    [
      [2, 2],
      [1, 2, 3, 4],
    ],
  );
});

test('a value that 8 bits cannot hold is refused by the writer', () => {
  for (const value of [128, -129, 0.5, NaN]) {
    assert.throws(
      () => writeSafetensors(new Map([['w', tensor([2], 1, value)]]), new Map(), new Set(), new Set(['w'])),
      (error: Error) =>
        error instanceof ArgumentError && /^\S+: I8 holds integers from −128 to 127/.test(error.message),
    );
  }
});

test.run();
