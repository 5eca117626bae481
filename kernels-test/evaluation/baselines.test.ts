import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, FormatError } from '../../src/common/errors.js';
import { CounterRandom } from '../../src/common/random.js';
import { openFaceFolder } from '../../src/data/faces/face-set.js';
import { encodeBaselines } from '../../src/evaluation/codecs/baselines.js';
import { encodeJpegAtMost, greyAsRgb, greyOf, smallestJpeg } from '../../src/evaluation/codecs/jpeg.js';
import { decodeJpeg2000, encodeJpeg2000AtMost } from '../../src/evaluation/codecs/jpeg2000.js';
import { pictureSsim, psnr } from '../../src/evaluation/metrics/picture-quality.js';
import { testWithData } from '../helpers/data-available.js';

const WIDTH = 96;
const HEIGHT = 112;

/** A picture like a face: a bright ellipse with dark spots on a coloured gradient, and a little noise. */
function syntheticFace(seed: number, grey = false): Uint8Array {
  const random = new CounterRandom(seed);
  const spots = Array.from({ length: 12 }, () => ({
    x: 20 + random.int(56),
    y: 20 + random.int(72),
    radius: 3 + random.int(9),
    depth: 20 + random.int(90),
  }));
  const rgb = new Uint8Array(WIDTH * HEIGHT * 3);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const inside = ((x - 48) / 34) ** 2 + ((y - 58) / 46) ** 2 < 1;
      let level = inside ? 190 - 0.4 * x : 60 + y / 2;
      for (const { x: sx, y: sy, radius, depth } of spots) {
        level -= depth * Math.exp(-((x - sx) ** 2 + (y - sy) ** 2) / radius ** 2);
      }
      level += 3 * random.normal();
      const tint = grey ? [1, 1, 1] : inside ? [1, 0.8, 0.7] : [0.7, 0.9, 1];
      for (let c = 0; c < 3; c++) {
        rgb[(y * WIDTH + x) * 3 + c] = Math.max(0, Math.min(255, Math.round(level * tint[c])));
      }
    }
  }
  return rgb;
}

const face = syntheticFace(1);
const budgets = [350, 500, 800, 1500];

/** Decodes with sharp alone, independently of the code under test. */
async function independentRgb(jpeg: Uint8Array) {
  return sharp(jpeg).toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
}

test('JPEG files stay within the budget, the reported pixels are those of the file, and more bytes give more PSNR', async () => {
  let before = 0;
  for (const budget of budgets) {
    const encoded = await encodeJpegAtMost(face, WIDTH, HEIGHT, budget);
    assert.ok(encoded, `nothing fits ${budget} bytes`);
    assert.ok(encoded.bytes.length <= budget, `${encoded.bytes.length} bytes for a budget of ${budget}`);
    const { data, info } = await independentRgb(encoded.bytes);
    assert.equal([info.width, info.height, info.channels], [WIDTH, HEIGHT, 3]);
    assert.is(psnr(face, data), encoded.psnr);
    assert.equal(encoded.rgb, new Uint8Array(data));
    assert.ok(encoded.psnr > before, `${encoded.psnr} dB at ${budget} bytes, ${before} dB with less`);
    before = encoded.psnr;
  }
});

