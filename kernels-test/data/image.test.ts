import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ImageError } from '../../src/common/errors.js';
import { ensureFolder, FileError, writeFileAtomic } from '../../src/data/files/atomic-file.js';
import { encodePng, type RgbImage, readImage, writePng } from '../../src/data/pictures/image.js';
import { DEMO_PHOTOS } from '../helpers/data-available.js';
import { rejection } from '../helpers/rejection.js';

const folder = await mkdtemp(join(tmpdir(), 'cameo-image-'));
test.after(() => rm(folder, { recursive: true, force: true }));

/** A smooth picture, so that lossy formats keep it, with unequal sides and colours, so that a turn or a swap shows. */
function gradient(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      data.set([(255 * x) / (width - 1), (255 * y) / (height - 1), 120], at);
    }
  }
  return { width, height, data };
}

function raw(image: RgbImage): ReturnType<typeof sharp> {
  return sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } });
}

function maxDifference(a: RgbImage, b: RgbImage): number {
  assert.equal([a.width, a.height], [b.width, b.height]);
  return a.data.reduce((max, v, i) => Math.max(max, Math.abs(v - b.data[i])), 0);
}

/** A PNG file whose header claims a size, and which has hardly any data. */
function pngOfSize(width: number, height: number): Uint8Array {
  const chunk = (type: string, body: Uint8Array): Buffer => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(body.length);
    head.write(type, 4, 'latin1');
    const tail = Buffer.alloc(4);
    tail.writeUInt32BE(crc32(Buffer.concat([head.subarray(4), body])));
    return Buffer.concat([head, body, tail]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = chunk('IDAT', deflateSync(Buffer.alloc(64)));
  return Buffer.concat([signature, chunk('IHDR', header), data, chunk('IEND', Buffer.alloc(0))]);
}

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

test('PNG files keep every byte, and equal pictures give equal files', async () => {
  const image = gradient(37, 23);
  const path = join(folder, 'exact.png');
  await writePng(path, image);
  const back = await readImage(path);
  assert.equal([back.width, back.height], [37, 23]);
  assert.equal(back.data, image.data);
  assert.equal(new Uint8Array(await readFile(path)), new Uint8Array(await encodePng(image)));
});

test('JPEG and WebP files are read from a path and from bytes', async () => {
  const image = gradient(64, 48);
  for (const bytes of [
    await raw(image).jpeg({ quality: 95 }).toBuffer(),
    await raw(image).webp({ quality: 95 }).toBuffer(),
  ]) {
    const path = join(folder, 'misnamed.png');
    await writeFile(path, bytes);
    const a = await readImage(path);
    const b = await readImage(new Uint8Array(bytes));
    assert.ok(maxDifference(a, image) < 16, `differs by ${maxDifference(a, image)}`);
    assert.equal(a.data, b.data);
  }
});

test('EXIF orientation turns the picture upright', async () => {
  const image = gradient(40, 24);
  // With orientation 6 the camera was turned, and the picture is shown after a quarter turn clockwise.
  const path = join(folder, 'turned.png');
  await writeFile(path, await raw(image).withMetadata({ orientation: 6 }).png().toBuffer());
  const turned = await readImage(path);
  assert.equal([turned.width, turned.height], [24, 40]);
  for (let y = 0; y < 24; y++) {
    for (let x = 0; x < 40; x++) {
      const from = (y * 40 + x) * 3;
      const to = (x * 24 + (23 - y)) * 3;
      assert.equal(turned.data.slice(to, to + 3), image.data.slice(from, from + 3));
    }
  }
});

test('grey, 16-bit, CMYK and transparent pictures become 8-bit RGB', async () => {
  const pixel = async (bytes: Uint8Array, background?: 'black' | 'white'): Promise<number[]> => {
    const { data, width, height } = await readImage(bytes, { background });
    assert.is(data.length, width * height * 3);
    return [...data.slice(0, 3)];
  };
  const flat = (r: number, g: number, b: number) =>
    sharp({ create: { width: 8, height: 8, channels: 3, background: { r, g, b } } });
  assert.equal(await pixel(await flat(90, 90, 90).toColourspace('b-w').png().toBuffer()), [90, 90, 90]);
  // libvips converts to 16 bits by a factor of 256: 51200 of 65535 is 199.2 of 255.
  assert.equal(await pixel(await flat(200, 100, 50).toColourspace('rgb16').png().toBuffer()), [199, 100, 50]);
  const cmyk = await pixel(await flat(150, 120, 100).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer());
  [150, 120, 100].forEach((v, c) => {
    assert.ok(Math.abs(cmyk[c] - v) < 20, `CMYK gives ${cmyk}`);
  });
  const background = { r: 200, g: 100, b: 0, alpha: 0.5 };
  const clear = await sharp({ create: { width: 8, height: 8, channels: 4, background } })
    .png()
    .toBuffer();
  const near = (actual: number[], expected: number[]): boolean =>
    actual.every((v, c) => Math.abs(v - expected[c]) <= 1);
  assert.ok(near(await pixel(clear), [100, 50, 0]));
  assert.ok(near(await pixel(clear, 'black'), [100, 50, 0]));
  assert.ok(near(await pixel(clear, 'white'), [228, 178, 128]));
});

test('a bad file gives a one-line error that names it and says what is wrong', async () => {
  const photo = await readFile(join(DEMO_PHOTOS, 'sample1.jpg'));
  const png = Buffer.from(await encodePng(gradient(96, 112)));
  const webp = await raw(gradient(96, 112)).webp().toBuffer();
  const damaged = Buffer.from(png);
  damaged.fill(0xff, 60, 90);
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty.jpg', Buffer.alloc(0), /the file is empty/],
    ['text.jpg', Buffer.from('This is a letter, not a picture.\n'), /not a JPEG, PNG, WebP, AVIF, GIF or TIFF/],
    ['drawing.png', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), /an SVG drawing/],
    ['cut.gif', (await raw(gradient(8, 8)).gif().toBuffer()).subarray(0, 40), /truncated or damaged/],
    ['cut.jpg', photo.subarray(0, Math.floor(photo.length / 2)), /truncated or damaged \(premature end/],
    ['last-byte.jpg', photo.subarray(0, photo.length - 2), /truncated or damaged/],
    ['head.jpg', photo.subarray(0, 40), /header is truncated or damaged/],
    ['marker.jpg', photo.subarray(0, 3), /header is truncated or damaged/],
    ['cut.png', png.subarray(0, png.length - 100), /truncated or damaged/],
    ['damaged.png', damaged, /truncated or damaged/],
    ['signature.png', png.subarray(0, 8), /truncated or damaged/],
    ['cut.webp', webp.subarray(0, webp.length - 60), /truncated or damaged/],
    ['zero.png', pngOfSize(0, 0), /0×0/],
    ['zero-high.png', pngOfSize(96, 0), /96×0/],
    ['huge.png', pngOfSize(20_000, 10_000), /20000×10000, 200 megapixels; at most 120/],
    ['hollow.png', pngOfSize(96, 112), /truncated or damaged/],
  ];
  for (const [name, bytes, reason] of cases) {
    const path = join(folder, name);
    await writeFile(path, bytes);
    const error = await rejection(() => readImage(path), ImageError);
    assert.match(error.message, reason);
    assert.ok(error.message.startsWith(`${path}: `), error.message);
    assert.not.match(error.message, /\n/);
    assert.match((await rejection(() => readImage(bytes, { name: 'X' }), ImageError)).message, /^X: /);
  }
});

