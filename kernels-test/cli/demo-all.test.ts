// suite: long
// adapters: once
import { join } from 'node:path';
import { test } from 'uvu';
import { temporaryFolder, writeTinyModel } from './cli-fixture.js';
import { assertDemo } from './demo-fixture.js';

test('demo shows the faces of all photographs at all rates, with tables, contact sheet and report', async () => {
  const folder = temporaryFolder();
  await assertDemo(join(folder, 'demo'), writeTinyModel(join(folder, 'model.safetensors'), 1));
});

test.run();
