// suite: long
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, CameoError } from '../../src/common/errors.js';
import { loadOptional } from '../../src/common/optional-packages.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import type { ForeignCodec } from '../../src/evaluation/codecs/foreign-codec.js';
import { FOREIGN_CODECS } from '../../src/evaluation/codecs/index.js';
import { mediaDataBytes } from '../../src/evaluation/codecs/isobmff.js';
import { psnr } from '../../src/evaluation/metrics/picture-quality.js';
import { testWithData } from '../helpers/data-available.js';
import { rejection } from '../helpers/rejection.js';

const WIDTH = 96;
const HEIGHT = 112;

const codecNamed = (name: string): ForeignCodec => FOREIGN_CODECS.find((codec) => codec.name === name)!;

/** Four fields of different colours, 40 pixels wide and 32 high. */
const FIELDS = [
  [200, 40, 40],
  [40, 160, 60],
  [50, 60, 200],
  [220, 210, 90],
];
const fields = Uint8Array.from({ length: 40 * 32 * 3 }, (_, i) => {
  const [x, y] = [Math.floor(i / 3) % 40, Math.floor(i / 120)];
  return FIELDS[(y < 16 ? 0 : 2) + (x < 20 ? 0 : 1)][i % 3];
});

/** The mean colour in the middle of a field. */
function colourOf(rgb: Uint8Array, field: number): number[] {
  const sums = [0, 0, 0];
  for (let y = 4; y < 12; y++) {
    for (let x = 5; x < 15; x++) {
      const pixel = (y + 16 * (field >> 1)) * 40 + x + 20 * (field & 1);
      for (let c = 0; c < 3; c++) sums[c] += rgb[3 * pixel + c] / 80;
    }
  }
  return sums;
}

test('every codec has a different name, which can be used in file names', () => {
  const names = FOREIGN_CODECS.map(({ name }) => name);
  assert.equal(names, ['jpeg', 'jpeg2000', 'webp', 'avif', 'avif-payload', 'jxl', 'webp2']);
  assert.is(new Set(FOREIGN_CODECS.map(({ title }) => title)).size, names.length);
});

for (const codec of FOREIGN_CODECS) {
  test(`${codec.name}: colours are restored in their places, and the file decodes to the reported pixels`, async () => {
    const encoded = await codec.encode(fields, 40, 32, 600);
    assert.ok(encoded);
    assert.is(encoded.rgb.length, fields.length);
    FIELDS.forEach((expected, field) => {
      const colour = colourOf(encoded.rgb, field);
      assert.ok(
        colour.every((value, c) => Math.abs(value - expected[c]) < 12),
        `field ${field}: ${colour}; expected ${expected}`,
      );
    });
    assert.equal(await codec.decode(encoded.bytes, 40, 32), encoded.rgb);
  });

  test(`${codec.name}: gives null if no file fits, and errors that name the wrong argument`, async () => {
    assert.is(await codec.encode(fields, 40, 32, 20), null);
    await rejection(() => codec.encode(fields, 41, 32, 900), ArgumentError);
    for (const budget of [0, -1, 1.5, Number.NaN]) {
      const { message } = await rejection(() => codec.encode(fields, 40, 32, budget), ArgumentError);
      assert.match(message, `the budget is ${budget} bytes`);
    }
    await rejection(() => codec.decode(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 40, 32), CameoError);
  });
}

test('versions are those of the installed packages', () => {
  const installed = (name: string): string => {
    const path = fileURLToPath(new URL(`../../node_modules/${name}/package.json`, import.meta.url));
    return `${name} ${JSON.parse(readFileSync(path, 'utf8')).version}`;
  };
  for (const name of ['webp', 'jxl', 'webp2']) assert.match(codecNamed(name).version, installed('icodec'));
  assert.match(codecNamed('jpeg2000').version, installed('@cornerstonejs/codec-openjpeg'));
});

test('the error for a missing package names the command that installs it', async () => {
  const { message } = await rejection(
    () => loadOptional('the X baseline', 'icodec', 'no-such-package-of-cameo'),
    CameoError,
  );
  assert.match(
    message,
    /^the X baseline needs npm package icodec, which cannot be loaded; install it with: npm install icodec$/,
  );
});

