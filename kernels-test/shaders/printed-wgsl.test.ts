// adapters: once
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { complaint } from './check-wgsl.js';
import { matmulKernels, nullDevice } from './every-kernel.js';
import { PRINTED, readable } from './printed-wgsl.js';

test('shaders/printed/ has the present text of the kernels', () => {
  const folder = new URL('../../shaders/printed/', import.meta.url);
  assert.equal(
    readdirSync(folder).sort(),
    Object.keys(PRINTED)
      .map((name) => `${name}.wgsl`)
      .sort(),
  );
  for (const [name, text] of Object.entries(PRINTED)) {
    const printed = readFileSync(new URL(`${name}.wgsl`, folder), 'utf8');
    assert.is(printed, readable(text()), `${name}.wgsl is stale: npm run wgsl -- --write`);
  }
});

test('errors of compilation give the file and line in shaders/', async () => {
  const device = await nullDevice();
  const [tiled] = matmulKernels().filter(({ kernel }) => kernel.label === 'matmul tiled');
  assert.is(await complaint(device, tiled), null);
  // The line has an unknown name, like a typing error in the shader, and is still found in the file.
  const wgsl = tiled.kernel.wgsl.replace('var<workgroup> aTile: array<vec4f, INNER * ROW_VECS>;', '');
  assert.is.not(wgsl, tiled.kernel.wgsl);
  const text = await complaint(device, { ...tiled, kernel: { ...tiled.kernel, wgsl } });
  assert.match(
    text ?? '',
    /matmul tiled[\s\S]*shaders\/(matmul-tiled\.wgsl|common\/tile)\.ts:\d+: unresolved value 'aTile'/,
  );
});

test.run();