test('JPEG files are at least as good as the best fitting quality of the same coder', async () => {
  const limits = [500, 800, 3000, 20000];
  const best = await Promise.all(limits.map((limit) => encodeJpegAtMost(face, WIDTH, HEIGHT, limit)));
  const checked = limits.map(() => 0);
  for (let quality = 1; quality <= 100; quality++) {
    for (const mozjpeg of [false, true]) {
      const bytes = await sharp(face, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
        .jpeg({ quality, mozjpeg })
        .toBuffer();
      const decibels = psnr(face, (await independentRgb(bytes)).data);
      for (const [k, limit] of limits.entries()) {
        if (bytes.length > limit) continue;
        checked[k]++;
        assert.ok(decibels <= best[k]!.psnr + 0.05, `quality ${quality} at ${limit} bytes`);
      }
    }
  }
  assert.ok(Math.min(...checked) > 4, `${checked}`);
  assert.is(best[3]!.quality, 100);
});

test('scaled JPEG files are restored in full size, and are better at few bytes', async () => {
  const plain = await encodeJpegAtMost(face, WIDTH, HEIGHT, 400, { grey: false });
  const scaled = await encodeJpegAtMost(face, WIDTH, HEIGHT, 400, { grey: false, scales: [1, 2 / 3, 1 / 2] });
  assert.ok(scaled);
  assert.ok(scaled.scale < 1);
  assert.is(scaled.rgb.length, face.length);
  assert.ok(scaled.psnr > (plain?.psnr ?? 0) + 0.5);
  assert.is((await sharp(scaled.bytes).metadata()).width, Math.round(WIDTH * scaled.scale));
});

test('a grey JPEG file may be scaled, too', async () => {
  const grey = new Uint8Array(face.length);
  greyOf(face).forEach((value, i) => {
    grey.fill(value, 3 * i, 3 * i + 3);
  });
  const scales = [1, 2 / 3, 1 / 2];
  const best = await encodeJpegAtMost(grey, WIDTH, HEIGHT, 350, { scales });
  assert.ok(best);
  assert.is(best.colour, 'grey');
  assert.ok(best.scale < 1);
  assert.is((await sharp(best.bytes).metadata()).channels, 1);
  const full = await encodeJpegAtMost(grey, WIDTH, HEIGHT, 350);
  const colour = await encodeJpegAtMost(grey, WIDTH, HEIGHT, 350, { scales, grey: false });
  assert.ok(best.psnr > (full?.psnr ?? 0) + 0.1, `${best.psnr} dB, ${full?.psnr} in full size`);
  assert.ok(best.psnr > (colour?.psnr ?? 0) + 0.1, `${best.psnr} dB, ${colour?.psnr} in colour`);
});

test('JPEG takes grey if colours are weak, but not if a grey picture is worse', async () => {
  const grey = greyOf(face);
  const weak = face.map((value, i) => Math.round(grey[Math.floor(i / 3)] + 0.2 * (value - grey[Math.floor(i / 3)])));
  const bound = psnr(weak, greyAsRgb(weak));
  assert.ok(Number.isFinite(bound));
  const scales = [1, 2 / 3, 1 / 2];
  const few = await encodeJpegAtMost(weak, WIDTH, HEIGHT, 350, { scales });
  const fewColour = await encodeJpegAtMost(weak, WIDTH, HEIGHT, 350, { scales, grey: false });
  assert.ok(few);
  assert.is(few.colour, 'grey');
  assert.ok(few.psnr > (fewColour?.psnr ?? 0) && few.psnr <= bound, `${few.psnr} dB, at most ${bound}`);
  const many = await encodeJpegAtMost(face, WIDTH, HEIGHT, 1500, { scales });
  assert.ok(many!.psnr > psnr(face, greyAsRgb(face)));
  assert.equal(many, await encodeJpegAtMost(face, WIDTH, HEIGHT, 1500, { scales, grey: false }));
});

test('JPEG gives null for a budget below the smallest file', async () => {
  const smallest = await smallestJpeg(face, WIDTH, HEIGHT);
  assert.is(await encodeJpegAtMost(face, WIDTH, HEIGHT, smallest.bytes.length - 1), null);
  const fits = await encodeJpegAtMost(face, WIDTH, HEIGHT, smallest.bytes.length);
  assert.is(fits?.bytes.length, smallest.bytes.length);
  const colour = await smallestJpeg(face, WIDTH, HEIGHT, { grey: false });
  assert.ok(colour.bytes.length > smallest.bytes.length && colour.bytes.length < 450);
  assert.is(await encodeJpegAtMost(face, WIDTH, HEIGHT, colour.bytes.length - 1, { grey: false }), null);
});

test('JPEG2000 files stay within the budget, the reported pixels are those of the file, and more bytes give more PSNR', async () => {
  let before = 0;
  for (const budget of [150, 200, ...budgets]) {
    const encoded = await encodeJpeg2000AtMost(face, WIDTH, HEIGHT, budget);
    assert.ok(encoded, `nothing fits ${budget} bytes`);
    assert.ok(encoded.bytes.length <= budget, `${encoded.bytes.length} bytes for a budget of ${budget}`);
    // The budget is used, so the search does not waste quality.
    assert.ok(encoded.bytes.length > budget - 30, `only ${encoded.bytes.length} bytes for a budget of ${budget}`);
    const decoded = await decodeJpeg2000(encoded.bytes);
    assert.equal([decoded.width, decoded.height], [WIDTH, HEIGHT]);
    assert.equal(decoded.data, encoded.rgb);
    assert.is(psnr(face, decoded.data), encoded.psnr);
    assert.ok(encoded.psnr > before, `${encoded.psnr} dB at ${budget} bytes, ${before} dB with less`);
    before = encoded.psnr;
  }
  assert.ok(before > 34);
});

test('JPEG2000 files are bare codestreams without comment, with the colour transform', async () => {
  const { bytes } = (await encodeJpeg2000AtMost(face, WIDTH, HEIGHT, 600))!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  assert.is(view.getUint16(0), 0xff4f);
  const markers: number[] = [];
  let transform = -1;
  for (let at = 2; view.getUint16(at) !== 0xff90; at += 2 + view.getUint16(at + 2)) {
    markers.push(view.getUint16(at));
    if (view.getUint16(at) === 0xff52) transform = bytes[at + 8];
  }
  assert.equal(markers, [0xff51, 0xff52, 0xff5c]);
  assert.is(transform, 1);
});

test('JPEG2000 uses fewer wavelet levels for pictures that are too small', async () => {
  for (const [width, height, levels] of [
    [13, 11, 3],
    [20, 16, 4],
    [1, 3, 0],
  ]) {
    const rgb = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 7) % 251);
    const encoded = await encodeJpeg2000AtMost(rgb, width, height, 600, [{ grey: false, decompositions: 5 }]);
    assert.ok(encoded);
    assert.is(encoded.decompositions, levels);
    assert.is(encoded.rgb.length, rgb.length);
  }
});

