import { constants, deflateSync, inflateSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inflateExactly } from '../../src/codec/png/inflate.js';
import { zlibSmallest } from '../../src/codec/png/zlib.js';
import { FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';

/** Pixel data of pictures, and other data: of few values, of many, repeating, empty. */
function samples(): Uint8Array[] {
  const random = new CounterRandom(1, 1);
  const of = (length: number, next: (i: number) => number) => Uint8Array.from({ length }, (_, i) => next(i));
  return [
    new Uint8Array(0),
    Uint8Array.of(7),
    of(1009, () => 128 + 3 * random.normal()),
    of(5000, () => 256 * random.uniform()),
    of(70_000, (i) => (i * i) >> 9),
    of(40_000, (i) => (i < 33_000 ? 256 * random.uniform() : i)),
    new Uint8Array(100_000),
  ];
}

const { Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE, Z_DEFAULT_STRATEGY } = constants;

/** The data deflated with every kind of block, and by our own compressor. */
function streams(data: Uint8Array): Uint8Array[] {
  const byZlib = [Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE].flatMap((strategy) =>
    [0, 1, 9].map((level) => deflateSync(data, { strategy, level, windowBits: level === 1 ? 9 : 15 })),
  );
  return data.length > 0 && data.length < 2000 ? [...byZlib, zlibSmallest(data, data.length)] : byZlib;
}

test('inflates what zlib and our own compressor deflate', () => {
  for (const data of samples()) {
    for (const stream of streams(data)) {
      assert.ok(Buffer.from(inflateExactly(stream, data.length)).equals(data), `${data.length} bytes`);
    }
  }
});

/** What zlib inflates a stream to, which must end with its last byte; null if zlib refuses it. */
function byZlib(stream: Uint8Array): Uint8Array | null {
  try {
    const { buffer, engine } = inflateSync(stream, { info: true, maxOutputLength: 200_000 } as object) as unknown as {
      buffer: Uint8Array;
      engine: { bytesWritten: number };
    };
    return engine.bytesWritten === stream.length ? buffer : null;
  } catch {
    return null;
  }
}

test('accepts and refuses damaged streams as zlib does, and throws nothing but FormatError', () => {
  const random = new CounterRandom(2, 1);
  const whole = samples()
    .filter(({ length }) => length < 2000)
    .flatMap(streams);
  let accepted = 0;
  for (let k = 0; k < 6000; k++) {
    const original = whole[k % whole.length];
    const stream = Uint8Array.from(original);
    // Damage is mostly near the front, in headers and codes; the checksum at the end would refuse all other damage.
    const at = Math.floor(random.uniform() ** 3 * stream.length);
    stream[at] ^= 1 << Math.floor(8 * random.uniform());
    const expected = byZlib(stream) ?? byZlib(repaired(stream));
    const given = byZlib(stream) ? stream : repaired(stream);
    try {
      const result = inflateExactly(given, expected?.length ?? 1009);
      accepted++;
      assert.ok(expected && Buffer.from(result).equals(expected), `stream ${k}: zlib refuses it`);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      assert.is(expected, null, `stream ${k}: zlib accepts it; ${error.message}`);
    }
  }
  assert.ok(accepted > 300, `only ${accepted} damaged streams reached the end`);
});

/** The stream with its checksum corrected, if zlib can decode the data to their end. */
function repaired(stream: Uint8Array): Uint8Array {
  const result = Uint8Array.from(stream);
  let data: Uint8Array;
  try {
    data = inflateSync(result.subarray(0, -4), { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return result; // the data are wrong before their end, or end elsewhere
  }
  let [a, b] = [1, 0];
  for (const byte of data) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  new DataView(result.buffer).setUint32(result.length - 4, ((b << 16) | a) >>> 0);
  return result;
}

test('the error says what is wrong with a stream', () => {
  const stream = deflateSync(Buffer.from('faces faces faces'));
  const edited = (at: number, byte: number) => stream.map((old, i) => (i === at ? byte : old));
  const cases: [Uint8Array, RegExp][] = [
    [edited(1, 0), /invalid zlib header/],
    [Uint8Array.of(0x78, 0xbb, ...stream.subarray(2)), /dictionary/],
    [edited(2, 7), /invalid block type/],
    [Uint8Array.of(0x78, 0x9c, 1, 1, 0, 0, 0), /invalid length of a stored block/],
    [edited(stream.length - 1, 0), /incorrect data check/],
    [stream.subarray(0, -1), /ends early/],
    [Uint8Array.of(...stream, 0), /1 bytes of foreign data/],
    // A match comes before there is anything to match.
    [Uint8Array.of(0x78, 0x9c, 0x03, 0x02, 0, 0, 0), /too far back/],
  ];
  for (const [bytes, message] of cases) {
    try {
      inflateExactly(bytes, 17);
    } catch (error) {
      assert.match((error as Error).message, message);
      continue;
    }
    assert.unreachable(`${message}`);
  }
});

test.run();
