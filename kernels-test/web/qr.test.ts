import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CounterRandom } from '../../src/common/random.js';
import { NoCodeError, qrModules, qrPicture, readQr } from '../../web/qr.js';

const PATIENCE = 5000;

/** Through a picture and back. */
function roundTrip(bytes: Uint8Array, scale: number): Uint8Array {
  return readQr(qrPicture(qrModules(bytes), scale), PATIENCE);
}

const random = (count: number): Uint8Array => {
  const words = new CounterRandom(3, count);
  return Uint8Array.from({ length: count }, () => words.int(256));
};

test('every byte comes back as it was, as do those that texts would change', () => {
  const all = Uint8Array.from({ length: 256 }, (_, k) => k);
  const cases = [all, all.slice().reverse(), Uint8Array.of(0xef, 0xbb, 0xbf, 0xc3, 0x28, 0, 0xff), Uint8Array.of(0x30)];
  for (const bytes of cases) assert.equal(roundTrip(bytes, 4), bytes);
});

test('any face of the slider fits, at any scale of the modules', () => {
  for (const count of [190, 500, 992]) {
    for (const scale of [2, 3, 6]) assert.equal(roundTrip(random(count), scale), random(count), `${count}×${scale}`);
  }
});

test('a code that is soiled within what error correction covers still comes back', () => {
  const bytes = random(300);
  const picture = qrPicture(qrModules(bytes), 4);
  // A stain over a twenty-fifth of the area, away from the corners.
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

test.run();
