import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FormatError } from '../../src/common/errors.js';
import { parseJson } from '../../src/common/json.js';
import { comparablePath, decodeText } from '../../src/common/text.js';
import { listFaces } from '../../src/data/faces/face-listing.js';
import { FileError } from '../../src/data/files/atomic-file.js';
import { readJson, readRegularFile } from '../../src/data/files/read-file.js';
import { rejection } from '../helpers/rejection.js';

const utf16 = (text: string, bigEndian: boolean): Buffer => {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
  return bigEndian ? bytes.swap16() : bytes;
};

test('a text file gives the same text in UTF-8 and UTF-16, with any line ends and with a byte order mark', () => {
  const text = '{"José": 1,\n"zwei": 2}\n';
  const windows = text.replaceAll('\n', '\r\n');
  const written: [string, Uint8Array][] = [
    ['UTF-8', Buffer.from(text)],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${text}`)],
    ['CRLF', Buffer.from(windows)],
    ['CR', Buffer.from(text.replaceAll('\n', '\r'))],
    ['UTF-16 LE', utf16(windows, false)],
    ['UTF-16 BE', utf16(text, true)],
  ];
  for (const [how, bytes] of written) assert.is(decodeText(bytes, how), text, how);
});

test('another encoding is refused, and the error gives the line', () => {
  const refused = (bytes: Uint8Array, reason: RegExp): void => {
    assert.throws(
      () => decodeText(bytes, 'F'),
      (error: Error) => error instanceof FormatError && reason.test(error.message),
    );
  };
  refused(Buffer.from('a\nb\nJos\xe9\n', 'latin1'), /^F, line 3: not UTF-8/);
  refused(Buffer.from('{"a": 1}', 'utf16le'), /^F: .*UTF-16 without a byte order mark/);
  refused(Buffer.from('a\0bc'.padEnd(5)), /^F: .*zero byte/);
});

test('paths that look the same to a user compare equal', () => {
  const same = ['ann/Jos\u00e9.png', 'ann/Jose\u0301.png', './ann\\Jos\u00e9.png', 'ann//./Jose\u0301.png'];
  assert.equal(new Set(same.map(comparablePath)).size, 1);
  assert.is(comparablePath('/a/b'), '/a/b');
  assert.is(comparablePath('../a'), '../a');
});

test('valid JSON is read as by JSON.parse', () => {
  const texts = [
    '{}', '[]', ' null ', '-1.5e-3', '"\\u00e9\\n\\\\"', '[[],{},[1,2,{"a":[true,false]}]]', '{"__proto__": {"a": 1}, "": 2}',
    `[${'[1],'.repeat(5000)}1]`, `"${'\\n'.repeat(20000)}"`,
  ]; // biome-ignore format: one per line is not clearer
  for (const text of texts) assert.equal(parseJson(text, 'F'), JSON.parse(text));
});

test('invalid JSON is refused, and the error gives the line and what was expected', () => {
  const cases: [string, RegExp][] = [
    ['', /^F, line 1: not JSON: the text ends where a value is expected/],
    ['{"a": 1,\n\n}', /^F, line 3: not JSON: "}" stands where a key is expected/],
    ['[1,\n2,]', /^F, line 2: not JSON: "\]" stands where a value is expected/],
    ['{"a": 1}\nx', /^F, line 2: not JSON: x stands where the end is expected/],
    ['{"a": 1}{}', /"\{" stands where the end is expected/],
    ['{"a" 1}', /1 stands where ":" is expected/],
    ['{"a": 1 "b": 2}', /"b" stands where "," or "}" is expected/],
    ['[1 2]', /2 stands where "," or "\]" is expected/],
    ['{a: 1}', /a: 1} stands where a key is expected/],
    ["{'a': 1}", /stands where a key is expected/],
    ['[1}', /"}" stands/],
    ['[NaN]', /NaN\] stands where a value/],
    ['[01]', /1 stands where/],
    ['["a\nb"]', /stands where a value/],
    ['["\\x"]', /stands where a value/],
    ['{"a": // note\n1}', /\/\/ note stands where a value/],
    [']', /"\]" stands where a value/],
    ['{"a":', /the text ends where a value/],
    ['{', /the text ends where a key/],
    ['[,1]', /"," stands where a value/],
    ['\u00a01', /stands where a value/],
  ];
  for (const [text, reason] of cases) {
    assert.throws(() => JSON.parse(text));
    assert.throws(
      () => parseJson(text, 'F'),
      (error: Error) => error instanceof FormatError && reason.test(error.message),
      text,
    );
  }
});

test('a key that occurs twice is refused by name, at any depth and in any spelling', () => {
  const cases: [string, RegExp][] = [
    ['{"a": 1,\n"a": 2}', /^F, line 2: the key "a" occurs twice/],
    ['[{"x": {"b": 1, "\\u0062": 2}}]', /the key "b" occurs twice/],
    ['{"__proto__": 1, "__proto__": 2}', /"__proto__" occurs twice/],
  ];
  for (const [text, reason] of cases) {
    assert.throws(
      () => parseJson(text, 'F'),
      (error: Error) => error instanceof FormatError && reason.test(error.message),
    );
  }
  assert.equal(parseJson('[{"a": 1}, {"a": 2}, {"b": {"a": 3}, "a": 4}]', 'F'), [
    { a: 1 },
    { a: 2 },
    { b: { a: 3 }, a: 4 },
  ]);
});

test('a file is found by a name with another Unicode composition of its letters', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cameo-text-'));
  mkdirSync(join(folder, 'Zoe\u0308'));
  writeFileSync(join(folder, 'Zoe\u0308', 'Jose\u0301.json'), '{"a": 1}');
  assert.equal(await readJson(join(folder, 'Zo\u00eb', 'Jos\u00e9.json')), { a: 1 });
  await rejection(() => readRegularFile(join(folder, 'Zo\u00eb', 'Jos\u00e8.json'), 100), FileError);
});

test('a manifest is read as other systems write it, and unusable lines are reported', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cameo-manifest-'));
  const lines = [
    'path\tidentity ',
    './ann\\1.png\tJose\u0301',
    'ann/2.png\tJos\u00e9',
    'ann//1.png\tother',
    'C:\\x.png\ty',
  ];
  writeFileSync(join(folder, 'manifest.tsv'), `\ufeff${lines.join('\r\n')}\r\n`);
  const { entries, unreadable } = await listFaces(folder);
  assert.equal(
    entries.map(({ path }) => path),
    ['ann/1.png', 'ann/2.png'],
  );
  assert.equal(new Set(entries.map(({ identity }) => identity)).size, 1);
  assert.equal(
    unreadable.map(({ path }) => path.slice(-2)),
    [':4', ':5'],
  );
  assert.match(unreadable[0].reason, /identity of "ann\/1\.png" is "other"; line 2 has "Jos\u00e9"/);

  writeFileSync(join(folder, 'manifest.tsv'), 'path\tidentity\tpath\n');
  assert.match((await rejection(() => listFaces(folder), FormatError)).message, /column "path" occurs twice/);
});

test('a folder lists only one of two pictures whose names differ only in Unicode composition', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cameo-listing-'));
  for (const name of ['Jose\u0301.png', 'Jos\u00e9.png', 'Josf.png']) writeFileSync(join(folder, name), '');
  const { entries, unreadable } = await listFaces(folder);
  if (entries.length + unreadable.length === 2) return; // the file system cannot hold both names
  assert.is(entries.length, 2);
  assert.match(unreadable[0].reason, /composition of its letters/);
});

/** Files that decode text within a binary format, which is not a text file. */
const OF_BYTES = [
  'codec/container/face-archive.ts',
  'cli/compact-kind.ts',
  'nn/safetensors.ts',
  'onnx/protobuf.ts',
  'data/checkpoints/pickle.ts',
  'data/checkpoints/zip.ts',
  'data/archives/archive-writer.ts',
];

test('only one file reads text files, and only one parses JSON', () => {
  const root = new URL('../../src', import.meta.url).pathname;
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !/^common.(text|json|program-json)\.ts$/.test(path))
    .filter((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const decodes = !OF_BYTES.includes(path.replaceAll('\\', '/')) && /\bTextDecoder\b/.test(text);
      return decodes || /\bJSON\.parse\b|readFile(Sync)?\([^;]*?['"]utf-?8|createInterface|readLines/.test(text);
    });
  assert.equal(
    found.map((path) => relative('.', path)),
    [],
  );
});

test.run();
