import { resolve } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, FormatError } from '../../src/common/errors.js';
import {
  LandmarkIndex,
  landmarksOf,
  type NamedPicture,
  parseLandmarks,
  readLandmarks,
} from '../../src/data/pictures/landmarks.js';
import { rejection } from '../helpers/rejection.js';

test('faces in a landmark file are looked up by path or by name', () => {
  const face = '[[1,2],[3,4],[5,6],[7,8],[9.5,-10]]';
  const photos = parseLandmarks(
    `{"$note": "by hand", "a.jpg": [${face}, ${face}], "b/c.jpg": [], "__proto__": [${face}]}`,
  );
  assert.equal([...photos.keys()].sort(), ['__proto__', 'a.jpg', 'b/c.jpg']);
  assert.equal(photos.get('a.jpg')?.[1][4], [9.5, -10]);
  assert.is(landmarksOf(photos, 'some/where/a.jpg')?.length, 2);
  assert.is(landmarksOf(photos, 'b/c.jpg')?.length, 0);
  assert.is(landmarksOf(photos, 'd.jpg'), undefined);
});

test('a key of a landmark file that fits several pictures or none is an error', () => {
  const face = '[[1,2],[3,4],[5,6],[7,8],[9,10]]';
  const facesOf = (keys: Record<string, number>, pictures: NamedPicture[]): (number | string | undefined)[] => {
    const list = Object.entries(keys).map(([key, n]) => `${JSON.stringify(key)}: [${Array(n).fill(face).join(',')}]`);
    const index = new LandmarkIndex(parseLandmarks(`{${list.join(',')}}`), pictures);
    return pictures.map(({ path }) => {
      try {
        return index.of(path)?.length;
      } catch (error) {
        assert.instance(error, ArgumentError);
        return /the key "(.*)" of the landmark file names/.exec((error as Error).message)?.[1];
      }
    });
  };
  const tree = ['1.png', 'ann/1.png', 'bob/1.png'].map((below) => ({ path: `some/tree/${below}`, below }));
  const [, ann, bob] = tree;
  assert.equal(facesOf({ 'ann/1.png': 1, 'bob/1.png': 2 }, [ann, bob]), [1, 2]);
  assert.equal(facesOf({ 'some\\tree\\ann\\1.png': 1, './bob//1.png': 2 }, [ann, bob]), [1, 2]);
  assert.equal(facesOf({ '1.png': 1 }, [ann, bob]), ['1.png', '1.png']);
  assert.equal(facesOf({ '1.png': 1 }, [ann, { path: './some/tree/ann/1.png' }]), [1, 1]);
  assert.equal(facesOf({ '1.png': 1, 'ann/1.png': 2 }, [ann, bob]), [2, '1.png']);
  assert.equal(facesOf({ '1.png': 1, 'bob/1.png': 2 }, tree), [1, '1.png', 2]);
  assert.equal(facesOf({ 'tree/1.png': 3 }, tree), [3, undefined, undefined]);
  assert.equal(facesOf({ [resolve('some/tree/ann/1.png')]: 1, '1.png': 2 }, [ann]), [1]);
  const folders = [
    { path: 'x/1.png', below: '1.png' },
    { path: 'y/1.png', below: '1.png' },
  ];
  assert.equal(facesOf({ '1.png': 1 }, folders), ['1.png', '1.png']);
  assert.equal(facesOf({ '1.png': 1, 'y/1.png': 2 }, folders), ['1.png', 2]);
  assert.equal(facesOf({ 'Jos\u00e9.png': 2 }, [{ path: 'x/Jose\u0301.png' }]), [2]);
});

test('a landmark file of another form is refused, and the error gives the place', async () => {
  const point = '[1,2]';
  const four = `[${point},${point},${point},${point}]`;
  const cases: [string, RegExp][] = [
    ['', /^F, line 1: not JSON/],
    ['{"a.jpg": [', /^F, line 1: not JSON/],
    [`{"a.jpg": [], "./a.jpg": []}`, /^F: the keys "a\.jpg" and "\.\/a\.jpg" name the same file/],
    ['{"Jos\u00e9.jpg": [], "Jose\u0301.jpg": []}', /name the same file/],
    ['[]', /^F: is a list of 0; expected an object/],
    ['null', /^F: is null/],
    ['{}', /^F: names no photograph/],
    ['{"$note": "only this"}', /^F: names no photograph/],
    ['{"$note": 3}', /^F: "\$note" is the number 3; expected a text/],
    ['{"a.jpg": "x"}', /^F: "a\.jpg" is the string "x"; expected a list of faces/],
    ['{"a.jpg": {}}', /^F: "a\.jpg" is an object/],
    [`{"a.jpg": [${four}]}`, /^F: "a\.jpg" face 1: is a list of 4; expected five points/],
    // This has the five points of one face, without the list of faces around them.
    [`{"a.jpg": [${point},${point},${point},${point},${point}]}`, /^F: "a\.jpg" face 1: is a list of 2/],
    [
      `{"a.jpg": [[${point},${point},[1],${point},${point}]]}`,
      /^F: "a\.jpg" face 1: nose is \[1\]; expected two numbers/,
    ],
    [`{"a.jpg": [[${point},["1",2],${point},${point},${point}]]}`, /face 1: right eye is \["1",2\]/],
    [`{"a.jpg": [[${point},[1e999,2],${point},${point},${point}]]}`, /face 1: right eye is/],
  ];
  for (const [text, reason] of cases) {
    assert.match((await rejection(() => parseLandmarks(text, 'F'), FormatError)).message, reason);
  }
  assert.match((await rejection(() => readLandmarks('none.json'), FormatError)).message, /^none\.json: cannot be read/);
});

test.run();
