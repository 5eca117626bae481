import { deflateRawSync, deflateSync, inflateRawSync, inflateSync } from 'node:zlib';
import { PNG } from 'pngjs';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { adler32, crc32 } from '../../src/codec/crc32.js';
import { type Latents, latentsFromSymbols, symbolsOf } from '../../src/codec/latents.js';
import { type PngChunk, readPng } from '../../src/codec/png/chunks.js';
import { isCompactPng, packLatentsPng, unpackLatentsPng } from '../../src/codec/png/container.js';
import { deflateParts, deflateSmallest } from '../../src/codec/png/deflate.js';
import { filterCandidates, unfilter } from '../../src/codec/png/filter.js';
import { huffmanCodes, huffmanLengths } from '../../src/codec/png/huffman.js';
import { ArgumentError, ShapeError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { laplacianLatents, uniformLatents } from './container-latents.js';
import * as png from './png-edits.js';

const header = { modelId: '00c0ffee', rate: 5 };
const face = laplacianLatents(1, 7, 6, 24).latents;

function constantLatents(value: number, height: number, width: number, channels: number): Latents {
  return latentsFromSymbols(new Array(height * width * channels).fill(value), height, width, channels);
}

const shapes: Latents[] = [
  face,
  laplacianLatents(2, 14, 12, 8).latents,
  laplacianLatents(3, 7, 6, 90).latents,
  laplacianLatents(4, 5, 3, 2).latents,
  laplacianLatents(5, 64, 1, 3).latents,
  laplacianLatents(6, 1, 4, 512).latents,
  laplacianLatents(7, 64, 64, 2).latents,
  uniformLatents(8, 1, 1, 1),
  uniformLatents(9, 7, 6, 24),
  uniformLatents(10, 16, 12, 12),
  constantLatents(0, 7, 6, 24),
  constantLatents(0, 64, 64, 4),
  constantLatents(-128, 14, 12, 2),
  constantLatents(127, 3, 4, 5),
];

const files = shapes.map((latents) => packLatentsPng(latents, header));

function name({ height, width, channels }: Latents): string {
  return `${height}×${width}×${channels}`;
}

test('checksums are those of the standards', () => {
  const digits = new TextEncoder().encode('123456789');
  assert.is(crc32(digits), 0xcbf43926);
  assert.is(crc32(digits.subarray(4), crc32(digits.subarray(0, 4))), 0xcbf43926);
  const bytes = Uint8Array.from({ length: 300 }, (_, k) => (k * k * 37 + 11) >> 3);
  for (let length = 0; length < bytes.length; length++) {
    let stepwise = 0;
    for (let k = 0; k < length; k++) stepwise = crc32(bytes.subarray(k, k + 1), stepwise);
    assert.is(crc32(bytes.subarray(0, length)), stepwise, `${length} bytes, and each by itself`);
  }
  assert.is(adler32(digits), 0x091e01de);
  assert.is(adler32(new Uint8Array(0)), 1);
});

test('packed latents are unpacked with model, rate and version', () => {
  shapes.forEach((latents, k) => {
    assert.equal(unpackLatentsPng(files[k]), { latents, modelId: '00c0ffee', rate: 5, version: 2 }, name(latents));
  });
  const bytes = packLatentsPng(face, { modelId: Uint8Array.of(0xde, 0xad, 0xbe, 0xef), rate: 0 });
  assert.is(unpackLatentsPng(bytes).modelId, 'deadbeef');
  assert.equal(bytes, packLatentsPng(face, { modelId: 'DEADBEEF', rate: 0 }));
  // The bytes are a view into a larger buffer, such as reading a file may return.
  const shifted = new Uint8Array(bytes.length + 7);
  shifted.set(bytes, 5);
  assert.equal(unpackLatentsPng(shifted.subarray(5, 5 + bytes.length)).latents, face);
});

test('two independent PNG decoders read the symbols as grey levels, channel by channel', async () => {
  for (const [k, latents] of shapes.entries()) {
    const { height, width, channels, data } = latents;
    const bytes = files[k];
    const seen = PNG.sync.read(Buffer.from(bytes));
    const start = height * 6 === width * 7 ? 6 : 7;
    assert.equal([seen.width, seen.height], [start + data.length, 1], name(latents));
    const grey = await sharp(bytes).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
    assert.is(grey.info.channels, 1);
    for (let i = 0; i < data.length; i++) {
      const c = i % channels;
      const planar = start + c * height * width + (i - c) / channels;
      if (seen.data[4 * planar] !== data[i] || grey.data[planar] !== data[i]) {
        assert.unreachable(`${name(latents)}: symbol ${i} differs`);
      }
    }
  }
});

test('the same latents always give the same bytes', () => {
  shapes.slice(0, 5).forEach((latents, k) => {
    assert.equal(packLatentsPng(latents, header), files[k], name(latents));
  });
});

test('PNG and zlib take 63 bytes, and the header 6 or 7 pixels', () => {
  for (const [latents, head] of [
    [face, [0x25, 0x00, 0xc0, 0xff, 0xee, 5]],
    [uniformLatents(1, 3, 3, 3), [0x25, 0x00, 0xc0, 0xff, 0xee, 0x82, 2]],
  ] as const) {
    const bytes = packLatentsPng(latents, header);
    const [ihdr, idat] = readPng(bytes);
    // Six bytes of IDAT's data are the zlib header and checksum.
    assert.is(bytes.length - (idat.data.length - 6), 63);
    const pixels = head.length + latents.data.length;
    assert.is(new DataView(ihdr.data.slice().buffer).getUint32(0), pixels);
    const grey = unfilter(inflateSync(idat.data), pixels, 1);
    assert.equal([...grey.subarray(0, head.length)], head);
  }
});

test('the header costs less than 10 bytes', () => {
  const seeds = [1001, 1002, 1003, 1004, 1005, 1006];
  const costs = seeds.map((seed) => {
    const { data } = readPng(packLatentsPng(laplacianLatents(seed, 7, 6, 24).latents, header))[1];
    return data.length - 6 - deflateSmallest(inflateSync(data).subarray(7), 42).length;
  });
  assert.ok(costs.reduce((sum, cost) => sum + cost) < 10 * seeds.length, `bytes: ${costs}`);
});

test('our deflate coder makes data at least as small as zlib with any setting', () => {
  const sizes: string[] = [];
  for (const [seed, height, width, channels] of [
    [21, 7, 6, 24],
    [22, 7, 6, 48],
    [23, 14, 12, 8],
    [24, 14, 12, 24],
    [25, 2, 2, 4],
  ]) {
    let ours = 0;
    let best = 0;
    let ideal = 0;
    for (let k = 0; k < 2; k++) {
      const { latents, idealBits } = laplacianLatents(seed + 100 * k, height, width, channels);
      const bytes = packLatentsPng(latents, header);
      const pixels = PNG.sync.read(Buffer.from(bytes)).data.filter((_, i) => i % 4 === 0);
      let smallest = Number.POSITIVE_INFINITY;
      for (const filtered of filterCandidates(pixels, pixels.length)) {
        for (const level of [1, 9]) {
          for (const strategy of [0, 1, 2, 3, 4]) {
            for (const memLevel of [2, 9]) {
              smallest = Math.min(smallest, deflateRawSync(filtered, { level, strategy, memLevel }).length);
            }
          }
        }
      }
      const size = bytes.length - 63;
      assert.ok(size <= smallest, `${name(latents)}: ${size} bytes, zlib ${smallest}`);
      ours += size;
      best += smallest;
      ideal += idealBits / 8;
    }
    sizes.push(
      `  ${height}×${width}×${channels}: ideal ${(ideal / 2).toFixed(1)} B, our deflate ${ours / 2} B, best of zlib ${best / 2} B`,
    );
  }
  console.log(`\nmean sizes of compressed header and symbols\n${sizes.join('\n')}`);
});

test('deflated data inflate to the same, also if long, repetitive or empty', () => {
  const random = new CounterRandom(77);
  const inputs = [
    new Uint8Array(0),
    Uint8Array.of(9),
    new Uint8Array(70000).fill(3),
    Uint8Array.from({ length: 20000 }, (_, i) => (i * i) >> 7),
    Uint8Array.from({ length: 10000 }, () => random.int(256)),
    // One copy is from just outside of the 32 KiB window, and one from just inside it.
    Uint8Array.from({ length: 66000 }, (_, i) => ((i % 33000) * 2654435761) >>> 24),
    Uint8Array.from({ length: 66000 }, (_, i) => ((i % 32768) * 2654435761) >>> 24),
  ];
  for (let k = 0; k < 200; k++) {
    const alphabet = 1 + random.int(40);
    const length = random.int(600);
    inputs.push(Uint8Array.from({ length }, () => 120 + random.int(1 + random.int(alphabet))));
  }
  for (const input of inputs) {
    const packed = deflateSmallest(input, 1 + (input.length >> 3));
    assert.ok(Buffer.from(input).equals(inflateRawSync(packed)), `${input.length} bytes`);
    assert.ok(packed.length <= input.length + (input.length >> 8) + 16);
    const { tables, literals, matches, ends } = deflateParts(input, 1 + (input.length >> 3));
    assert.is(
      Math.ceil((tables + literals + matches + ends) / 8),
      packed.length,
      'the parts together are the whole stream',
    );
  }
});

test('a block ends with the head of the data, which then does not spoil the codes of the rest', () => {
  const random = new CounterRandom(78);
  const data = Uint8Array.from({ length: 600 }, (_, i) => (i < 8 ? 31 * i : 120 + random.int(6)));
  const packed = deflateSmallest(data, 50, 8);
  assert.ok(Buffer.from(data).equals(inflateRawSync(packed)));
  assert.ok(packed.length < deflateSmallest(data, 50).length);
  for (const headLength of [1, 599, 600, 601]) {
    assert.ok(Buffer.from(data).equals(inflateRawSync(deflateSmallest(data, 50, headLength))), `head of ${headLength}`);
  }
});

test('Huffman lengths fill the code space, keep the limit, and are optimal if the limit does not matter', () => {
  const fibonacci = [1, 1];
  while (fibonacci.length < 24) fibonacci.push(fibonacci.at(-1)! + fibonacci.at(-2)!);
  for (const maxBits of [7, 15]) {
    const lengths = huffmanLengths(fibonacci, maxBits);
    assert.is(Math.max(...lengths), maxBits);
    assert.is(
      lengths.reduce((sum, bits) => sum + 2 ** -bits, 0),
      1,
    );
  }
  assert.equal([...huffmanLengths([0, 5, 0], 15)], [0, 1, 0]);
  assert.equal([...huffmanLengths([0, 0], 15)], [0, 0]);
  // The example of RFC 1951, section 3.2.2.
  const codes = huffmanCodes([3, 3, 3, 3, 3, 2, 4, 4]);
  const bits = [...codes].map((code, s) =>
    [...code.toString(2).padStart([3, 3, 3, 3, 3, 2, 4, 4][s], '0')].reverse().join(''),
  );
  assert.equal(bits, ['010', '011', '100', '101', '110', '00', '1110', '1111']);
  // The sum of weighted depths must equal that of the textbook method, which always merges the two least.
  const random = new CounterRandom(5);
  for (let k = 0; k < 50; k++) {
    const counts = Array.from({ length: 2 + random.int(40) }, () => 1 + random.int(30));
    const queue = [...counts];
    let expected = 0;
    while (queue.length > 1) {
      queue.sort((a, b) => b - a);
      const merged = queue.pop()! + queue.pop()!;
      expected += merged;
      queue.push(merged);
    }
    const got = huffmanLengths(counts, 15).reduce((sum, length, s) => sum + length * counts[s], 0);
    assert.is(got, expected);
  }
});

test('every PNG filter is undone, at every picture width', () => {
  const pixels = Uint8Array.from(uniformLatents(11, 6, 5, 4).data);
  for (const width of [120, 30, 5, 1]) {
    for (const filtered of filterCandidates(pixels, width)) {
      assert.equal(unfilter(filtered, width, 120 / width), pixels);
    }
  }
});

const good = packLatentsPng(face, header);
/** What deflate gets: one row without a filter, which is the filter type, 6 bytes of header, and the symbols. */
const row = (() => {
  const pixels = PNG.sync.read(Buffer.from(good)).data.filter((_, i) => i % 4 === 0);
  return filterCandidates(pixels, pixels.length)[0];
})();
const edited = (edit: (chunks: PngChunk[]) => PngChunk[]) => png.edited(good, edit);
const withByte = (at: number, value: number) => png.withByte(good, 0, at, value);
const withStream = (stream: Uint8Array) => png.withPixels(good, stream);
/** A file of these pixels, deflated by another program. */
const withPixels = (pixels: Uint8Array, height = 1) =>
  png.withPixels(good, deflateSync(filterCandidates(pixels, pixels.length / height)[0]), [
    pixels.length / height,
    height,
  ]);
const withPixel = (at: number, value: number) =>
  withPixels(row.subarray(1).map((pixel, i) => (i === at ? value : pixel)));
const text: PngChunk = { type: 'tEXt', data: new TextEncoder().encode('Comment\0hello') };
const foreign = /a PNG, but not a compact file: it is not one row of 8-bit grey pixels, and has no cmEO chunk/;

png.testRefusals([
  ['empty', new Uint8Array(0), /truncated/],
  ['short', good.subarray(0, 5), /truncated/],
  ['cut in a chunk', good.subarray(0, 100), /truncated: chunk IDAT/],
  ['cut before IEND', good.subarray(0, good.length - 12), /truncated: no whole chunk/],
  ['a JPEG', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0, 0), /not a PNG/],
  ['trailing data', Uint8Array.of(...good, 1, 2), /2 bytes of foreign data after the end/],
  ['over 64 KiB', new Uint8Array(65537), /65537 bytes.*at most 65536/],
  ['a foreign PNG', PNG.sync.write(new PNG({ width: 4, height: 4 })), foreign],
  ['a foreign PNG of one row', PNG.sync.write(new PNG({ width: 4, height: 1 })), foreign],
  ['only IEND', edited((chunks) => chunks.slice(2)), foreign],
  ['wrong chunk CRC', good.map((byte, i) => (i === good.length - 20 ? byte ^ 1 : byte)), /IDAT.*CRC/],
  ['nameless chunk', good.map((byte, i) => (i === 37 ? 0 : byte)), /not four letters/],
  [
    'additional chunk',
    edited(([a, b, c]) => [a, text, b, c]),
    /chunks are IHDR tEXt IDAT IEND, must be IHDR IDAT IEND/,
  ],
  ['chunk after the pixels', edited(([a, b, c]) => [a, b, text, c]), /chunks are IHDR IDAT tEXt IEND/],
  ['two IDAT', edited(([a, b, c]) => [a, b, b, c]), /chunks are/],
  ['no IDAT', edited(([a, , c]) => [a, c]), /chunks are IHDR IEND/],
  ['reordered', edited(([a, b, c]) => [b, a, c]), foreign],
  ['cmEO', edited(([a, b, c]) => [a, { type: 'cmEO', data: row.slice(1, 11) }, b, c]), /version 2 has no cmEO chunk/],
  ['short IHDR', edited(([a, b, c]) => [{ type: 'IHDR', data: a.data.subarray(0, 12) }, b, c]), /IHDR has 12/],
  ['shorter IHDR', edited(([a, b, c]) => [{ type: 'IHDR', data: a.data.subarray(0, 6) }, b, c]), foreign],
  ['16-bit', withByte(8, 16), foreign],
  ['colour', withByte(9, 2), foreign],
  ['compression method', withByte(10, 1), /compression method 1/],
  ['filter method', withByte(11, 1), /filter method 1/],
  ['interlaced', withByte(12, 1), /interlace method 1/],
  ['no rows', withByte(7, 0), foreign],
  ['two rows', withPixels(row.subarray(1), 2), foreign],
  ['no pixels', png.withPixels(good, deflateSync(row), [0, 1]), /0×1 pixels/],
  ['huge picture', withByte(0, 0x7f), /at most 65543/],
  ['only a header', withPixels(row.subarray(1, 7)), /6×1 pixels is too small for a header/],
  ['less than a header', withPixels(row.subarray(1, 2)), /1×1 pixels is too small for a header/],
  ['picture that is no map', withPixels(row.subarray(1, 1014)), /1007 symbols are no whole latent maps of 7×6/],
  [
    'too many channels',
    withPixels(Uint8Array.of(0x25, 0, 0, 0, 0, 0x80, 0, ...new Uint8Array(513))),
    /channels is 513/,
  ],
  [
    'too many symbols',
    withPixels(Uint8Array.of(...row.slice(1, 6), 0xa0, 63, ...new Uint8Array(33 * 64 * 31 + 64))),
    /no whole/,
  ],
  ['version 0', withPixel(0, 0x05), /version 0 is not supported, this program reads versions 1 and 2/],
  ['version 1 without cmEO', withPixel(0, 0x15), /version 1 has a cmEO chunk, this file has none/],
  ['version 3', withPixel(0, 0x35), /version 3 is not supported, this program reads versions 1 and 2/],
  ['latent width', withPixel(5, 69), /latent width is 70|latent height is/],
  ['no height', withPixel(5, 6), /latent height is 8.1/],
  ['not zlib', withStream(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), /cannot be inflated/],
  ['empty IDAT', withStream(new Uint8Array(0)), /cannot be inflated/],
  ['cut zlib stream', withStream(deflateSync(row).subarray(0, 200)), /cannot be inflated: the stream ends early/],
  ['cut Adler-32', withStream(deflateSync(row).subarray(0, -2)), /cannot be inflated: the stream ends early/],
  [
    'wrong Adler-32',
    withStream(deflateSync(row).map((byte, i, { length }) => (i === length - 1 ? byte ^ 1 : byte))),
    /incorrect data check/,
  ],
  ['too little data', withStream(deflateSync(row.subarray(1))), /expand to 1014 bytes, expected 1015/],
  ['too much data', withStream(deflateSync(Buffer.concat([row, row]))), /more than 1015/],
  ['a bomb', withStream(deflateSync(new Uint8Array(30_000_000))), /more than 1015/],
  ['data after zlib', withStream(Buffer.concat([deflateSync(row), row.subarray(0, 3)])), /3 bytes of foreign data/],
  ['filter type 5', withStream(deflateSync(row.map((byte, i) => (i === 0 ? 5 : byte)))), /filter type 5/],
]);

