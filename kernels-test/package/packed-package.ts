import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildPackage, npm } from '../../bench/install-package.js';

/** What `npm pack` says of a tarball. */
export interface Packed {
  filename: string;
  size: number;
  files: { path: string; size: number }[];
}

/**
 * The package as `npm pack` packs it, built for it: the repository's `dist` may be in use, and may be old. Test files that
 * run together find it in the folder of the run (CAMEO_TEST_FOLDER).
 */
export function packedPackage(): Packed & { tarball: string } {
  const own = mkdtempSync(join(process.env.CAMEO_TEST_FOLDER || tmpdir(), 'pack-'));
  process.on('exit', () => rmSync(own, { recursive: true, force: true }));
  const shared = process.env.CAMEO_TEST_FOLDER ? join(process.env.CAMEO_TEST_FOLDER, 'packed') : own;
  if (!existsSync(join(shared, 'packed.json'))) {
    const built = buildPackage(join(own, 'build'));
    const said = npm(built, 'pack', '--ignore-scripts', '--json', '--pack-destination', own);
    rmSync(built, { recursive: true });
    writeFileSync(join(own, 'packed.json'), said);
    try {
      if (own !== shared) renameSync(own, shared);
    } catch (error) {
      if (!existsSync(join(shared, 'packed.json'))) throw error; // else another file was first
    }
  }
  const [packed] = JSON.parse(readFileSync(join(shared, 'packed.json'), 'utf8')) as [Packed];
  return { ...packed, tarball: join(shared, packed.filename) };
}
