import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { joinPngChunks } from '../../src/codec/png/chunks.js';
import { ImageError } from '../../src/common/errors.js';
import { listFaces } from '../../src/data/faces/face-listing.js';
import { readImage } from '../../src/data/pictures/image.js';
import { listPictures } from '../../src/data/pictures/picture-listing.js';
import { rejection } from '../helpers/rejection.js';

type Rgb = readonly [number, number, number];

const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n >>> 0);
  return bytes;
};
const fixed = (value: number): Buffer => u32(Math.round(value * 65536));

/** An ICC profile with one exponent: for grey, or for three primaries that are given in XYZ (D50). */
function profile(gamma: number, primaries?: readonly Rgb[]): Buffer {
  const xyz = (values: readonly number[]): Buffer => Buffer.concat([Buffer.from('XYZ '), u32(0), ...values.map(fixed)]);
  const g = Math.round(gamma * 256);
  const curve = Buffer.concat([Buffer.from('curv'), u32(0), u32(1), Buffer.from([g >> 8, g & 255, 0, 0])]);
  const white = [0.9642, 1, 0.8249];
  const tags: [string, Buffer][] = [
    ['desc', Buffer.concat([Buffer.from('desc'), u32(0), u32(2), Buffer.from('g\0'), Buffer.alloc(78)])],
    ['cprt', Buffer.from('text\0\0\0\0x\0')],
    ['wtpt', xyz(white)],
    ...(primaries ?? []).flatMap((values, k): [string, Buffer][] => [
      [`${'rgb'[k]}XYZ`, xyz(values)],
      [`${'rgb'[k]}TRC`, curve],
    ]),
    ...(primaries ? [] : [['kTRC', curve] as [string, Buffer]]),
  ];
  let at = 132 + 12 * tags.length;
  const table: Buffer[] = [];
  const bodies: Buffer[] = [];
  for (const [name, data] of tags) {
    const body = Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
    table.push(Buffer.concat([Buffer.from(name), u32(at), u32(data.length)]));
    bodies.push(body);
    at += body.length;
  }
  const head = Buffer.alloc(128);
  head.writeUInt32BE(at);
  head.writeUInt32BE(0x02100000, 8);
  head.write(primaries ? 'mntrRGB XYZ ' : 'mntrGRAYXYZ ', 12);
  for (const [k, value] of [2020, 1, 1].entries()) head.writeUInt16BE(value, 24 + 2 * k);
  head.write('acsp', 36);
  Buffer.concat(white.map(fixed)).copy(head, 68);
  return Buffer.concat([head, u32(tags.length), ...table, ...bodies]);
}

/** A PNG of one row. The samples have 16 bits; for a depth of 8 their upper halves are taken. */
function png(depth: 8 | 16, type: 0 | 2 | 4 | 6, samples: readonly number[], chunks: Record<string, Uint8Array> = {}) {
  const channels = { 0: 1, 2: 3, 4: 2, 6: 4 }[type];
  const row = samples.flatMap((v) => (depth === 16 ? [v >> 8, v & 255] : [v >> 8]));
  const header = Buffer.concat([u32(samples.length / channels), u32(1), Buffer.from([depth, type, 0, 0, 0])]);
  const { icc, ...others } = chunks;
  return joinPngChunks([
    { type: 'IHDR', data: header },
    ...(icc ? [{ type: 'iCCP', data: Buffer.concat([Buffer.from('p\0\0'), deflateSync(icc)]) }] : []),
    ...Object.entries(others).map(([name, data]) => ({ type: name, data })),
    { type: 'IDAT', data: deflateSync(Uint8Array.from([0, ...row])) },
    { type: 'IEND', data: new Uint8Array(0) },
  ]);
}

const toSrgb = (light: number): number => {
  const v = Math.min(1, Math.max(0, light));
  return 255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);
};

const pixels = async (bytes: Uint8Array, background?: 'white'): Promise<number[]> => [
  ...(await readImage(bytes, { background })).data,
];

