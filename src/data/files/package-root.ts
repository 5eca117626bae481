import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseJson } from '../../common/json.js';
import { decodeText } from '../../common/text.js';

function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}

/** Folder of this package, whether the program runs from its sources or from `dist`. */
export const PACKAGE_ROOT = findRoot();

const MANIFEST = join(PACKAGE_ROOT, 'package.json');
const { version } = parseJson(decodeText(readFileSync(MANIFEST), MANIFEST), MANIFEST) as { version: string };
export const PACKAGE_VERSION = version;
