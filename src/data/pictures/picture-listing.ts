import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { comparablePath } from '../../common/text.js';
import { FileError, fileErrorReason } from '../files/atomic-file.js';
import { isOwnPicture } from './own-files.js';
import { READABLE } from './picture-format.js';

export interface ListedPicture {
  path: string;
  /** Its path below the folder, with '/' and without its extension. */
  name: string;
  /** The same with the extension; undefined for a picture that was not found in a folder. */
  below?: string;
}

export interface PictureListing {
  pictures: ListedPicture[];
  /** Pictures left out because Cameo made them: compact PNGs, restored faces, contact sheets. */
  own: number;
}

/** Natural order: "face 2" before "face 10". */
const naturally = new Intl.Collator('en', { numeric: true });

/** Compares items of a folder by their names, in composed letters. */
const compareItems = (a: string, b: string): number => naturally.compare(a, b) || (a < b ? -1 : Number(a > b));

/** The names of the folders and the file that a picture's name stands for; its extension, which the name lacks, is taken to be .png. */
export const listedItems = (name: string): readonly string[] => `${comparablePath(name)}.png`.split('/');

/** Compares pictures of a folder by their `listedItems`, as `listPictures` sorts them. */
export function compareListed(a: readonly string[], b: readonly string[]): number {
  for (let k = 0; k < Math.min(a.length, b.length); k++) {
    const order = compareItems(a[k], b[k]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/**
 * The pictures of a folder (PICTURE_FORMATS, by their names) and those below, without those that Cameo made, each folder in
 * natural order. Names that begin with a dot are left out; links to files are followed, links to folders are not, as they can form loops.
 * @throws FileError for a folder that cannot be read
 */
export async function listPictures(folder: string): Promise<PictureListing> {
  const pictures: ListedPicture[] = [];
  let own = 0;
  const walk = async (below: string): Promise<void> => {
    const path = join(folder, below);
    const items = await readdir(path, { withFileTypes: true }).catch((cause: unknown) => {
      throw new FileError(`${path}: cannot be read: ${fileErrorReason(cause)}`, { cause });
    });
    const composed = new Map(items.map(({ name }) => [name, comparablePath(name)]));
    items.sort((a, b) => compareItems(composed.get(a.name)!, composed.get(b.name)!));
    for (const item of items) {
      if (item.name.startsWith('.')) continue;
      if (item.isDirectory()) await walk(`${below}${item.name}/`);
      else if (READABLE.test(item.name)) {
        const file = `${below}${item.name}`;
        const full = join(path, item.name);
        if (await isOwnPicture(full)) own++;
        else pictures.push({ path: full, name: file.replace(READABLE, ''), below: file });
      }
    }
  };
  await walk('');
  return { pictures, own };
}
