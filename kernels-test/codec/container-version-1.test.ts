import { deflateSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PngChunk } from '../../src/codec/png/chunks.js';
import { isCompactPng, unpackLatentsPng } from '../../src/codec/png/container.js';
import { filterCandidates } from '../../src/codec/png/filter.js';
import { FROZEN_PNGS } from './frozen-pngs.js';
import * as png from './png-edits.js';

test('frozen files of version 1 are read', () => {
  for (const { file, ...content } of FROZEN_PNGS) {
    assert.equal(unpackLatentsPng(file), { ...content, version: 1 });
    assert.ok(isCompactPng(file.subarray(0, 64)));
  }
});

const { file: good, latents: face } = FROZEN_PNGS[0];
/** One row without a filter. */
const rows = (() => {
  const planes = Uint8Array.from(face.data, (_, i) => face.data[(i % 42) * 24 + Math.floor(i / 42)]);
  return filterCandidates(planes, planes.length)[0];
})();
const edited = (edit: (chunks: PngChunk[]) => PngChunk[]) => png.edited(good, edit);
const withByte = (index: number, at: number, value: number) => png.withByte(good, index, at, value);
const withPixels = (stream: Uint8Array) => png.withPixels(good, stream);
const text: PngChunk = { type: 'tEXt', data: new TextEncoder().encode('Comment\0hello') };

png.testRefusals([
  ['cut in a chunk', good.subarray(0, 100), /truncated: chunk IDAT/],
  ['cut before IEND', good.subarray(0, good.length - 12), /truncated: no whole chunk/],
  ['trailing data', Uint8Array.of(...good, 1, 2), /2 bytes of foreign data after the end/],
  ['wrong chunk CRC', good.map((byte, i) => (i === good.length - 20 ? byte ^ 1 : byte)), /IDAT.*CRC/],
  ['nameless chunk', good.map((byte, i) => (i === 37 ? 0 : byte)), /not four letters/],
  ['no cmEO', edited(([a, , c, d]) => [a, c, d]), /format version \d+ is not supported/],
  ['additional chunk', edited(([a, b, c, d]) => [a, b, text, c, d]), /chunks are IHDR cmEO tEXt IDAT IEND/],
  ['two cmEO', edited(([a, b, c, d]) => [a, b, b, c, d]), /chunks are/],
  ['two IDAT', edited(([a, b, c, d]) => [a, b, c, c, d]), /chunks are/],
  ['reordered', edited(([a, b, c, d]) => [a, c, b, d]), /chunks are/],
  ['short IHDR', edited(([a, b, c, d]) => [{ type: 'IHDR', data: a.data.subarray(0, 12) }, b, c, d]), /IHDR has 12/],
  ['16-bit', withByte(0, 8, 16), /bit depth 16/],
  ['colour', withByte(0, 9, 2), /colour type 2/],
  ['compression method', withByte(0, 10, 1), /compression method 1/],
  ['filter method', withByte(0, 11, 1), /filter method 1/],
  ['interlaced', withByte(0, 12, 1), /interlace method 1/],
  ['no rows', withByte(0, 7, 0), /1008×0 pixels/],
  ['huge picture', withByte(0, 0, 0x7f), /at most 65536/],
  ['picture that is no map', withByte(0, 3, 0xf1), /whole latent maps of 7×6/],
  ['version 2 with cmEO', withByte(1, 0, 0x25), /version 2 has no cmEO chunk, this file has one/],
  ['version 3', withByte(1, 0, 0x35), /version 3 is not supported, this program reads versions 1 and 2/],
  ['long cmEO', edited(([a, b, c, d]) => [a, { type: b.type, data: new Uint8Array(12).fill(16) }, c, d]), /12 bytes/],
  ['empty cmEO', edited(([a, b, c, d]) => [a, { type: b.type, data: b.data.subarray(0, 0) }, c, d]), /empty/],
  ['latent width', withByte(1, 5, 0x7f & 69), /latent height|latent width/],
  ['other rate', withByte(1, 0, 0x16), /checksum/],
  ['other model', withByte(1, 4, 0x11), /checksum/],
  ['other shape of as many symbols', withByte(1, 5, 11), /checksum/],
  ['not zlib', withPixels(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), /cannot be inflated/],
  ['empty IDAT', withPixels(new Uint8Array(0)), /cannot be inflated/],
  ['cut zlib stream', withPixels(deflateSync(rows).subarray(0, 200)), /cannot be inflated: the stream ends early/],
  ['cut Adler-32', withPixels(deflateSync(rows).subarray(0, -2)), /cannot be inflated: the stream ends early/],
  ['too little data', withPixels(deflateSync(rows.subarray(1))), /expand to 1008 bytes, expected 1009/],
  ['too much data', withPixels(deflateSync(Buffer.concat([rows, rows]))), /more than 1009/],
  ['a bomb', withPixels(deflateSync(new Uint8Array(30_000_000))), /more than 1009/],
  ['data after zlib', withPixels(Buffer.concat([deflateSync(rows), rows.subarray(0, 3)])), /3 bytes of foreign data/],
  ['filter type 5', withPixels(deflateSync(rows.map((byte, i) => (i === 0 ? 5 : byte)))), /filter type 5/],
  ['other symbols', withPixels(deflateSync(rows.map((byte, i) => (i === 9 ? byte + 1 : byte)))), /checksum/],
]);

test('files that another program has recompressed are read: any filter, width and deflate setting', () => {
  for (const width of [1008, 42, 24, 6, 1]) {
    for (const filtered of filterCandidates(rows.subarray(1), width)) {
      const stream = deflateSync(filtered, { level: width % 10, windowBits: 9 });
      const bytes = png.withPixels(good, stream, [width, 1008 / width]);
      assert.equal(unpackLatentsPng(bytes).latents, face);
      assert.ok(isCompactPng(bytes.subarray(0, 64)));
    }
  }
});

test.run();