/** Asserts that each value is within one level of the expected one, and half a level for its rounding. */
function near(actual: readonly number[], expected: readonly number[], what: string, most = 1.5): void {
  assert.is(actual.length, expected.length, what);
  actual.forEach((v, k) => {
    assert.ok(Math.abs(v - expected[k]) <= most, `${what}: ${actual} is not ${expected.map((e) => e.toFixed(1))}`);
  });
}

/** Values of 16 bits whose upper 8 bits mean the same value. */
const TWINS = [0, 1, 5, 20, 55, 90, 128, 200, 254, 255].map((v) => 257 * v);
const BETWEEN = [100, 700, 3000, 9999, 30000, 54321, 65400];

test('grey is converted by its colour profile, in 8 bits and in 16', async () => {
  for (const gamma of [1.8, 2.2]) {
    const icc = profile(gamma);
    const light = (v: number): number => toSrgb((v / 65535) ** gamma);
    const rgb = (values: readonly number[]): number[] => values.flatMap((v) => [light(v), light(v), light(v)]);
    for (const depth of [8, 16] as const) {
      near(await pixels(png(depth, 0, TWINS, { icc })), rgb(TWINS), `grey, exponent ${gamma}, ${depth} bits`);
      const clear = TWINS.flatMap((v) => [v, 65535]);
      near(await pixels(png(depth, 4, clear, { icc })), rgb(TWINS), `grey and opacity, ${gamma}, ${depth} bits`);
    }
    near(await pixels(png(16, 0, BETWEEN, { icc })), rgb(BETWEEN), `grey, exponent ${gamma}, between`);
  }
});

/** The matrix from Adobe RGB to XYZ (D50), and the one from XYZ to sRGB. */
const ADOBE: readonly Rgb[] = [
  [0.60974, 0.31111, 0.01947],
  [0.20528, 0.62567, 0.06087],
  [0.14919, 0.06322, 0.74457],
];
const FROM_XYZ: readonly Rgb[] = [
  [3.1338561, -1.6168667, -0.4906146],
  [-0.9787684, 1.9161415, 0.033454],
  [0.0719453, -0.2289914, 1.4052427],
];

test('colours are converted by their colour profile, in 8 bits and in 16', async () => {
  const gamma = 563 / 256;
  const icc = profile(gamma, ADOBE);
  const colours: Rgb[] = [
    [180, 90, 60],
    [128, 128, 128],
    [100, 120, 110],
    [220, 200, 190],
    [255, 255, 255],
  ];
  const expected = colours.flatMap((colour) => {
    const linear = colour.map((v) => (v / 255) ** gamma);
    const xyz = [0, 1, 2].map((axis) => ADOBE.reduce((sum, primary, k) => sum + primary[axis] * linear[k], 0));
    return FROM_XYZ.map((row) => toSrgb(row.reduce((sum, factor, axis) => sum + factor * xyz[axis], 0)));
  });
  const samples = colours.flat().map((v) => 257 * v);
  const [eight, sixteen] = [await pixels(png(8, 2, samples, { icc })), await pixels(png(16, 2, samples, { icc }))];
  near(eight, expected, '8 bits', 2); // lcms also rounds its tables
  near(sixteen, expected, '16 bits', 2);
  near(sixteen, eight, '16 bits and 8', 1);
  const clear = colours.flatMap((colour) => [...colour, 255].map((v) => 257 * v));
  near(await pixels(png(16, 6, clear, { icc })), eight, '16 bits and opacity', 1);
});

const LEVELS = [0, 1, 9, 60, 128, 200, 255];
const EVERY = LEVELS.flatMap((r) => LEVELS.flatMap((g) => LEVELS.flatMap((b) => [r, g, b]))).map((v) => 257 * v);

