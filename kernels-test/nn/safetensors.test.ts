import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, CheckpointError, ShapeError } from '../../src/common/errors.js';
import { sizeOf } from '../../src/common/shapes.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { float16Bits, float16Value, readSafetensors, writeSafetensors } from '../../src/nn/safetensors.js';
import { testWithData } from '../helpers/data-available.js';

/** A file with this header text and this data. */
function file(header: string, data: ArrayLike<number> = []): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

const entry = (dtype: string, shape: number[], begin: number, end: number) =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

const bitsOf = (values: Float32Array) => [...new Uint32Array(values.slice().buffer)];

test('every half-precision number is kept, and others are rounded to the nearest, ties to even', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = float16Value(bits);
    if (Number.isNaN(value)) assert.ok(Number.isNaN(float16Value(float16Bits(value))));
    else assert.is(float16Bits(value), bits);
    const next = float16Value(bits + 1);
    if ((bits & 0x7fff) >= 0x7bff) continue; // not the largest number, infinity and NaN, which have no neighbour above
    const middle = (value + next) / 2;
    assert.is(float16Bits(middle), bits % 2 === 0 ? bits : bits + 1, `the middle above ${value}`);
    assert.is(float16Bits(value * 0.75 + next * 0.25), bits);
    assert.is(float16Bits(value * 0.25 + next * 0.75), bits + 1);
  }
  assert.is(float16Value(float16Bits(65519)), 65504);
  assert.is(float16Value(float16Bits(65520)), Infinity);
  const values = Float32Array.of(0.1, -2.5, 1e-7, 1000.3);
  const bytes = writeSafetensors(new Map([['a', { shape: [4], data: values }]]), new Map(), new Set(['a']));
  assert.equal(
    [...readSafetensors(bytes).tensors.get('a')!.data],
    [...values].map((value) => float16Value(float16Bits(value))),
  );
  assert.ok(Math.abs(readSafetensors(bytes).tensors.get('a')!.data[0] - 0.1) < 1e-4);
});

test('every half-precision number in a file is read exactly', () => {
  const count = 0x10000;
  const halves = new Uint8Array(Uint16Array.from({ length: count }, (_, bits) => bits).buffer);
  const bytes = file(`{"all":${entry('F16', [count], 0, 2 * count)}}`, [...halves]);
  const expected = Float32Array.from({ length: count }, (_, bits) => float16Value(bits));
  const { data } = readSafetensors(bytes).tensors.get('all')!;
  assert.is(
    data.findIndex((value, bits) => !Object.is(value, expected[bits])),
    -1,
  );
});

test('the writer writes the bytes that the format describes', () => {
  const tensors: HostTensors = new Map([
    ['b', { shape: [2], data: Float32Array.of(1, -2) }],
    ['a', { shape: [], data: Float32Array.of(0.5) }],
  ]);
  const bytes = writeSafetensors(tensors, new Map([['format', 'pt']]));
  const header =
    '{"__metadata__":{"format":"pt"},' +
    '"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  assert.equal(bytes, file(padded, [0, 0, 0, 0x3f, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]));
  assert.is((8 + padded.length) % 8, 0);
});

test('what the writer wrote is read back to the bit', () => {
  const special = new Float32Array(Uint32Array.of(0x7fc12345, 0x80000000, 1, 0x7f800000, 0xff7fffff).buffer);
  const window = new Float32Array(20).map((_, i) => i).subarray(3, 9);
  const tensors: HostTensors = new Map([
    ['encoder.0.weight', { shape: [5], data: special }],
    ['10', { shape: [2, 3], data: window }],
    ['9', { shape: [0, 4], data: new Float32Array(0) }],
    ['naïve "名前"\n', { shape: [1, 1], data: Float32Array.of(Math.fround(0.1)) }],
  ]);
  const metadata = new Map([
    ['step', '12'],
    ['b"\\', '{"nested": "}"}'],
  ]);
  const { tensors: read, metadata: readMetadata } = readSafetensors(writeSafetensors(tensors, metadata));
  assert.equal([...read.keys()].sort(), [...tensors.keys()].sort());
  for (const [name, { shape, data }] of tensors) {
    assert.equal([...read.get(name)!.shape], [...shape], name);
    assert.equal(bitsOf(read.get(name)!.data), bitsOf(data), name);
  }
  assert.equal(new Map([...readMetadata].sort()), new Map([...metadata].sort()));
});

