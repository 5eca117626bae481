import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FormatError } from '../../src/common/errors.js';
import { parseLandmarkLines, parsePairs } from '../../src/data/faces/lfw.js';
import { testWithData } from '../helpers/data-available.js';

const refused = (message: RegExp) => (error: Error) => error instanceof FormatError && message.test(error.message);

test('pairs of several folds are parsed, and of one fold as in View 1', () => {
  const text = '2 1\nAnn\t1\t4\nAnn\t1\tBob\t2\nCid 2 3\nCid 12 Dan 1\n';
  assert.equal(parsePairs(text), {
    folds: 2,
    pairs: [
      { a: 'Ann/Ann_0001.jpg', b: 'Ann/Ann_0004.jpg', same: true, fold: 0 },
      { a: 'Ann/Ann_0001.jpg', b: 'Bob/Bob_0002.jpg', same: false, fold: 0 },
      { a: 'Cid/Cid_0002.jpg', b: 'Cid/Cid_0003.jpg', same: true, fold: 1 },
      { a: 'Cid/Cid_0012.jpg', b: 'Dan/Dan_0001.jpg', same: false, fold: 1 },
    ],
  });
  assert.is(parsePairs('1\nAnn 1 2\nAnn 1 Bob 1').folds, 1);
});

test('wrong pairs and landmarks are refused, and the error gives the line', () => {
  for (const [text, message] of [
    ['', /line 1: ""; expected the numbers of folds/],
    ['ten 300\n', /line 1/],
    ['1 1\nAnn 1 2\n', /1 pairs; line 1 announces 1 × \(1 matched \+ 1 mismatched\) = 2/],
    ['1 1\nAnn 1\nAnn 1 Bob 1\n', /line 2: "Ann 1"; expected NAME I J/],
    ['1 1\nAnn 1 2\nAnn 1 Bob x\n', /line 3.*expected NAME I OTHER J/],
    ['1 1\nAnn 1 2\nAnn 1 Ann 2\n', /line 3.*names one person twice/],
    ['1 1\nAnn 2 2\nAnn 1 Bob 2\n', /line 2: "Ann 2 2" compares a picture with itself/],
    ['1 1\nAnn 2 02\nAnn 1 Bob 2\n', /line 2: "Ann 2 02" compares a picture with itself/],
    ['1 1\n../Ann 1 2\nAnn 1 Bob 2\n', /line 2: the name "..\/Ann"; expected the name of a folder/],
    ['1 1\nAnn 1 2\nAnn 1 .. 2\n', /line 3: the name ".."; expected the name of a folder/],
    ['1 1\nAnn 1 2\nAnn 1 ..\\Bob 2\n', /line 3: the name "..\\Bob"/],
  ] as const) {
    assert.throws(() => parsePairs(text), refused(message));
  }
  assert.equal(parseLandmarkLines('a.jpg 1 2 3 4 5 6 7 8 9 10\n\n').get('a.jpg'), [
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
    [9, 10],
  ]);
  assert.throws(() => parseLandmarkLines('a.jpg 1 2 3\n', 'marks'), refused(/marks, line 1/));
  assert.throws(() => parseLandmarkLines('a.jpg 1 2 3 4 5 6 7 8 9 x\n'), refused(/ten numbers/));
});

testWithData('lfw', 'View 2: 6,000 pairs in ten folds, with a picture and landmarks for each', (lfw) => {
  const { folds, pairs } = parsePairs(readFileSync(join(lfw, 'pairs.txt'), 'utf8'));
  assert.is(folds, 10);
  assert.is(pairs.length, 6000);
  assert.is(pairs.filter(({ same }) => same).length, 3000);
  const landmarks = parseLandmarkLines(readFileSync(join(lfw, 'landmarks.txt'), 'utf8'));
  const names = new Set(pairs.flatMap(({ a, b }) => [a, b]));
  assert.is(names.size, 7701);
  for (const name of names) assert.ok(landmarks.has(name) && existsSync(join(lfw, 'images', name)), name);
});

test.run();