test('a path that is not a picture file gives a one-line error', async () => {
  await mkdir(join(folder, 'folder.jpg'));
  assert.match((await rejection(() => readImage(join(folder, 'folder.jpg')), ImageError)).message, /it is a folder/);
  const missing = join(folder, 'missing.jpg');
  const error = await rejection(() => readImage(missing), ImageError);
  assert.is(error.message, `${missing}: cannot be read: no such file or folder (ENOENT)`);
});

test('a picture of another size than expected is refused, after its orientation is applied', async () => {
  const turned = await raw(gradient(112, 96)).withMetadata({ orientation: 6 }).jpeg().toBuffer();
  const crop = await readImage(turned, { exactly: { width: 96, height: 112 } });
  assert.equal([crop.width, crop.height], [96, 112]);
  const error = await rejection(() => readImage(turned, { exactly: { width: 112, height: 96 } }), ImageError);
  assert.match(error.message, /is 96×112; expected 112×96/);
});

test('a picture whose data does not fit its size is not written', async () => {
  const path = join(folder, 'wrong.png');
  const bad = [
    { width: 4, height: 4, data: new Uint8Array(47) },
    { width: 0, height: 0, data: new Uint8Array(0) },
    { width: 1.5, height: 2, data: new Uint8Array(9) },
  ];
  for (const image of bad) await rejection(() => writePng(path, image), ArgumentError);
  assert.not.ok((await readdir(folder)).includes('wrong.png'));
});