test('equal contents give equal bytes, in any order of tensors', () => {
  const names = ['b.10', 'b.9', '2', '11', 'é', 'a'];
  const make = (order: string[]) =>
    writeSafetensors(
      new Map(order.map((name) => [name, { shape: [2], data: Float32Array.of(name.length, name.charCodeAt(0)) }])),
      new Map(order.map((name) => [name, name])),
    );
  assert.equal(make(names), make([...names].reverse()));
});

test('other element types are read, at any alignment', () => {
  const header = [
    `"half":${entry('F16', [7], 0, 14)}`,
    `"brain":${entry('BF16', [3], 14, 20)}`,
    `"byte":${entry('U8', [3], 20, 23)}`,
    `"long":${entry('I64', [2], 23, 39)}`,
    `"int":${entry('I32', [1], 39, 43)}`,
  ].join(',');
  const data = new DataView(new ArrayBuffer(43));
  // 1, −2, 65504, the smallest subnormal, infinity, NaN, −0
  [0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x7e00, 0x8000].forEach((bits, k) => {
    data.setUint16(2 * k, bits, true);
  });
  // 1, −3.140625, infinity
  [0x3f80, 0xc049, 0x7f80].forEach((bits, k) => {
    data.setUint16(14 + 2 * k, bits, true);
  });
  [0, 7, 255].forEach((value, k) => {
    data.setUint8(20 + k, value);
  });
  data.setBigInt64(23, -5n, true);
  data.setBigInt64(31, 2n ** 40n, true);
  data.setInt32(39, -16777216, true);
  const { tensors } = readSafetensors(file(`{${header}}`, new Uint8Array(data.buffer)));
  const values = (name: string) => [...tensors.get(name)!.data];
  assert.equal(values('half'), [1, -2, 65504, 2 ** -24, Number.POSITIVE_INFINITY, Number.NaN, -0]);
  assert.ok(Object.is(values('half')[6], -0));
  assert.equal(values('brain'), [1, -3.140625, Number.POSITIVE_INFINITY]);
  assert.equal(values('byte'), [0, 7, 255]);
  assert.equal(values('long'), [-5, 2 ** 40]);
  assert.equal(values('int'), [-16777216]);
});

test('files are read from the middle of a larger buffer, such as those of Node', () => {
  const bytes = writeSafetensors(new Map([['w', { shape: [2], data: Float32Array.of(3, 4) }]]));
  const large = new Uint8Array(bytes.length + 3);
  large.set(bytes, 3);
  for (const part of [large.subarray(3), Buffer.from(large.buffer, 3)]) {
    assert.equal([...readSafetensors(part).tensors.get('w')!.data], [3, 4]);
  }
});