test('both codecs code grey pictures in grey, and restore them as RGB', async () => {
  const grey = syntheticFace(2, true);
  const [jpeg, jpeg2000] = [
    await encodeJpegAtMost(grey, WIDTH, HEIGHT, 500),
    await encodeJpeg2000AtMost(grey, WIDTH, HEIGHT, 500),
  ];
  assert.is(jpeg?.colour, 'grey');
  assert.is(jpeg2000?.grey, true);
  for (const { rgb } of [jpeg!, jpeg2000!]) {
    assert.is(rgb.length, grey.length);
    assert.ok(rgb.every((value, i) => value === rgb[i - (i % 3)]));
  }
  assert.equal([...greyOf(Uint8Array.of(1, 2, 3, 250, 250, 252))], [2, 251]);
});

test('measureBaselines gives one entry per codec, with the metrics of its decoded picture', async () => {
  const results = await encodeBaselines(face, WIDTH, HEIGHT, 600);
  assert.equal(
    results.map(({ codec }) => codec),
    ['jpeg', 'jpegScaled', 'jpeg2000'],
  );
  for (const result of results) {
    assert.ok(result.fits && result.bytes.length <= 600);
    assert.is(result.psnr, psnr(face, result.rgb));
    assert.is(result.ssim, pictureSsim(face, result.rgb, WIDTH, HEIGHT, 3));
  }
  assert.ok(results[1].psnr >= results[0].psnr);
  const [tiny] = await encodeBaselines(face, WIDTH, HEIGHT, 100, ['jpeg', 'jpeg2000']);
  assert.is(tiny.codec, 'jpeg');
  assert.is(tiny.fits, false);
  assert.ok(tiny.bytes.length > 100);
});

test('errors of the baselines name the argument that does not fit', async () => {
  const refuses = async (run: () => Promise<unknown>, type: typeof ArgumentError | typeof FormatError) => {
    const error = await run().then(
      () => null,
      (e: unknown) => e,
    );
    assert.instance(error, type);
  };
  await refuses(() => encodeJpegAtMost(face, 97, HEIGHT, 500), ArgumentError);
  await refuses(() => encodeJpegAtMost(face, WIDTH, HEIGHT, 500, { scales: [2] }), ArgumentError);
  await refuses(() => encodeJpeg2000AtMost(face, WIDTH, 0, 500), ArgumentError);
  await refuses(() => decodeJpeg2000(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)), FormatError);
});

testWithData('faces', 'held-out faces: no baseline exceeds its budget, and PSNR rises with it', async (folder) => {
  const faces = await openFaceFolder(folder, { split: 'test', limit: 3 });
  for (let index = 0; index < faces.count; index++) {
    const rgb = await faces.face(index);
    const before = new Map<string, number>();
    for (const budget of [450, 700, 1000]) {
      const results = await encodeBaselines(rgb, WIDTH, HEIGHT, budget, ['jpeg', 'jpeg2000']);
      assert.is(results.length, 2);
      for (const { codec, bytes, psnr: quality } of results) {
        assert.ok(bytes.length <= budget, `${codec}: ${bytes.length} bytes for a budget of ${budget}`);
        assert.ok(quality > (before.get(codec) ?? 0), `${codec}: ${quality} dB at ${budget} bytes`);
        before.set(codec, quality);
      }
    }
  }
});

test.run();
