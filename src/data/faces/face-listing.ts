import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../../common/errors.js';
import { comparablePath } from '../../common/text.js';
import { FileError, fileErrorReason } from '../files/atomic-file.js';
import { readText } from '../files/read-file.js';
import { isOwnPicture } from '../pictures/own-files.js';
import { OTHER_PICTURES, PICTURE_FORMATS, READABLE } from '../pictures/picture-format.js';

export type Split = 'train' | 'val' | 'test';

/** One face of a data set, not yet read. Fields that the set does not know are ''. */
export interface FaceEntry {
  /** relative to the root of the listing, with '/' */
  path: string;
  /** faces of the same person have the same */
  identity: string;
  source: string;
  split: string;
  sex: string;
  race: string;
}

/** A file, folder or line of a manifest that could not be used, and why. */
export interface Unreadable {
  path: string;
  reason: string;
}

export interface FaceListing {
  /** folder that the paths are relative to */
  root: string;
  entries: FaceEntry[];
  unreadable: Unreadable[];
  /** Pictures of a folder without a manifest that are left out because Cameo made them. */
  own: number;
}

const MANIFEST = 'manifest.tsv';
const COLUMNS = ['path', 'identity', 'source', 'split', 'sex', 'race'] as const;

/**
 * Lists the faces of a folder without reading them: by `manifest.tsv` in it or in its subfolder `faces`
 * (tab-separated, with a header; columns path, identity, source, split, sex, race, of which only path must be there),
 * else every picture in it and below, in the order of their paths.
 *
 * Without a manifest, a top folder named train, val or test gives the split of the faces in it; of the other faces,
 * a tenth, chosen by a hash of the path, is in val and the rest in train. The identity is the folder of a face.
 *
 * @throws FileError for a folder that cannot be read; FormatError for a manifest without the column path
 */
export async function listFaces(folder: string): Promise<FaceListing> {
  for (const root of [folder, join(folder, 'faces')]) {
    const manifest = join(root, MANIFEST);
    if (
      await stat(manifest)
        .then((s) => s.isFile())
        .catch(() => false)
    )
      return readManifest(root, manifest);
  }
  const listing: FaceListing = { root: folder, entries: [], unreadable: [], own: 0 };
  try {
    await walk(listing, '');
  } catch (error) {
    throw new FileError(`${folder}: cannot be read: ${fileErrorReason(error)}`, { cause: error });
  }
  return listing;
}

async function readManifest(root: string, manifest: string): Promise<FaceListing> {
  const lines = (await readText(manifest)).split('\n');
  const header = lines[0].split('\t').map((name) => name.trim());
  if (!header.includes('path')) {
    throw new FormatError(
      `${manifest}: the first line is "${lines[0].slice(0, 80)}"; expected tab-separated names of columns, among them "path"`,
    );
  }
  const twice = header.find((name, k) => name !== '' && header.indexOf(name) !== k);
  if (twice !== undefined) throw new FormatError(`${manifest}: the column "${twice}" occurs twice; expected it once`);
  const listing: FaceListing = { root, entries: [], unreadable: [], own: 0 };
  const reject = (line: number, reason: string): void => {
    listing.unreadable.push({ path: `${manifest}:${line + 1}`, reason });
  };
  const known = new Map<string, { line: number; entry: FaceEntry }>();
  for (let i = 1; i < lines.length; i++) {
    if (lines[i].trim() === '') continue;
    const cells = lines[i].split('\t');
    if (cells.length !== header.length) {
      reject(i, `${cells.length} columns; expected ${header.length}`);
      continue;
    }
    const entry = { path: '', identity: '', source: '', split: '', sex: '', race: '' };
    for (const name of COLUMNS) entry[name] = (cells[header.indexOf(name)] ?? '').trim().normalize('NFC');
    const path = comparablePath(entry.path);
    const parts = path.split('/');
    if (path === '' || parts.includes('..') || parts[0] === '' || /^[a-z]:$/i.test(parts[0])) {
      reject(i, `path "${entry.path}"; expected one relative to the manifest's folder, inside it`);
      continue;
    }
    const before = known.get(path) ?? { line: i, entry };
    const differs = (['identity', 'split'] as const).find((name) => before.entry[name] !== entry[name]);
    if (differs) {
      reject(
        i,
        `${differs} of "${path}" is "${entry[differs]}"; line ${before.line + 1} has "${before.entry[differs]}"`,
      );
      continue;
    }
    known.set(path, before);
    listing.entries.push({ ...entry, path });
  }
  return listing;
}

async function walk(listing: FaceListing, below: string): Promise<void> {
  const items = await readdir(join(listing.root, below), { withFileTypes: true });
  const composed = new Map(items.map(({ name }) => [name, comparablePath(name)]));
  items.sort((a, b) => (composed.get(a.name)! < composed.get(b.name)! ? -1 : 1));
  for (const [k, item] of items.entries()) {
    const path = below === '' ? item.name : `${below}/${item.name}`;
    if (item.name.startsWith('.')) continue;
    const last = items[k - 1]?.name ?? '';
    if (composed.get(last) === composed.get(item.name)) {
      const reason = `its name differs from that of another one in the composition of its letters alone (Unicode NFC, NFD)`;
      listing.unreadable.push({ path, reason });
      continue;
    }
    // Links to files are followed when they are read; links to folders are not, as they can form loops.
    if (item.isDirectory()) {
      try {
        await walk(listing, path);
      } catch (error) {
        listing.unreadable.push({ path, reason: `cannot be read: ${fileErrorReason(error)}` });
      }
    } else if (READABLE.test(item.name)) {
      if (await isOwnPicture(join(listing.root, path))) listing.own++;
      else
        listing.entries.push({
          path,
          identity: comparablePath(below),
          source: '',
          split: splitOf(path),
          sex: '',
          race: '',
        });
    } else if (OTHER_PICTURES.test(item.name)) {
      listing.unreadable.push({ path, reason: `not a ${PICTURE_FORMATS} picture` });
    }
  }
}

function splitOf(path: string): Split {
  const top = path.includes('/') ? path.slice(0, path.indexOf('/')) : '';
  if (top === 'train' || top === 'val' || top === 'test') return top;
  return fnv1a(comparablePath(path)) % 10 === 0 ? 'val' : 'train';
}

/** FNV-1a, 32 bits, over UTF-16 units: stays the same on every machine and when other files come or go. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
