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
    const order = (a: string, b: string): number => naturally.compare(a, b) || (a < b ? -1 : 1);
    items.sort((a, b) => order(composed.get(a.name)!, composed.get(b.name)!));
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
