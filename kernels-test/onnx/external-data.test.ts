import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FormatError } from '../../src/common/errors.js';
import { FileError } from '../../src/data/files/atomic-file.js';
import { externalDataIn } from '../../src/data/files/external-data.js';

// adapters: once

const home = mkdtempSync(join(tmpdir(), 'cameo-onnx-'));
const folder = join(home, 'model');
mkdirSync(join(folder, 'parts'), { recursive: true });
writeFileSync(join(home, 'secret'), 'secret');
writeFileSync(join(folder, 'weights.bin'), Uint8Array.from([1, 2, 3]));
writeFileSync(join(folder, 'parts', 'more.bin'), Uint8Array.from([4]));

test('files in the folder of a model are read, once', () => {
  const external = externalDataIn(folder);
  assert.equal([...external('weights.bin')], [1, 2, 3]);
  assert.equal([...external('parts/more.bin')], [4]);
  assert.is(external('weights.bin'), external('weights.bin'));
});

test('no other file is read', () => {
  symlinkSync(join(home, 'secret'), join(folder, 'link'));
  const external = externalDataIn(folder);
  const outside = ['../secret', join(home, 'secret'), 'parts/../../secret', 'link', '', '..', '..\\secret', 'a\0b'];
  for (const location of outside) {
    assert.throws(
      () => external(location),
      (error: Error) => error instanceof FormatError && /not inside its folder/.test(error.message),
      location,
    );
  }
  for (const location of ['missing', 'parts']) {
    assert.throws(
      () => external(location),
      (error: Error) => error instanceof FileError,
      location,
    );
  }
});

test.after(() => rmSync(home, { recursive: true }));
test.run();
