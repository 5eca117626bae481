import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CounterRandom } from '../../src/common/random.js';
import { writePng } from '../../src/data/pictures/image.js';

/**
 * Writes drawn "faces" of one kind: an oval with eyes and a mouth, whose colours and sizes are a person's own, and of each person two
 * pictures, which differ a little.
 * @param people of each split
 * @returns the folder
 */
export async function writeDrawnFaces(folder: string, people: Readonly<Record<string, number>>): Promise<string> {
  for (const [s, [split, count]] of Object.entries(people).entries()) {
    for (let person = 0; person < count; person++) {
      mkdirSync(join(folder, split, `p${person}`), { recursive: true });
      for (let k = 0; k < 2; k++) {
        const data = drawn(new CounterRandom(1000 * s + person, 1), new CounterRandom(1000 * s + person, 2 + k));
        await writePng(join(folder, split, `p${person}`, `${k}.png`), { width: 96, height: 112, data });
      }
    }
  }
  return folder;
}

function drawn(person: CounterRandom, picture: CounterRandom): Uint8Array {
  const own = (from: number, to: number): number =>
    from + (to - from) * (0.9 * person.uniform() + 0.1 * picture.uniform());
  const color = (): number[] => [own(20, 230), own(20, 230), own(20, 230)];
  const [ground, skin, eyes, mouth] = [color(), color(), color(), color()];
  const [width, height, apart, eyeSize, mouthWidth] = [own(30, 44), own(40, 54), own(14, 22), own(4, 9), own(8, 20)];
  /** From 0 outside an ellipse to 1 inside, with a soft border. */
  const inside = (x: number, y: number, [cx, cy]: number[], rx: number, ry: number): number =>
    1 / (1 + Math.exp(8 * (Math.hypot((x - cx) / rx, (y - cy) / ry) - 1)));
  return Uint8Array.from({ length: 96 * 112 * 3 }, (_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % 96, Math.floor(i / 288), i % 3];
    let value = ground[c];
    const paint = (share: number, [r, g, b]: number[]): void => {
      value += share * ([r, g, b][c] - value);
    };
    paint(inside(x, y, [48, 60], width, height), skin);
    for (const side of [-1, 1]) paint(inside(x, y, [48 + side * apart, 50], eyeSize, eyeSize), eyes);
    paint(inside(x, y, [48, 92], mouthWidth, 4), mouth);
    return value;
  });
}
