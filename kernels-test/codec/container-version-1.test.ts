import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unpackLatentsPng } from '../../src/codec/png/container.js';
import { FROZEN_PNGS } from './frozen-pngs.js';

test('frozen files of version 1 are read', () => {
  for (const { file, ...content } of FROZEN_PNGS) assert.equal(unpackLatentsPng(file), { ...content, version: 1 });
});

test.run();
