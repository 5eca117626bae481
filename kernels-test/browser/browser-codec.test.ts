// adapters: once
// suite: long
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { servePage } from '../../bench/web/serve.js';
import { packArchive } from '../../src/codec/container/face-archive.js';
import { packFaceBare } from '../../src/codec/container/face-bare.js';
import type { DecodedFace } from '../../src/codec/container/face-code.js';
import { packFaceFile } from '../../src/codec/container/face-file.js';
import { FaceCodec } from '../../src/codec/face-codec.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { readShippedVectors } from '../codec/shipped-vectors.js';
import { demoFaces } from '../helpers/budget-fixture.js';
import { findTestAdapters } from '../runner/adapters.js';
import { browserTest, gpuObstacle, startBrowser, type TestSite } from './browser.js';
import { buildTestPages } from './page/build.js';
import type { PageFace } from './page/codec.js';

/*
 * The shipped face codec, in Node on each adapter and in a page on Chromium's adapter. What one encodes, the other decodes to the
 * same symbols, which are packed to the same bytes, and to the same pixels within one level.
 */
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cameo-browser-codec-'));
const WEIGHTS = here('../../models/face.safetensors');
const BUDGETS = { file: 500, bare: 300 } as const;

const files = await buildTestPages(folder, { modules: { codec: here('page/codec.ts') }, files: [WEIGHTS] });
const { server, address } = await servePage(folder, 0, files);
const site: TestSite = { started: await startBrowser(), address };
const reason = await gpuObstacle(site);
const [first, second] = await demoFaces();
const faces = [first, second, first.map((_, i) => first[i - (i % 3)])]; // the last one grey

async function openCodecPage(page: Page): Promise<void> {
  await page.goto(address);
  await page.evaluate(async () => {
    const path = './codec.js';
    await import(path);
    await globalThis.codecPage;
  });
}

const decodeInPage = (page: Page, files: Uint8Array[]): Promise<PageFace[]> =>
  page.evaluate(
    async (given) => (await globalThis.codecPage).decode(given),
    files.map((file) => [...file]),
  );

function assertWithinOneLevel(pixels: ArrayLike<number>, others: ArrayLike<number>, what: string): void {
  assert.is(pixels.length, others.length, what);
  let largest = 0;
  for (let i = 0; i < pixels.length; i++) largest = Math.max(largest, Math.abs(pixels[i] - others[i]));
  assert.ok(largest <= 1, `${what}: ${largest} levels`);
}

/** Asserts that a face of the page has these symbols, the bytes that Node packs, and the pixels of Node. */
function assertSameFace(found: PageFace, face: DecodedFace, pixels: Uint8Array, codec: FaceCodec, what: string) {
  assert.equal([found.qIndex, found.grey], [face.qIndex, face.grey], what);
  assert.equal(found.symbols, [...face.symbols], what);
  assert.equal(found.file, [...packFaceFile(face, codec.latents)], what);
  assert.equal(found.bare, [...packFaceBare(face, codec.latents)], what);
  assertWithinOneLevel(found.pixels, pixels, what);
}

async function exchange(page: Page, codec: FaceCodec): Promise<void> {
  await openCodecPage(page);
  const inPage = await page.evaluate(async () => {
    const { modelId, adapter } = await globalThis.codecPage;
    return { modelId, adapter };
  });
  assert.is(inPage.modelId, codec.modelId);

  for (const container of ['file', 'bare'] as const) {
    const maxBytes = BUDGETS[container];
    // Node encodes, and the page decodes.
    const files = await codec.encode(faces, { maxBytes }, container);
    const decoded = files.map((file) => codec.unpack(file));
    const pixels = await codec.decode(files);
    const found = await decodeInPage(page, files);
    found.forEach((face, k) => {
      assertSameFace(face, decoded[k], pixels[k], codec, `${container} ${k} of Node`);
      assert.equal(face[container], [...files[k]]);
    });

    // The page encodes, and Node decodes.
    const made = await page.evaluate(
      async (given, maxBytes, container) => (await globalThis.codecPage).encode(given, maxBytes, container),
      faces.map((face) => [...face]),
      maxBytes,
      container,
    );
    const encodedInPage = made.map((file) => Uint8Array.from(file));
    assert.ok(encodedInPage.every(({ length }) => length <= maxBytes && length > maxBytes - 20));
    const there = await decodeInPage(page, encodedInPage);
    const restored = await codec.decode(encodedInPage);
    there.forEach((face, k) => {
      assertSameFace(face, codec.unpack(encodedInPage[k]), restored[k], codec, `${container} ${k} of the page`);
    });
    const same = encodedInPage.filter((file, k) => Buffer.compare(file, files[k]) === 0).length;
    console.log(
      `${container}: ${same} of ${encodedInPage.length} faces are the same bytes from ${inPage.adapter} in the page`,
    );
  }

  // Streams that were frozen with this model.
  const { faces: frozen } = await readShippedVectors();
  for (const container of ['file', 'bare'] as const) {
    const read = await decodeInPage(
      page,
      frozen.map((face) => face[container]),
    );
    assert.equal(
      read.map(({ qIndex, grey, symbols, file, bare }) => ({ qIndex, grey, symbols, file, bare })),
      frozen.map(({ qIndex, grey, symbols, file, bare }) => {
        return { qIndex, grey, symbols: [...symbols], file: [...file], bare: [...bare] };
      }),
    );
  }

  const named = (await codec.symbolsOf(faces, { maxBytes: 400 }, 'archive')).map((face, k) => ({
    ...face,
    symbols: Int16Array.from(face.symbols),
    name: `face ${k}`,
  }));
  const archive = packArchive(named, codec.latents);
  const opened = await page.evaluate(async (given) => (await globalThis.codecPage).openArchive(given), [...archive]);
  assert.equal(
    opened.names,
    named.map(({ name }) => name),
  );
  assert.equal(opened.archive, [...archive]);
  const pixels = await codec.restore(named);
  opened.faces.forEach((face, k) => {
    assertSameFace(face, named[k], pixels[k], codec, `face ${k} of the archive`);
  });
}

const adapters = reason ? [] : await findTestAdapters((line) => console.log(line), true);
if (reason) browserTest(site, reason, 'Node and a page decode each other’s faces alike', async () => {});
for (const { name, label } of adapters) {
  browserTest(site, '', `Node on ${label} and a page decode each other’s faces alike`, async (page) => {
    const gpu = await openGpu({ adapter: name, tuning: false });
    const codec = FaceCodec.fromWeights(gpu, readFileSync(WEIGHTS));
    try {
      await exchange(page, codec);
    } finally {
      codec.dispose();
      gpu.destroy();
    }
  });
}

test.after(async () => {
  server.close();
  server.closeAllConnections();
  if (!('missing' in site.started)) await site.started.close();
  rmSync(folder, { recursive: true, force: true });
});

test.run();
