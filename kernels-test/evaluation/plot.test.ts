import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/common/errors.js';
import { encodePng, type RgbImage } from '../../src/data/pictures/image.js';
import { axisPosition, makeAxis } from '../../src/evaluation/reports/axis.js';
import { GLYPH_ADVANCE, GLYPH_HEIGHT, textLength, textPixels } from '../../src/evaluation/reports/bitmap-font.js';
import { contactSheet } from '../../src/evaluation/reports/contact-sheet.js';
import { escapeMarkup } from '../../src/evaluation/reports/escape.js';
import { htmlReport } from '../../src/evaluation/reports/html-report.js';
import { linePlot, type PlotSeries } from '../../src/evaluation/reports/plot-svg.js';
import { rejection } from '../helpers/rejection.js';

const LABELS = { title: 'Loss', xLabel: 'step', yLabel: 'loss' };

/** Coordinates of the drawn lines, one list per polyline. */
function lines(svg: string): [number, number][][] {
  return [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points]) =>
    points.split(' ').map((p) => p.split(',').map(Number) as [number, number]),
  );
}

function plot(points: PlotSeries['points'], logY = false): string {
  return linePlot({ ...LABELS, series: [{ name: 'a', points }], logY });
}

test('ticks are round numbers inside the axis', () => {
  const labels = (values: number[], log: boolean, count = 5): string[] =>
    makeAxis(values, log, count, 0).ticks.map(({ label }) => label);
  assert.equal(labels([0, 10], false), ['0', '2', '4', '6', '8', '10']);
  assert.equal(labels([-0.3, 0.3], false), ['−0.2', '0.0', '0.2']);
  assert.equal(labels([0, 2_000_000], false, 2), ['0', '1e6', '2e6']);
  assert.equal(labels([0.0001, 100], true, 10), ['1e-4', '0.001', '0.01', '0.1', '1', '10', '100']);
  assert.equal(labels([0.15, 2.5], true), ['0.2', '0.5', '1', '2']);
  assert.equal(labels([1e-30, 1e30], true, 4), ['1e-16', '1', '1e16']);
  // A range below a decade has linear steps, at their places on the logarithmic axis.
  assert.equal(labels([21, 29], true), ['25', '30']);
  for (const log of [false, true]) {
    for (const range of [
      [3, 3],
      [1e-9, 1.1e-9],
      [999, 1001],
      [1, 1 + Number.EPSILON],
      [0.1, 7e8],
    ]) {
      const axis = makeAxis(range, log, 5, 0.05);
      assert.ok(axis.ticks.length >= 2, `${range}: ${axis.ticks.length} ticks`);
      for (const { value } of axis.ticks) {
        const at = axisPosition(axis, value);
        assert.ok(at > -1e-6 && at < 1 + 1e-6, `${range}: a tick at ${at}`);
      }
    }
  }
});

test('all points are drawn on two logarithmic axes, without a line', () => {
  const points: [number, number][] = [
    [1, 1],
    [100, 10],
    [10, 100],
    [-1, 5],
    [10, 100.001],
  ];
  const svg = linePlot({ ...LABELS, series: [{ name: 'a', points, markers: 'only' }], logX: true, logY: true });
  assert.is(lines(svg).length, 0);
  // The last circle is the sample in the legend. The point that a logarithmic axis cannot show is left out.
  const dots = [...svg.matchAll(/<circle cx="([^"]*)" cy="([^"]*)"/g)].map(([, x, y]) => [Number(x), Number(y)]);
  assert.is(dots.length, 5);
  const [one, hundred, ten] = dots;
  assert.ok(Math.abs(ten[0] - (one[0] + hundred[0]) / 2) < 0.11, '10 is half way from 1 to 100');
  assert.ok(Math.abs(hundred[1] - (one[1] + ten[1]) / 2) < 0.11);
});