test('files that another program has recompressed are read: any filter and deflate setting', () => {
  const pixels = row.subarray(1);
  for (let type = 0; type < 5; type++) {
    // In one row, Up is None, and Paeth is Sub.
    const filtered = filterCandidates(pixels, pixels.length)[[0, 1, 0, 2, 1][type]].slice();
    filtered[0] = type;
    for (const level of [0, 1, 6, 9]) {
      const bytes = withStream(deflateSync(filtered, { level, windowBits: 9 + type }));
      assert.equal(unpackLatentsPng(bytes), { latents: face, modelId: '00c0ffee', rate: 5, version: 2 });
    }
  }
});

test('a compact file is recognised by its first bytes, and no other PNG is, a grey photograph least of all', () => {
  for (const file of files) assert.ok(isCompactPng(file.subarray(0, 64)));
  const grey = (width: number, height: number) => PNG.sync.write(new PNG({ width, height }), { colorType: 0 });
  assert.ok(isCompactPng(grey(96, 1)), 'by its shape');
  const others = [grey(96, 112), grey(1, 112), grey(96, 257), PNG.sync.write(new PNG({ width: 4, height: 1 }))];
  others.push(Buffer.from(edited(([a, b, c]) => [a, text, b, c])));
  for (const bytes of [...others, good.subarray(0, 36), good.subarray(1), new Uint8Array(0)]) {
    assert.not(isCompactPng(bytes));
  }
});

