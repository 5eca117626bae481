// adapters: once
// suite: long
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { FaceLandmarks } from '../../src/common/face-landmarks.js';
import { readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import { searchQr } from '../../src/data/pictures/read-qr.js';
import { landmarkError } from '../../src/evaluation/metrics/landmarks.js';
import { DEMO_LANDMARKS, DEMO_PHOTOS } from '../helpers/data-available.js';
import { THOROUGH } from '../helpers/thorough.js';
import { temporaryFolder } from './cli-fixture.js';
import { cameoHere } from './cli-here.js';

/*
 * Runs the commands as a newcomer would, on photographs of people and with nothing else but the shipped files. The photographs are those of
 * npm @vladmandic/face-api.
 */

const test = suite('six photographs');
const photos = [1, 2, 3, 4, 5, 6].map((k) => join(DEMO_PHOTOS, `sample${k}.jpg`));
const missing = photos.filter((photo) => !existsSync(photo));
if (missing.length > 0) console.log(`SKIP commands on six photographs: ${missing[0]} does not exist`);
const withPhotos = missing.length === 0 ? test : test.skip;

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder, ...parts);
const nothing = { CAMEO_DATA: at('nowhere'), CAMEO_DETECTOR: '', CAMEO_MODEL: '', CAMEO_CACHE: at('cache') };
const run = (...args: string[]) => cameoHere(args, nothing, folder);
/** Not all photographs are used, because each command takes seconds on a CPU. */
const tested = THOROUGH ? photos : [photos[3]];
const stemOf = (photo: string): string => basename(photo, '.jpg');

withPhotos('detect finds the faces that are listed, crop cuts them out', async () => {
  const detected = await run('detect', ...photos, '--json');
  assert.is(detected.code, 0, detected.stderr);
  const told = JSON.parse(detected.stdout).photos as { input: string; faces: { landmarks: FaceLandmarks }[] }[];
  const listed = await readLandmarks(DEMO_LANDMARKS);
  for (const { input, faces } of told) {
    for (const points of listed.get(basename(input))!) {
      const error = Math.min(...faces.map(({ landmarks }) => landmarkError(landmarks, points)));
      assert.ok(error < 0.25, `${input}: a face is off by ${error} of the distance of its eyes`);
    }
  }
  const cropped = await run('crop', ...tested, '-o', 'crops');
  assert.is(cropped.code, 0, cropped.stderr);
  const cut = told.filter(({ input }) => tested.includes(input));
  const count = cut.reduce((sum, { faces }) => sum + faces.length, 0);
  assert.ok(count > 0);
  assert.is(readdirSync(at('crops')).filter((name) => name.endsWith('.png')).length, count);
});

withPhotos('encode and qr put the largest face of each into few bytes', async () => {
  const encoded = await run('encode', ...photos, '-o', 'small', '--faces', 'largest', '--bytes', '300');
  assert.is(encoded.code, 0, encoded.stderr);
  for (const photo of photos) {
    const { size } = statSync(at('small', `${stemOf(photo)}.cameo`));
    assert.ok(size > 100 && size <= 300, `${photo}: ${size} bytes`);
  }
  for (const photo of tested) {
    const stem = stemOf(photo);
    const code = await run('qr', photo, '-o', `${stem}.png`, '--faces', 'largest', '--bytes', '300');
    assert.is(code.code, 0, code.stderr);
    assert.ok(searchQr(await readImage(at(`${stem}.png`)), 3000).length <= 300);
  }
});

withPhotos(
  'verify knows the face of a photograph in its compact file, and says what it thinks of two photographs',
  async () => {
    for (const photo of tested) {
      const same = await run('verify', photo, `small/${stemOf(photo)}.cameo`);
      assert.is(same.code, 0, `${photo}: ${same.stdout} ${same.stderr}`);
    }
    const two = await run('verify', photos[0], photos[1], '--json');
    assert.ok(two.code === 0 || two.code === 1, two.stderr);
    const { similarity, same } = JSON.parse(two.stdout);
    assert.ok(similarity > -1 && similarity < 1);
    assert.is(same, two.code === 0);
  },
);

test.run();