test('series that repeat a colour have rings in place of dots', () => {
  const points: [number, number][] = [[1, 1]];
  const series = Array.from({ length: 8 }, (_, k) => ({ name: `${k}`, points, markers: 'only' as const }));
  const svg = linePlot({ ...LABELS, series });
  const paints = [...svg.matchAll(/<circle [^>]*r="3" ([^>]*)\/>/g)].map(([, paint]) => paint);
  assert.is(paints.length, 16, 'a dot and a sample in the legend each');
  assert.is(new Set(paints).size, 8);
  assert.is(paints.filter((paint) => paint.includes('fill="none"')).length, 2);
});

test('points are at the places of their values', () => {
  const [line] = lines(
    plot([
      [0, 0],
      [5, 1],
      [10, 2],
    ]),
  );
  assert.is(line.length, 3);
  // Equal steps of the values are equal steps in the picture; upwards y falls.
  assert.ok(Math.abs(line[1][0] - (line[0][0] + line[2][0]) / 2) <= 0.11);
  assert.ok(Math.abs(line[1][1] - (line[0][1] + line[2][1]) / 2) <= 0.11);
  assert.ok(line[0][1] > line[1][1] && line[0][0] < line[1][0]);
  const [logLine] = lines(
    plot(
      [
        [0, 0.01],
        [1, 1],
        [2, 100],
      ],
      true,
    ),
  );
  assert.ok(Math.abs(logLine[1][1] - (logLine[0][1] + logLine[2][1]) / 2) <= 0.11);
  for (const [x, y] of [...line, ...logLine]) assert.ok(x >= 0 && x <= 640 && y >= 0 && y <= 400);
});

test('values that cannot be shown leave a gap', () => {
  assert.is(
    lines(
      plot([
        [0, 1],
        [1, 2],
        [2, Number.NaN],
        [3, 2],
        [4, 1],
      ]),
    ).length,
    2,
  );
  assert.is(
    lines(
      plot([
        [0, 1],
        [1, 2],
        [2, Infinity],
        [3, 2],
        [4, 1],
      ]),
    ).length,
    2,
  );
  assert.is(
    lines(
      plot(
        [
          [0, 1],
          [1, 2],
          [2, 0],
          [3, 2],
          [4, 1],
        ],
        true,
      ),
    ).length,
    2,
  );
  assert.is(
    lines(
      plot([
        [0, 1],
        [1, 2],
        [2, 0],
        [3, 2],
        [4, 1],
      ]),
    ).length,
    1,
  );
  // A single point has no line, so it gets a dot.
  assert.match(plot([[1, 5]]), /<circle/);
});

test('a long series is thinned to the width of the picture without losing its peaks', () => {
  const points = Array.from({ length: 200_000 }, (_, i): [number, number] => [i, Math.sin(i / 9000)]);
  points[123_456] = [123_456, 40];
  points[50_123] = [50_123, -40];
  const svg = plot(points);
  assert.ok(svg.length < 60_000, `${svg.length} characters`);
  const [line] = lines(svg);
  const heights = line.map(([, y]) => y);
  const [ends] = lines(
    plot([
      [0, 40],
      [1, -40],
    ]),
  );
  assert.is(Math.min(...heights), ends[0][1]);
  assert.is(Math.max(...heights), ends[1][1]);
});

test('texts are escaped, and the result is a valid picture', async () => {
  const nasty = '<script>&"\'\u0001';
  const escaped = '&lt;script&gt;&amp;&quot;&#39;\ufffd';
  assert.is(escapeMarkup(nasty), escaped);
  const names = Array.from({ length: 23 }, (_, i) => `series ${i} ${nasty}`);
  const svg = linePlot({
    title: nasty,
    xLabel: nasty,
    yLabel: nasty,
    series: names.map((name, i) => ({
      name,
      markers: i % 2 === 0,
      points: [
        [0, i],
        [1, 2 * i],
      ],
    })),
  });
  assert.not.match(svg, /<script/);
  assert.is(svg.split(escaped).length - 1, 4 + names.length);
  const { width, height } = await sharp(Buffer.from(svg)).metadata();
  assert.equal([width, height], [640, 400]);
});

