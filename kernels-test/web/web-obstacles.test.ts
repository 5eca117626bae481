// adapters: once
// suite: long
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { crc32 } from '../../src/codec/crc32.js';
import { browserTest } from '../browser/browser.js';
import { textOf, waitForText } from '../browser/browser-page.js';
import { alignedFile, assertFits, choose, openDemo, openTools, PHONE, PHOTO, slot } from './web-fixture.js';

const demo = await openDemo();
const { folder, address, reason } = demo;

/** A PNG of one bit a pixel, all of it white. */
function whitePng(width: number, height: number): Buffer {
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length);
    frame.writeUInt32BE(crc32(body) >>> 0, 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  const rows = Buffer.alloc(height * (1 + width / 8), 255);
  for (let y = 0; y < height; y++) rows[y * (1 + width / 8)] = 0;
  const signature = Buffer.of(137, 80, 78, 71, 13, 10, 26, 10);
  const parts = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows, { level: 1 })), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]);
}

browserTest(demo, '', 'bad pictures and files are explained, and the page goes on', async (page) => {
  await page.goto(address);
  const cases: { name: string; content: Uint8Array; message: RegExp; read?: RegExp }[] = [
    {
      name: 'text.png',
      content: Buffer.from('no picture'),
      message: /^text\.png: no picture that this browser can read/,
    },
    { name: 'empty.jpg', content: Buffer.alloc(0), message: /^empty\.jpg: the file is empty/ },
    {
      name: 'half.png',
      content: readFileSync(await alignedFile(folder, 2)).subarray(0, 4000),
      message: /^half\.png: .*damaged/,
    },
    {
      name: 'huge.png',
      content: whitePng(16_000, 8000),
      message: /^huge\.png: the picture is 16000×8000, 128 megapixels; at most 120 are accepted/,
    },
  ];
  for (const { name, content, message } of cases) {
    writeFileSync(join(folder, name), content);
    await choose(page, `${slot(1)} [type=file]`, join(folder, name));
    await waitForText(page, `${slot(1)} .problem`, message, 30_000);
  }
  assert.is(await textOf(page, '#face-kind'), 'An invented face');
  await choose(page, '#read-file', join(folder, 'text.png'));
  await waitForText(page, '#read-problem', /^text\.png: no picture/);
  await choose(page, '#read-file', await alignedFile(folder, 2));
  await waitForText(page, '#read-problem', /^aligned-2\.png: no QR code can be read in it/);
  writeFileSync(join(folder, 'broken.cameo'), Uint8Array.of(0x9e, 0x43, 0x4d, 0x46, 1, 2, 3));
  await choose(page, '#read-file', join(folder, 'broken.cameo'));
  if (!reason) await waitForText(page, '#read-problem', /truncated: file of 7 bytes/);
  // Points that are those of no face.
  await choose(page, `${slot(1)} [type=file]`, PHOTO);
  await page.waitForSelector(`${slot(1)} .handle`, { visible: true });
  await page.focus(`${slot(1)} .handle`);
  await page.keyboard.down('Shift');
  for (let k = 0; k < 8; k++) await page.keyboard.press('ArrowRight');
  await page.keyboard.up('Shift');
  await waitForText(page, `${slot(1)} .problem`, /from the proportions of a face/);
  await openTools(page, slot(1));
  await page.click(`${slot(1)} .reset`);
  await waitForText(page, `${slot(1)} .problem`, /^$/);
});

browserTest(demo, '', 'a browser without WebGPU is told so, and still shows JPEG and WebP', async (page) => {
  await page.evaluateOnNewDocument(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
  await page.goto(address);
  await waitForText(page, '#gpu-problem', /this browser has no WebGPU .* on https or localhost/);
  await choose(page, `${slot(1)} [type=file]`, await alignedFile(folder, 0));
  await waitForText(page, '#face-problem', /^Cameo cannot run here: this browser has no WebGPU/);
  await waitForText(page, '[data-key=webp]', /\d+ bytes/);
  await choose(page, `${slot(2)} [type=file]`, PHOTO);
  await waitForText(page, `${slot(2)} .hint`, /^Faces cannot be found here: that needs a GPU\. Place the five points/);
  await page.waitForSelector(`${slot(2)} .handle`, { visible: true });
  // With some 470 bytes of colour profile there is no room for a picture in 500.
  await page.click('#profile');
  await waitForText(page, '[data-key=webp]', /makes no file this small/);
  // The button is pressed before the code of the tab can have come, and nothing is lost.
  await page.evaluate(() => {
    document.querySelector<HTMLElement>('#tab-train')!.click();
    document.querySelector<HTMLElement>('#train-start')!.click();
  });
  await waitForText(page, '#train-problem', /this browser has no WebGPU/);
});

browserTest(demo, '', 'every control and picture has a name, and the phone shows all of them', async (page) => {
  await page.setViewport(PHONE);
  await page.goto(address);
  await choose(page, `${slot(1)} [type=file]`, PHOTO);
  await page.waitForSelector(`${slot(1)} .handle`, { visible: true });
  for (const tab of ['#tab-train', '#tab-bench', '#tab-face']) {
    await page.click(tab);
    await assertFits(page, tab);
    const tree = await page.accessibility.snapshot();
    const unnamed: string[] = [];
    const visit = (node: typeof tree): void => {
      if (!node) return;
      if (/button|tab$|slider|spin|combo|link|image|check|text ?box/i.test(node.role) && !node.name)
        unnamed.push(node.role);
      for (const child of node.children ?? []) visit(child);
    };
    visit(tree);
    assert.equal(unnamed, [], tab);
  }
});

test.after(() => demo.close());

test.run();
