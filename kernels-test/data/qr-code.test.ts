import sharp, { type Sharp } from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { encodePng, type RgbImage, readImage } from '../../src/data/pictures/image.js';
import {
  QR_CAPACITY,
  type QrCorrection,
  qrModules,
  qrPicture,
  qrSvg,
  qrVersion,
} from '../../src/data/pictures/qr-code.js';
import { NoCodeError, readQr, searchQr } from '../../src/data/pictures/read-qr.js';

const PATIENCE = 5000;

/** Draws bytes as a QR code, and reads them from the picture. */
function roundTrip(bytes: Uint8Array, scale: number): Uint8Array {
  return readQr(qrPicture(qrModules(bytes), scale), PATIENCE);
}

const random = (count: number): Uint8Array => {
  const words = new CounterRandom(3, count);
  return Uint8Array.from({ length: count }, () => words.int(256));
};

test('every byte is read as it was written, also bytes that a text encoding would change', () => {
  const all = Uint8Array.from({ length: 256 }, (_, k) => k);
  const cases = [all, all.slice().reverse(), Uint8Array.of(0xef, 0xbb, 0xbf, 0xc3, 0x28, 0, 0xff), Uint8Array.of(0x30)];
  for (const bytes of cases) assert.equal(roundTrip(bytes, 4), bytes);
});

test('any face that the page makes fits, at any size of the modules', () => {
  for (const count of [190, 500, 992]) {
    for (const scale of [2, 3, 6]) assert.equal(roundTrip(random(count), scale), random(count), `${count}×${scale}`);
  }
});

test('a code with damage that error correction covers is still read', () => {
  const bytes = random(300);
  const picture = qrPicture(qrModules(bytes), 4);
  // The stain covers 4 % of the area, away from the corners.
  const side = picture.width;
  const [from, to] = [Math.round(0.4 * side), Math.round(0.6 * side)];
  for (let y = from; y < to; y++) picture.data.fill(128, 3 * (y * side + from), 3 * (y * side + to));
  assert.equal(readQr(picture, PATIENCE), bytes);
});

test('a picture without a code is refused', () => {
  const picture = { width: 120, height: 90, data: random(3 * 120 * 90) };
  assert.throws(
    () => readQr(picture, 200),
    (error: Error) => error instanceof NoCodeError,
  );
});

test('every level of error correction holds as many bytes as in the standard, and no more', () => {
  for (const [correction, max] of Object.entries(QR_CAPACITY) as [QrCorrection, number][]) {
    const modules = qrModules(random(max), { correction });
    assert.equal([modules.length, qrVersion(modules)], [177 + 8, 40], correction);
    assert.equal(readQr(qrPicture(modules, 3), PATIENCE), random(max), correction);
    for (const count of [0, max + 1]) {
      assert.throws(() => qrModules(random(count), { correction }), new RegExp(`of ${count} bytes; .* 1 to ${max}`));
    }
  }
  assert.is(qrVersion(qrModules(random(10), { border: 1 }), 1), 1);
});

/** A code of 300 bytes, distorted as in a photograph. */
const code = qrPicture(qrModules(random(300)), 6);
const draw = async (): Promise<Sharp> => sharp(await encodePng(code));

/** The pixels of a picture file. */
const shown = async (picture: Sharp): Promise<RgbImage> => readImage(await picture.toBuffer());

test('the SVG shows the same code, with the border that was asked for', async () => {
  for (const border of [1, 2, 4]) {
    const modules = qrModules(random(300), { border });
    const svg = qrSvg(modules, 5);
    const picture = await readImage(await sharp(Buffer.from(svg)).png().toBuffer());
    assert.equal(picture, qrPicture(modules, 5), `border ${border}`);
  }
});

const PHOTOGRAPHS: Record<string, (code: Sharp) => Sharp | Promise<Sharp>> = {
  'a JPEG of low quality': (code) => code.jpeg({ quality: 30 }),
  'turned a little': (code) => code.rotate(7, { background: '#ddd' }),
  'turned by 90°': (code) => code.rotate(90),
  'turned by 37° and blurred': (code) => code.rotate(37, { background: '#999' }).blur(1.5),
  'made smaller, to 2.3 pixels a module': (code) => code.resize(Math.round(2.3 * 77)),
  'made larger and blurred': async (code) => sharp(await code.resize(1500).png().toBuffer()).blur(4),
  'pale, with little contrast': (code) => code.linear(0.25, 90),
  'light on dark': (code) => code.negate({ alpha: false }),
  'seen in a mirror': (code) => code.flop(),
  'a small part of a large photograph': async (code) =>
    sharp({ create: { width: 3000, height: 2200, channels: 3, background: '#8a7d70' } })
      .composite([{ input: await code.rotate(8, { background: '#fff' }).png().toBuffer(), left: 1900, top: 300 }])
      .jpeg({ quality: 80 }),
  'a photograph with noise': async (code) => {
    const size = 924;
    const noise = { type: 'gaussian' as const, mean: 128, sigma: 70 };
    const grain = await sharp({ create: { width: size, height: size, channels: 3, background: '#000', noise } })
      .png()
      .toBuffer();
    const large = await code.resize(size, size).png().toBuffer();
    return sharp(
      await sharp(large)
        .composite([{ input: grain, blend: 'soft-light' }])
        .png()
        .toBuffer(),
    ).jpeg();
  },
};

for (const [name, make] of Object.entries(PHOTOGRAPHS)) {
  test(`a code is read from a photograph: ${name}`, async () => {
    const picture = await shown((await make(await draw())).png());
    assert.equal(searchQr(picture, PATIENCE), random(300));
  });
}

test('a photograph without a code is refused, also a large one', async () => {
  const data = new Uint8Array(3 * 1700 * 1300).map((_, k) => (k * 2654435761) >>> 24);
  for (const picture of [
    { width: 1700, height: 1300, data },
    { width: 1, height: 1, data: random(3) },
  ]) {
    assert.throws(
      () => searchQr(picture, 50),
      (error: Error) => error instanceof NoCodeError,
    );
  }
});

test.run();