test('dark, saturated and grey samples of any profile give the same in 8 bits and in 16', async () => {
  for (const gamma of [1, 1.8, 2.2]) {
    const icc = profile(gamma, ADOBE);
    assert.equal(
      await pixels(png(16, 2, EVERY, { icc })),
      await pixels(png(8, 2, EVERY, { icc })),
      `exponent ${gamma}`,
    );
    const grey = { icc: profile(gamma) };
    assert.equal(await pixels(png(16, 0, TWINS, grey)), await pixels(png(8, 0, TWINS, grey)), `grey, ${gamma}`);
    // A sample between two 8-bit samples is converted to a value between theirs.
    const [low, , high] = [0, 128, 257].map((more) => 257 * 60 + more);
    const row = await pixels(png(16, 0, [low, 257 * 60 + 128, high], grey));
    assert.ok(row[0] <= row[3] && row[3] <= row[6], `${row}`);
  }
});

test('without a profile, or with one that cannot be understood, samples are sRGB', async () => {
  const samples = [200, 60, 30, 0, 1, 255].map((v) => 257 * v);
  const expected = [200, 60, 30, 0, 1, 255];
  for (const depth of [8, 16] as const) {
    assert.equal(await pixels(png(depth, 2, samples)), expected);
    const icc = Buffer.from('this is not a colour profile');
    assert.equal(await pixels(png(depth, 2, samples, { icc })), expected, `${depth} bits`);
    assert.equal(await pixels(png(depth, 0, [257 * 55], { icc })), [55, 55, 55], `grey, ${depth} bits`);
  }
});

test('transparent pixels show the background, in 8 bits and in 16', async () => {
  const half = [200, 60, 30, 128].map((v) => 257 * v);
  const over = (v: number): number => 255 + (128 / 255) * (v - 255);
  for (const depth of [8, 16] as const) {
    near(await pixels(png(depth, 6, half), 'white'), [200, 60, 30].map(over), `${depth} bits`, 1);
    near(await pixels(png(depth, 4, [257 * 90, 257 * 128]), 'white'), [90, 90, 90].map(over), `grey, ${depth}`, 1);
    near(await pixels(png(depth, 6, half)), [100, 30, 15], `${depth} bits on black`, 1);
  }
});

test('a large picture that is converted in several parts gives the same pixels as a small one', async () => {
  const few = 331; // does not divide the size of a part
  const many = 1700 * few;
  const gamma = u32(100_000);
  const cases: [8 | 16, 0 | 2 | 4 | 6, Record<string, Uint8Array>][] = [
    [16, 2, { icc: profile(1.8, ADOBE) }],
    [16, 4, { icc: profile(1.8) }],
    [16, 6, {}],
    [8, 6, {}],
    [8, 2, { gAMA: gamma }],
  ];
  for (const [depth, type, chunks] of cases) {
    const channels = { 0: 1, 2: 3, 4: 2, 6: 4 }[type];
    const values = Array.from({ length: few * channels }, (_, k) => (k * 40_503) % 65_536);
    const expected = Buffer.from(await pixels(png(depth, type, values, chunks), 'white'));
    const repeated = Array.from({ length: many * channels }, (_, k) => values[k % values.length]);
    const { data } = await readImage(png(depth, type, repeated, chunks), { background: 'white' });
    assert.is(data.length, 3 * many);
    for (let from = 0; from < data.length; from += expected.length) {
      assert.ok(
        expected.equals(data.subarray(from, from + expected.length)),
        `${depth} bits, type ${type}, from ${from}`,
      );
    }
  }
});

test("a PNG's chunk gAMA counts, but not beside a profile, and not where it means sRGB", async () => {
  const linear = u32(100_000);
  const expected = toSrgb(55 / 255);
  for (const depth of [8, 16] as const) {
    near(await pixels(png(depth, 0, [257 * 55], { gAMA: linear })), [expected, expected, expected], `${depth} bits`, 1);
    assert.equal(await pixels(png(depth, 0, [257 * 55], { gAMA: u32(45_455) })), [55, 55, 55]);
    assert.equal(await pixels(png(depth, 0, [257 * 55], { sRGB: Uint8Array.of(0), gAMA: linear })), [55, 55, 55]);
  }
});