test('a plot of nothing is refused', async () => {
  for (const series of [[], [{ name: 'a', points: [] }], [{ name: 'a', points: [[0, Number.NaN] as const] }]]) {
    const error = await rejection(() => linePlot({ ...LABELS, series }), ArgumentError);
    assert.match(error.message, /"Loss" has no point to show/);
  }
  await rejection(
    () =>
      plot(
        [
          [0, -1],
          [1, 0],
        ],
        true,
      ),
    ArgumentError,
  );
});

test('every printable character has a different glyph that fits its cell', () => {
  const seen = new Map<string, string>();
  for (let code = 32; code < 127; code++) {
    const character = String.fromCharCode(code);
    const pixels = textPixels(character);
    assert.ok(pixels.every(([x, y]) => x >= 0 && x < GLYPH_ADVANCE - 1 && y >= 0 && y < GLYPH_HEIGHT));
    const key = JSON.stringify(pixels);
    assert.is(seen.get(key), undefined, `${character} looks like ${seen.get(key)}`);
    seen.set(key, character);
  }
  assert.equal(textPixels('é–’'), textPixels("e-'"));
  assert.equal(textPixels('漢'), textPixels('\u4e8c'));
  assert.is(textLength('a…b'), 5);
  assert.equal(
    textPixels('ab').filter(([x]) => x >= GLYPH_ADVANCE),
    textPixels('b').map(([x, y]) => [x + GLYPH_ADVANCE, y]),
  );
});

function flat(width: number, height: number, colour: number[]): RgbImage {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => colour[i % 3]);
  return { width, height, data };
}

test('a contact sheet shows every picture whole, in its place', () => {
  const colour = (row: number, column: number): number[] => [200, 10 + 20 * row, 10 + 20 * column];
  const build = (rowsAcross: number): RgbImage =>
    contactSheet({
      title: 'Faces',
      columns: ['original', 'Cameo', 'a heading too long for its column'],
      rowsAcross,
      scale: 2,
      rows: [0, 1, 2].map((row) => ({
        caption: `face ${row}`,
        cells: [0, 1, 2].map((column) =>
          row === 1 && column === 2 ? undefined : { image: flat(30, 40, colour(row, column)), caption: '512 B, 27 dB' },
        ),
      })),
    });
  for (const rowsAcross of [1, 2]) {
    const sheet = build(rowsAcross);
    assert.is(sheet.data.length, sheet.width * sheet.height * 3);
    const found = new Map<string, { left: number; top: number; right: number; bottom: number; count: number }>();
    for (let y = 0, i = 0; y < sheet.height; y++) {
      for (let x = 0; x < sheet.width; x++, i += 3) {
        if (sheet.data[i] !== 200) continue;
        const key = `${sheet.data[i + 1]},${sheet.data[i + 2]}`;
        const box = found.get(key) ?? { left: x, top: y, right: x, bottom: y, count: 0 };
        box.left = Math.min(box.left, x);
        box.right = Math.max(box.right, x);
        box.bottom = y;
        box.count++;
        found.set(key, box);
      }
    }
    assert.is(found.size, 8);
    for (const box of found.values()) {
      assert.equal([box.right - box.left + 1, box.bottom - box.top + 1, box.count], [60, 80, 4800]);
    }
    const box = (row: number, column: number) => found.get(colour(row, column).slice(1).join(','))!;
    assert.ok(box(0, 0).right < box(0, 1).left && box(0, 0).top === box(0, 1).top);
    assert.ok(box(0, 0).bottom < box(1, 0).top && box(0, 0).left === box(1, 0).left);
    if (rowsAcross === 1) assert.ok(box(1, 0).bottom < box(2, 0).top);
    else assert.ok(box(2, 0).top === box(0, 0).top && box(2, 0).left > box(0, 2).right);
  }
});