const four = [0, 0, 128, 63];
const REFUSED: [what: string, bytes: Uint8Array, message: RegExp][] = [
  ['an empty file', new Uint8Array(0), /the file has 0 bytes/],
  ['a picture', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0), /not a safetensors file\?/],
  [
    'a truncated header',
    file(`{"a":${entry('F32', [1], 0, 4)}}`, four).subarray(0, 20),
    /ends at byte 20, inside its header/,
  ],
  ['a truncated tensor', file(`{"a":${entry('F32', [1], 0, 4)}}`, [0]), /"a" ends at byte 4 of the data, which has 1/],
  ['bytes at the end', file(`{"a":${entry('F32', [1], 0, 4)}}`, [...four, 0]), /1 bytes after "a" belong to no tensor/],
  ['no JSON', file('{"a":'), /safetensors: the header is not JSON: /],
  ['no UTF-8', file('{"a":1}').fill(0xff, 9, 12), /the header is not UTF-8/],
  ['a list', file('[]'), /not a JSON object/],
  ['a tensor that is a number', file('{"a":1}'), /"a" is not an object/],
  [
    'an unknown type',
    file(`{"a":${entry('F8_E4M3', [4], 0, 4)}}`, four),
    /"a" has dtype "F8_E4M3"; this reader knows F64, F32, /,
  ],
  ['a type named like a property', file(`{"a":${entry('toString', [4], 0, 4)}}`, four), /dtype "toString"/],
  ['a negative size', file(`{"a":${entry('F32', [-1], 0, 4)}}`, four), /"a" has shape \[-1\]/],
  ['a fractional size', file(`{"a":${entry('F32', [0.5], 0, 4)}}`, four), /"a" has shape \[0.5\]/],
  ['huge sizes', file(`{"a":${entry('F32', [2 ** 52, 2 ** 52], 0, 4)}}`, four), /"a" of type F32 and shape .* needs/],
  ['offsets backwards', file(`{"a":${entry('F32', [1], 4, 0)}}`, four), /"a" has data_offsets \[4,0\]/],
  ['no offsets', file('{"a":{"dtype":"F32","shape":[1]}}', four), /"a" has data_offsets undefined/],
  [
    'a wrong span',
    file(`{"a":${entry('F32', [2], 0, 4)}}`, four),
    /"a" of type F32 and shape \[2\] needs 8 bytes; .* 4/,
  ],
  [
    'an overlap',
    file(`{"a":${entry('F32', [2], 0, 8)},"b":${entry('F32', [1], 4, 8)}}`, [...four, ...four]),
    /"b" \(from byte 4\) overlaps "a" \(to byte 8\)/,
  ],
  [
    'a gap',
    file(`{"a":${entry('U8', [1], 0, 1)},"b":${entry('F32', [1], 4, 8)}}`, [...four, ...four]),
    /3 bytes between "a" and "b"/,
  ],
  [
    'a name that occurs twice',
    file(`{"a":${entry('F32', [1], 0, 4)},"\\u0061":${entry('F32', [1], 4, 8)}}`, [...four, ...four]),
    /"a" occurs twice/,
  ],
  ['metadata that is a list', file('{"__metadata__":[]}'), /__metadata__ is not an object/],
  ['metadata with a number', file('{"__metadata__":{"step":3}}'), /__metadata__: "step" is not a string/],
  ['metadata with a key twice', file('{"__metadata__":{"k":"1","k":"2"}}'), /"k" occurs twice/],
  [
    'an integer beyond float32',
    file(`{"n":${entry('I64', [1], 0, 8)}}`, [1, 0, 0, 1, 0, 0, 0, 0]),
    /"n" holds 16777217, which float32 cannot hold/,
  ],
];

for (const [what, bytes, message] of REFUSED) {
  test(`refuses ${what}`, () => {
    assert.throws(
      () => readSafetensors(bytes),
      (error: Error) => error instanceof CheckpointError && message.test(error.message),
    );
  });
}

test('a header with a length above the limit is refused before it is read', () => {
  const bytes = file('{}');
  new DataView(bytes.buffer).setBigUint64(0, 2n ** 63n, true);
  assert.throws(() => readSafetensors(bytes), /a header of 9223372036854775808 bytes/);
});

test('a file that is cut or changed anywhere is read or refused, without other errors', () => {
  const tensors: HostTensors = new Map(
    ['a', 'b'].map((name) => [name, { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }]),
  );
  const whole = writeSafetensors(tensors, new Map([['k', 'v']]));
  const tries = (bytes: Uint8Array) => {
    try {
      readSafetensors(bytes);
    } catch (error) {
      assert.instance(error, CheckpointError, String(error));
    }
  };
  for (let length = 0; length < whole.length; length++) {
    assert.throws(
      () => readSafetensors(whole.slice(0, length)),
      (error: Error) => error instanceof CheckpointError,
    );
  }
  for (let at = 0; at < whole.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = whole.slice();
      bytes[at] ^= 1 << bit;
      tries(bytes);
    }
  }
});

test('the writer refuses tensors that the reader would refuse', () => {
  assert.throws(
    () => writeSafetensors(new Map([['a', { shape: [3], data: new Float32Array(2) }]])),
    (error: Error) => error instanceof ShapeError && /a: 2 values do not fill shape \[3\]/.test(error.message),
  );
  assert.throws(
    () => writeSafetensors(new Map([['__metadata__', { shape: [], data: new Float32Array(1) }]])),
    (error: Error) => error instanceof ArgumentError,
  );
});

testWithData('weights', 'reads published networks', (folder) => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  assert.ok(files.length > 0);
  for (const name of files) {
    const { tensors } = readSafetensors(readFileSync(join(folder, name)));
    assert.ok(tensors.size > 10, name);
    for (const [key, { shape, data }] of tensors) {
      assert.is(data.length, sizeOf(shape), key);
      assert.ok(data.every(Number.isFinite), `${name}: ${key}`);
    }
  }
});

test.run();
