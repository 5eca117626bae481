import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { joinPngChunks, type PngChunk, readPng } from '../../src/codec/png/chunks.js';
import { unpackLatentsPng } from '../../src/codec/png/container.js';
import { FormatError } from '../../src/common/errors.js';

/** A PNG with some of its chunks exchanged, and the CRCs of all chunks right. */
export function edited(file: Uint8Array, edit: (chunks: PngChunk[]) => PngChunk[]): Uint8Array {
  return joinPngChunks(edit(readPng(file).map(({ type, data }) => ({ type, data: data.slice() }))));
}

/** A PNG with one byte of the data of chunk `index` set. */
export function withByte(file: Uint8Array, index: number, at: number, value: number): Uint8Array {
  return edited(file, (chunks) => {
    chunks[index].data[at] = value;
    return chunks;
  });
}

/** A PNG with another content of its one IDAT, and another size of its picture if one is given. */
export function withPixels(file: Uint8Array, stream: Uint8Array, size?: [width: number, height: number]): Uint8Array {
  return edited(file, (chunks) => {
    const view = new DataView(chunks[0].data.buffer);
    size?.forEach((side, k) => {
      view.setUint32(4 * k, side);
    });
    return chunks.map((chunk) => (chunk.type === 'IDAT' ? { type: 'IDAT', data: stream } : chunk));
  });
}

/** Tests that reading each file fails with a message of one line. */
export function testRefusals(refused: readonly [what: string, bytes: Uint8Array, message: RegExp][]): void {
  for (const [what, bytes, message] of refused) {
    test(`refuses: ${what}`, () => {
      try {
        unpackLatentsPng(bytes);
      } catch (error) {
        assert.instance(error, FormatError);
        assert.match((error as Error).message, message);
        assert.not.match((error as Error).message, /\n/);
        return;
      }
      assert.unreachable('was accepted');
    });
  }
}
