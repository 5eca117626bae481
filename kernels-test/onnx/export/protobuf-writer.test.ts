import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bytes, float, int, join, text, toBytes, type WireBytes } from '../../../src/onnx/export/protobuf-writer.js';

const list = (encoded: WireBytes): number[] => [...toBytes(encoded)];

test('fields are written in the wire format of Protocol Buffers', () => {
  // These are the examples of its documentation: field 1 is 150, and field 2 is "testing".
  assert.equal(list(int(1, 150)), [0x08, 0x96, 0x01]);
  assert.equal(list(text(2, 'testing')), [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
  assert.equal(list(bytes(3, int(1, 150))), [0x1a, 0x03, 0x08, 0x96, 0x01]);
  assert.equal(list(int(20, 7)), [0xa0, 0x01, 0x07]);
  assert.equal(list(int(1, -2)), [0x08, 0xfe, ...new Array(8).fill(0xff), 0x01]);
  assert.equal(list(float(2, -1.5)), [0x15, 0x00, 0x00, 0xc0, 0xbf]);
  assert.is(bytes(1, new Uint8Array(300)).size, 1 + 2 + 300);
  assert.equal(list(join([int(1, 1), int(2, 3)])), [0x08, 0x01, 0x10, 0x03]);
});

test.run();