test('the payload of a file of boxes is found', () => {
  const box = (type: string, content: number, length = 8 + content): Uint8Array => {
    const bytes = new Uint8Array(8 + content);
    new DataView(bytes.buffer).setUint32(0, length);
    bytes.set(Buffer.from(type), 4);
    return bytes;
  };
  const file = (...boxes: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(boxes));
  assert.is(mediaDataBytes(file(box('ftyp', 4), box('mdat', 30), box('meta', 5))), 30);
  assert.is(mediaDataBytes(file(box('ftyp', 4), box('mdat', 30, 0))), 30);
  assert.throws(() => mediaDataBytes(file(box('ftyp', 4))), /no media data/);
  assert.throws(() => mediaDataBytes(file(box('mdat', 4, 13))), /13 bytes; expected 8 at least, within the file/);
  assert.throws(() => mediaDataBytes(file(box('mdat', 4), Uint8Array.of(0, 0, 0))), /a box at byte 12 of 15/);
});

/** The least dB of a real face, even by the weakest codec; a wrong size or swapped colours give far less. */
const PLAUSIBLE: Record<number, number> = { 200: 15, 300: 16, 400: 19, 500: 21, 700: 22, 1000: 24 };

/** Some of the budgets, so that the tests stay short. */
const BUDGETS: Record<string, number[]> = {
  jpeg: [300, 400, 500],
  jpeg2000: [200, 500, 1000],
  webp: [200, 300, 1000],
  avif: [300, 500],
  'avif-payload': [200, 300],
  jxl: [300, 700],
  webp2: [200, 500],
};

for (const codec of FOREIGN_CODECS) {
  testWithData(
    'faces',
    `${codec.name}: a real face is within every budget, and better with more bytes`,
    async (folder) => {
      const face = await (await openFaceFolder(folder, { split: 'test', limit: 3 })).face(1);
      let before = 0;
      for (const budget of BUDGETS[codec.name]) {
        const encoded = await codec.encode(face, WIDTH, HEIGHT, budget);
        // The headers alone of these two codecs are larger than the budget.
        if (!encoded && budget < 400 && ['jpeg', 'avif'].includes(codec.name)) continue;
        assert.ok(encoded, `nothing fits ${budget} bytes`);
        const size = codec.name === 'avif-payload' ? mediaDataBytes(encoded.bytes) : encoded.bytes.length;
        assert.is(size, encoded.size);
        assert.ok(size <= budget, `${size} bytes for a budget of ${budget}`);
        assert.equal(await codec.decode(encoded.bytes, WIDTH, HEIGHT), encoded.rgb);
        const quality = psnr(face, encoded.rgb);
        assert.ok(quality > PLAUSIBLE[budget], `${quality} dB at ${budget} bytes (${encoded.settings})`);
        assert.ok(quality > before, `${quality} dB at ${budget} bytes, ${before} dB with less`);
        before = quality;
      }
    },
  );
}

testWithData('faces', 'webp and avif: no quality of a plain sweep that fits is clearly better', async (folder) => {
  const face = await (await openFaceFolder(folder, { split: 'test', limit: 3 })).face(0);
  const best = { webp: 0, avif: 0 };
  for (let quality = 1; quality <= 31; quality += 10) {
    const picture = sharp(face, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });
    for (const file of [
      await picture.clone().webp({ quality, effort: 6 }).toBuffer(),
      await picture.avif({ quality }).toBuffer(),
    ]) {
      if (file.length > 600) continue;
      const name = file.subarray(0, 4).toString() === 'RIFF' ? 'webp' : 'avif';
      best[name] = Math.max(best[name], psnr(face, new Uint8Array(await sharp(file).raw().toBuffer())));
    }
  }
  for (const name of ['webp', 'avif'] as const) {
    const encoded = (await codecNamed(name).encode(face, WIDTH, HEIGHT, 600))!;
    assert.ok(best[name] > 20 && psnr(face, encoded.rgb) > best[name] - 0.02, `${name}: ${best[name]} dB by a sweep`);
    // An independent decoder finds a picture of the size in the settings.
    const { width, height } = await sharp(encoded.bytes).metadata();
    const scale = Number(/scale ([\d.]+)/.exec(encoded.settings)?.[1] ?? 1);
    assert.ok(Math.abs(width - WIDTH * scale) < 1 && Math.abs(height - HEIGHT * scale) < 1, `${width}×${height}`);
  }
});

test.run();
