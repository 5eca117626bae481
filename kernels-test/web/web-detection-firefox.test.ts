// adapters: once
// suite: long
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { browserTest } from '../browser/browser.js';
import { waitForText } from '../browser/browser-page.js';
import { cameraFrame, demoFaces, demoPhoto, facesIn, isAmong, lookIn, pointsIn } from './photo-faces.js';
import { assertFits, openDemo, PHONE, slot, testDetector } from './web-fixture.js';

/*
 * The demo page with a face detector, in Firefox: with the weights that ship, or else with MTCNN's.
 */

const detector = testDetector();
const demo = await openDemo('Firefox', 'path' in detector ? detector.path : null);
const reason = 'missing' in detector ? detector.missing : demo.reason;
/** The second photograph: alone, it is not encoded. */
const place = slot(2);

browserTest(demo, reason, 'faces are found in Firefox, in a photograph and in the camera', async (page) => {
  await page.setViewport({ width: 1100, height: 900 });
  await page.goto(demo.address);
  await waitForText(page, '#gpu', /^Runs on/);
  const truth = demoFaces.get('sample3.jpg')!;
  assert.match(await lookIn(page, place, demoPhoto(3)), /^\d faces were found, and the largest is chosen/);
  const faces = await facesIn(page, place);
  assert.ok(truth.filter((face) => isAmong(faces, face)).length >= 2, JSON.stringify(faces));
  await page.focus(`${place} .box[aria-checked=true]`);
  await page.keyboard.press('ArrowRight');
  assert.equal(await pointsIn(page, place), faces[0], 'after the last comes the first');
  assert.is(await page.$eval(`${place} .box[aria-checked=true]`, (box) => box === document.activeElement), true);

  // A camera that shows a photograph.
  const picture = (await cameraFrame(demoPhoto(1), 340, 150)).toString('base64');
  await page.evaluate((picture) => {
    MediaDevices.prototype.getUserMedia = async () => {
      const image = new Image();
      image.src = `data:image/jpeg;base64,${picture}`;
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 480 });
      const context = canvas.getContext('2d')!;
      setInterval(() => context.drawImage(image, 0, 0), 50);
      return canvas.captureStream(20);
    };
  }, picture);
  await page.click(`${place} .camera`);
  await waitForText(page, '.in-view', /^2 faces in view\.$/);
  assert.is((await page.$$('.marks rect')).length, 2);
  await page.click('#camera .take');
  await page.waitForSelector('#camera:not([open])');
  await waitForText(page, `${place} .hint`, /^2 faces were found/);
  await page.setViewport(PHONE);
  await assertFits(page, 'the first tab');
});

test.after(() => demo.close());

test.run();
