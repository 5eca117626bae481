import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { unpackLatentsPng } from '../../src/codec/png/container.js';
import { readImage } from '../../src/data/pictures/image.js';
import { readLandmarks } from '../../src/data/pictures/landmarks.js';
import { DEMO_LANDMARKS } from '../helpers/data-available.js';
import { cameoFromSources } from './cli-fixture.js';
import { assertComplaints } from './complaints.js';

/**
 * Runs `cameo demo` from the sources, and checks its files and tables.
 * @param limit of faces; undefined for all
 */
export async function assertDemo(out: string, model: string, limit?: number): Promise<void> {
  const at = (...parts: string[]): string => join(out, ...parts);
  const more = limit === undefined ? [] : ['--limit', `${limit}`];
  const run = await cameoFromSources(['demo', '-o', out, '--model', model, ...more]);
  assertComplaints(run, 0, []);
  assert.equal(readdirSync(out).sort(), ['contact-sheet.png', 'rate0', 'rate1', 'report.html']);
  const listed = [...(await readLandmarks(DEMO_LANDMARKS)).values()].flat().length;
  const faces = readdirSync(at('rate0')).length;
  // Without a detector, demo takes the listed faces. A detector may find two more, which are turned to the side or covered by hair.
  if (limit !== undefined) assert.is(faces, limit);
  else if (/^there is no face detector/m.test(run.stdout)) assert.is(faces, listed);
  else assert.ok(faces >= listed - 1 && faces <= listed + 3, `${faces} faces`);
  for (const rate of [0, 1]) {
    const files = readdirSync(at(`rate${rate}`));
    assert.is(files.length, faces);
    for (const file of files) assert.is(unpackLatentsPng(readFileSync(at(`rate${rate}`, file))).rate, rate);
  }
  for (const codec of ['Cameo', 'JPEG', 'JPEG2000']) {
    assert.is(
      run.stdout.match(new RegExp(`^ *rate [01] {2}${codec} +[\\d.]+ +0\\.\\d{3} +[\\d.]+ +0\\.\\d{4}`, 'gm'))?.length,
      2,
      run.stdout,
    );
  }
  assert.match(run.stdout, /\nDone in \d+ s\.\n$/);
  const html = readFileSync(at('report.html'), 'utf8');
  assert.is(html.match(/src="data:image\/png;base64,/g)?.length, 2, 'one contact sheet for each rate');
  const { width, height } = await readImage(at('contact-sheet.png'));
  assert.ok(width > 8 * 192 && height > (faces / 2) * 224, `${width}×${height}`);
}