test('AVIF, TIFF, GIF and the first frame of several are read, upright', async () => {
  const half = { width: 3, height: 4, channels: 3 as const };
  const red = sharp({ create: { ...half, background: { r: 200, g: 60, b: 30 } } });
  const blue = sharp({ create: { ...half, background: { r: 0, g: 0, b: 200 } } });
  const pages = [await red.clone().png().toBuffer(), await blue.png().toBuffer()];
  const several = () => sharp(pages, { join: { animated: true } });
  const made: Record<string, Buffer> = {
    avif: await red.clone().avif({ lossless: true }).toBuffer(),
    'avif of 12 bits': await red.clone().toColourspace('rgb16').avif({ lossless: true, bitdepth: 12 }).toBuffer(),
    tiff: await red.clone().tiff({ compression: 'lzw' }).toBuffer(),
    'tiff of 16 bits': await red.clone().toColourspace('rgb16').tiff({ compression: 'deflate' }).toBuffer(),
    'tiff of Display P3': await red.clone().withIccProfile('p3').tiff({ compression: 'none' }).toBuffer(),
    'tiff of pages': await several().tiff({ compression: 'lzw' }).toBuffer(),
    gif: await red.clone().gif().toBuffer(),
    'gif of frames': await several().gif().toBuffer(),
    'webp of frames': await several().webp({ lossless: true }).toBuffer(),
    'png of a palette': await red.clone().png({ palette: true }).toBuffer(),
  };
  for (const [what, bytes] of Object.entries(made)) {
    const { width, height, data } = await readImage(bytes);
    assert.equal([width, height], [3, 4], what);
    near([...data.slice(0, 3)], [200, 60, 30], what, 2);
  }
  for (const turned of [red.clone().tiff(), red.clone().toColourspace('rgb16').png()]) {
    const { width, height } = await readImage(await turned.withMetadata({ orientation: 6 }).toBuffer());
    assert.equal([width, height], [4, 3]);
  }
});

test('an unsupported kind of picture gives a one-line error that says what to do', async () => {
  const box = (brand: string, ...others: string[]): Buffer =>
    Buffer.concat([
      u32(16 + 4 * others.length),
      Buffer.from(`ftyp${brand}\0\0\0\0${others.join('')}`),
      Buffer.alloc(32),
    ]);
  const cases: [Uint8Array, RegExp][] = [
    [box('heic', 'mif1'), /^X: a HEIC picture; make a JPEG of it first, with `heif-convert/],
    [box('mif1', 'heic', 'miaf'), /a HEIC picture/],
    [Buffer.from('<?xml version="1.0"?>\n<svg xmlns="x"/>'), /an SVG drawing, which has no pixels/],
    [Buffer.from([0xff, 0x0a, 1, 2]), /a JPEG XL picture/],
    [Buffer.from('BM123456'), /a BMP picture/],
    [Buffer.from('hello'), /^X: not a JPEG, PNG, WebP, AVIF, GIF or TIFF picture$/],
    [box('isom', 'mp42'), /not a JPEG/],
  ];
  for (const [bytes, reason] of cases) {
    assert.match((await rejection(() => readImage(bytes, { name: 'X' }), ImageError)).message, reason);
  }
});

test('folders take pictures of every format that can be read, and report the others', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cameo-formats-'));
  const read = ['a.avif', 'b.GIF', 'c.jfif', 'd.jpeg', 'e.png', 'f.tif', 'g.tiff', 'h.webp'];
  for (const name of [...read, 'i.heic', 'j.txt']) await writeFile(join(folder, name), '');
  assert.equal(
    (await listPictures(folder)).pictures.map(({ below }) => below),
    read,
  );
  const { entries, unreadable } = await listFaces(folder);
  assert.equal(
    entries.map(({ path }) => path),
    read,
  );
  assert.equal(unreadable, [{ path: 'i.heic', reason: 'not a JPEG, PNG, WebP, AVIF, GIF or TIFF picture' }]);
});

test.run();
