import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assembleBatch } from '../../src/data/faces/batches.js';
import { FACE_BYTES } from '../../src/data/faces/face-set.js';

test('assembleBatch samples a turned face bilinearly, and repeats its edges', () => {
  // Bilinear sampling is exact if the brightness is a linear function of the position.
  const face = Uint8Array.from({ length: FACE_BYTES }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 96, Math.floor(i / 288)];
    return [x + 20, y, x + y][i % 3];
  });
  for (const [degrees, flip, dx, dy] of [
    [5, false, 0, 0],
    [-12, true, 2, -1],
  ] as const) {
    const angle = (degrees * Math.PI) / 180;
    const [image] = [
      assembleBatch([face], {
        step: 0,
        epoch: 0,
        indices: new Uint32Array(1),
        flip: [flip],
        dx: Int32Array.of(dx),
        dy: Int32Array.of(dy),
        brightness: new Float64Array(1),
        contrast: Float64Array.of(1),
        angle: Float64Array.of(angle),
        scale: Float64Array.of(1),
      }),
    ];
    for (let y = 0, at = 0; y < 112; y++) {
      for (let x = 0; x < 96; x++, at += 3) {
        const [u, v] = [x - dx - 47.5, y - dy - 55.5];
        const along = u * Math.cos(angle) + v * Math.sin(angle);
        const column = Math.min(95, Math.max(0, 47.5 + (flip ? -along : along)));
        const row = Math.min(111, Math.max(0, 55.5 + v * Math.cos(angle) - u * Math.sin(angle)));
        const expected = [column + 20, row, column + row];
        for (let c = 0; c < 3; c++) {
          assert.ok(Math.abs(255 * image[at + c] - expected[c]) < 1e-3, `${x},${y},${c}: ${255 * image[at + c]}`);
        }
      }
    }
  }
});

test.run();
