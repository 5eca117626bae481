import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DARK, LIGHT } from '../../src/evaluation/reports/look.js';
import { bytesInLink, linkTo } from '../../web/face-link.js';
import { Newest } from '../../web/newest.js';
import { facesOfSheet, SMALL_HEIGHT, SMALL_WIDTH } from '../../web/training-faces.js';

/*
 * Parts of the page that need no browser.
 */

test('a link carries bytes, and gives them back', () => {
  for (const length of [1, 2, 3, 60, 1000]) {
    const bytes = Uint8Array.from({ length }, (_, k) => (37 * k + 250) % 256);
    const link = linkTo(bytes, 'https://example.org/some/where/index.html?query#share');
    assert.match(link, /^https:\/\/example\.org\/some\/where\/index\.html#face=[A-Za-z0-9_-]+$/);
    assert.equal([...bytesInLink(link)!], [...bytes]);
    assert.equal([...bytesInLink(new URL(link).hash)!], [...bytes]);
  }
});

test('a text without a face is none, and a damaged one is told', () => {
  for (const text of ['', '#', '#share', 'https://example.org/']) assert.is(bytesInLink(text), null, text);
  for (const code of ['', 'a b', 'a+b/', 'AAAAA', 'ü', 'A'.repeat(200_000)]) {
    assert.throws(() => bytesInLink(`#face=${code}`), /^the link's face is .* characters; expected base64url/);
  }
});

test('of many requests the first, and then only the newest is worked on', async () => {
  const done: number[] = [];
  const failed: number[] = [];
  const releases: (() => void)[] = [];
  const newest = new Newest<number>(
    async (request) => {
      await new Promise<void>((resolve) => void releases.push(resolve));
      if (request === 9) throw new Error('no');
      done.push(request);
    },
    (_, request) => void failed.push(request),
  );
  const settle = async (): Promise<void> => {
    releases.pop()!();
    await new Promise((resolve) => setTimeout(resolve));
  };
  for (const request of [1, 2, 3, 4]) newest.request(request);
  await settle();
  assert.is(releases.length, 1, 'one at a time');
  newest.request(9);
  await settle();
  assert.equal(done, [1, 4]);
  await settle();
  assert.equal(failed, [9]);
  newest.request(5);
  await settle();
  assert.equal(done, [1, 4, 5], 'after a failure it goes on');
  assert.is(releases.length, 0);
});

test('a sheet is cut into its faces, row by row', () => {
  const [across, down] = [3, 2];
  const [width, height] = [across * SMALL_WIDTH + 5, down * SMALL_HEIGHT + 5]; // what is left over is no face
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data.fill(
        10 * Math.floor(y / SMALL_HEIGHT) + Math.floor(x / SMALL_WIDTH),
        3 * (y * width + x),
        3 * (y * width + x + 1),
      );
    }
  }
  const faces = facesOfSheet({ width, height, data });
  assert.equal(
    faces.map((face) => [...new Set(face)]),
    [[0], [1], [2], [10], [11], [12]],
  );
  assert.ok(faces.every(({ length }) => length === 3 * SMALL_WIDTH * SMALL_HEIGHT));
});

/** WCAG 2: relative luminance of #rrggbb. */
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

test('texts have the contrast of AA on paper and band, light and dark', () => {
  assert.is(Math.round(contrast('#000000', '#ffffff')), 21);
  for (const [scheme, colours] of Object.entries({ LIGHT, DARK })) {
    for (const text of ['ink', 'faint', 'accent', 'bad'] as const) {
      for (const ground of ['paper', 'band'] as const) {
        const found = contrast(colours[text], colours[ground]);
        assert.ok(found >= 4.5, `${scheme}: ${text} on ${ground} has ${found.toFixed(2)}`);
      }
    }
    assert.ok(contrast(colours.onAccent, colours.accent) >= 4.5, `${scheme}: text on what can be pressed`);
    assert.ok(contrast(colours.edge, colours.paper) >= 3, `${scheme}: borders of controls`);
  }
});

test.run();