test('captions are drawn, and shortened to their column', () => {
  const build = (caption: string): RgbImage =>
    contactSheet({ columns: [''], rows: [{ cells: [{ image: flat(60, 10, [200, 0, 0]), caption }] }], scale: 1 });
  const ink = (sheet: RgbImage): number => {
    let count = 0;
    for (let i = 0; i < sheet.data.length; i += 3) if (sheet.data[i] === 95) count++;
    return count;
  };
  assert.is(ink(build('512')), 4 * textPixels('512').length);
  assert.is(ink(build('123456789')), 4 * textPixels('123..').length);
});

test('a contact sheet of bad rows is refused', async () => {
  const image = flat(4, 4, [1, 2, 3]);
  const row = { cells: [{ image }] };
  const bad = [
    { columns: [], rows: [] },
    { columns: ['a'], rows: [] },
    { columns: ['a'], rows: [{ cells: [undefined] }] },
    { columns: ['a', 'b'], rows: [row] },
    { columns: ['a'], rows: [row], scale: 0 },
    { columns: ['a'], rows: [row], scale: 1.5 },
    { columns: ['a'], rows: [row], rowsAcross: 0 },
    { columns: ['a'], rows: [{ cells: [{ image: { ...image, width: 5 } }] }] },
  ];
  for (const options of bad) await rejection(() => contactSheet(options), ArgumentError);
});

test('the report holds texts, tables and pictures, escaped and self-contained', async () => {
  const png = await encodePng(flat(7, 5, [9, 8, 7]));
  const svg = plot([
    [0, 1],
    [1, 2],
  ]);
  const html = htmlReport({
    title: 'Faces <1>',
    intro: ['First & second.', '<img src=x onerror=alert(1)>'],
    tables: [
      {
        title: 'Rates',
        columns: ['face', 'bytes', 'PSNR', 'note'],
        rows: [
          ['a<b.jpg', 512, '27.31 dB', 'ok'],
          ['"c".jpg', 498, '–', '7 of 9 faces'],
        ],
        note: 'Mean & median',
      },
    ],
    figures: [
      { title: 'Sheet', picture: { png }, alt: 'faces "side by side"', caption: 'left: <original>' },
      { picture: { svg } },
    ],
  });
  assert.match(html, /^<!doctype html>/);
  assert.match(html, /<h1>Faces &lt;1&gt;<\/h1>/);
  assert.match(html, /<p>&lt;img src=x onerror=alert\(1\)&gt;<\/p>/);
  assert.match(html, /<td>a&lt;b\.jpg<\/td><td class="number">512<\/td><td class="number">27\.31 dB<\/td><td>ok<\/td>/);
  assert.match(html, /<td>7 of 9 faces<\/td>/);
  assert.match(html, /alt="faces &quot;side by side&quot;"/);
  const sources = [...html.matchAll(/src="data:image\/(png|svg\+xml);base64,([^"]*)"/g)];
  assert.equal(
    sources.map(([, type]) => type),
    ['png', 'svg+xml'],
  );
  assert.equal(new Uint8Array(Buffer.from(sources[0][2], 'base64')), new Uint8Array(png));
  assert.is(Buffer.from(sources[1][2], 'base64').toString('utf8'), svg);
  // The page fetches nothing and has no scripts.
  assert.not.match(html, /https?:|<script|<link|url\(|\son\w+=["']/);
  assert.match(html, /name="viewport"/);
  assert.match(html, /prefers-color-scheme:dark/);
  assert.match(htmlReport({ title: 'Empty' }), /<h1>Empty<\/h1>/);
});

test('a table row of another length is refused', async () => {
  const tables = [{ title: 'T', columns: ['a', 'b'], rows: [[1, 2], [3]] }];
  const error = await rejection(() => htmlReport({ title: 'x', tables }), ArgumentError);
  assert.is(error.message, 'htmlReport: table "T", row 1 has 1 values; expected 2');
});

test.run();