test('packing refuses latents that no file can hold', () => {
  const pack = (change: Partial<Latents>, changedHeader = {}): (() => void) => {
    return () => packLatentsPng({ ...face, ...change }, { ...header, ...changedHeader });
  };
  const refuses = (run: () => void, type: typeof ShapeError | typeof ArgumentError, message: RegExp): void => {
    assert.throws(run, (error: unknown) => error instanceof type && message.test((error as Error).message));
  };
  refuses(pack({ height: 8 }), ShapeError, /8×6×24 need 1152 bytes of data, got 1008/);
  refuses(pack({ height: 0 }), ShapeError, /latent height is 0/);
  refuses(pack({ width: 65 }), ShapeError, /latent width is 65.*1 to 64/);
  refuses(pack({ channels: 513 }), ShapeError, /latent channels is 513/);
  refuses(pack({ height: 64, width: 64, channels: 17 }), ShapeError, /69632 symbols, at most 65536/);
  refuses(pack({}, { rate: 16 }), ArgumentError, /rate is 16/);
  refuses(pack({}, { rate: 1.5 }), ArgumentError, /rate is 1.5/);
  refuses(pack({}, { modelId: '12345' }), ArgumentError, /model id "12345"/);
  refuses(pack({}, { modelId: new Uint8Array(5) }), ArgumentError, /model id has 5 bytes/);
  refuses(() => packLatentsPng(uniformLatents(3, 64, 64, 16), header), ArgumentError, /at most 65536/);
  refuses(() => latentsFromSymbols([0, 128], 1, 1, 2), ArgumentError, /symbol 1 is 128/);
  refuses(() => latentsFromSymbols([0.5], 1, 1, 1), ArgumentError, /symbol 0 is 0.5/);
});

test('symbols map to bytes and back', () => {
  const latents = latentsFromSymbols([-128, -1, 0, 127], 1, 2, 2);
  assert.equal([...latents.data], [0, 127, 128, 255]);
  assert.equal([...symbolsOf(latents)], [-128, -1, 0, 127]);
});

test.run();