test('writing replaces the old file as a whole, and leaves no temporary file', async () => {
  const place = join(folder, 'atomic');
  await ensureFolder(join(place, 'deep'));
  await ensureFolder(place);
  const path = join(place, 'a.txt');
  await writeFileAtomic(path, 'first');
  await writeFileAtomic(path, new Uint8Array([104, 105]), { durable: true });
  assert.is(await readFile(path, 'utf8'), 'hi');
  // The last writer wins, but no reader may see a mixture.
  const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(100_000));
  await Promise.all(texts.map((text) => writeFileAtomic(path, text)));
  assert.ok(texts.includes(await readFile(path, 'utf8')));
  assert.equal((await readdir(place)).sort(), ['a.txt', 'deep']);
});

test('a target that cannot be written gives a one-line error', async () => {
  const place = join(folder, 'targets');
  await ensureFolder(join(place, 'folder'));
  await writeFile(join(place, 'file'), 'kept');
  const cases: [string, RegExp][] = [
    [join(place, 'none', 'a.png'), /the folder .*none does not exist/],
    [join(place, 'folder'), /it is a folder/],
    [join(place, 'file', 'a.png'), /a part of its path is a file/],
    [join(place, 'n'.repeat(300)), /the name is too long/],
  ];
  if (process.platform === 'linux') cases.push(['/dev/null', /not a regular file/]);
  for (const [path, reason] of cases) {
    const error = await rejection(() => writePng(path, gradient(4, 4)), FileError);
    assert.match(error.message, reason);
    assert.ok(error.message.startsWith(`cannot write ${path}: `), error.message);
    assert.not.match(error.message, /\n/);
  }
  assert.match((await rejection(() => ensureFolder(join(place, 'file')), FileError)).message, /not a folder/);
  assert.equal((await readdir(place)).sort(), ['file', 'folder']);
  assert.is(await readFile(join(place, 'file'), 'utf8'), 'kept');
});

const superuser = process.getuid?.() === 0;
if (superuser || process.platform === 'win32')
  console.log('SKIP a folder without permission: permissions do not apply to the superuser');
(superuser || process.platform === 'win32' ? test.skip : test)('a folder without permission', async () => {
  const place = join(folder, 'locked');
  await mkdir(place);
  await chmod(place, 0o500);
  const error = await rejection(() => writeFileAtomic(join(place, 'a'), 'x'), FileError);
  assert.match(error.message, /permission denied/);
});

const limits = process.platform !== 'win32';
if (!limits) console.log('SKIP a write that fails half-way: needs the ulimit of a POSIX shell');
(limits ? test : test.skip)('a write that fails half-way keeps the old file and leaves nothing else', async () => {
  // A limit on the size of files stops a write in the middle, as a full disk does.
  const place = join(folder, 'full');
  await mkdir(place);
  const path = join(place, 'a.bin');
  await writeFile(path, 'old');
  const module = new URL('../../src/data/files/atomic-file.ts', import.meta.url).href;
  const code = `
    const { writeFileAtomic } = await import(${JSON.stringify(module)});
    await writeFileAtomic(${JSON.stringify(path)}, new Uint8Array(8e6)).catch((e) => console.log(e.name, e.message));`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', code];
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -f 4096; exec "$@"', 'sh', ...node]);
  assert.match(stdout, /^FileError cannot write .*a\.bin: .*\(EFBIG\)\n$/);
  assert.is(await readFile(path, 'utf8'), 'old');
  assert.equal(await readdir(place), ['a.bin']);
});

test.run();
