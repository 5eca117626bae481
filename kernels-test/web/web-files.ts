import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/data/files/package-root.js';

const pathOf = (path: string): string => (isAbsolute(path) ? path : join(PACKAGE_ROOT, path));

/** A file of the repository, or of an absolute path. */
export const packageFile = Object.assign((path: string): Buffer => readFileSync(pathOf(path)), { path: pathOf });
