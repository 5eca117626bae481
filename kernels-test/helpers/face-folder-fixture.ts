import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { encodePng } from '../../src/data/pictures/image.js';

/** A picture with the size of a face, whose first byte is its number. */
export async function facePng(number: number, width = 96, height = 112): Promise<Uint8Array> {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (number + (i >> 4)) % 256);
  return encodePng({ width, height, data });
}

export async function put(root: string, path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

/** Makes a folder without a manifest in another: it has 12 faces, and one entry of every kind that is not a face. */
export async function plainFolder(parent: string): Promise<string> {
  const root = await mkdtemp(join(parent, 'plain-'));
  for (let i = 0; i < 10; i++) await put(root, `ann/${i}.png`, await facePng(i));
  await put(root, 'test/bob/x.PNG', await facePng(10));
  await put(root, 'val/x.png', await facePng(11));
  await put(root, 'bad/empty.jpg', '');
  await put(root, 'bad/text.jpg', 'no picture');
  await put(root, 'bad/cut.png', (await facePng(1)).slice(0, -150));
  await put(root, 'bad/wide.png', await facePng(1, 112, 112));
  await put(root, 'bad/old.gif', 'GIF89a');
  await put(root, 'notes.txt', 'ignored');
  await put(root, '.hidden/x.png', 'ignored');
  await symlink('nowhere', join(root, 'bad/dangling.png'));
  await symlink('..', join(root, 'bad/loop'));
  await mkdir(join(root, 'bad/folder.png'));
  return root;
}
