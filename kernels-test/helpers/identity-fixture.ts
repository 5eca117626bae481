import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CounterRandom } from '../../src/common/random.js';
import { writePng } from '../../src/data/pictures/image.js';

/**
 * Writes aligned "faces" of identities that differ in colour and pattern, four noisy pictures of each: five identities in
 * the folder train, four others in val.
 * @returns the folder
 */
export async function writeIdentities(folder: string): Promise<string> {
  for (const [split, people, first] of [
    ['train', 5, 0],
    ['val', 4, 5],
  ] as const) {
    for (let person = 0; person < people; person++) {
      mkdirSync(join(folder, split, `p${person}`), { recursive: true });
      for (let k = 0; k < 4; k++) {
        const random = new CounterRandom(100 * (first + person) + k);
        const data = Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => {
          const [x, y, c] = [Math.floor(i / 3) % 96, Math.floor(i / 288), i % 3];
          const wave = Math.sin((x * (first + person + 1)) / 20 + c * person) + Math.cos((y * (person + 2)) / 25);
          return Math.max(0, Math.min(255, 128 + 50 * wave + 20 * (random.uniform() - 0.5)));
        });
        await writePng(join(folder, split, `p${person}`, `${k}.png`), { width: 96, height: 112, data });
      }
    }
  }
  return folder;
}
