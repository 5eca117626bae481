import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CounterRandom } from '../../src/common/random.js';
import { writePng } from '../../src/data/pictures/image.js';
import { demoFaces } from '../helpers/budget-fixture.js';

/** Writes a face of its own, 96×112, for each name, which may have folders in it: `folder`/NAME.png. */
export async function writeNamedFaces(folder: string, names: readonly string[]): Promise<void> {
  const faces = await demoFaces();
  for (const [k, name] of names.entries()) {
    const path = join(folder, `${name}.png`);
    mkdirSync(dirname(path), { recursive: true });
    const random = new CounterRandom(k);
    const data = faces[k % faces.length].map((value) => Math.min(255, value + random.int(30)));
    await writePng(path, { width: 96, height: 112, data });
  }
}
