import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildPackage, npm } from '../../bench/install-package.js';

/** The output of `npm pack --json` for a tarball. */
export interface Packed {
  filename: string;
  size: number;
  files: { path: string; size: number }[];
}

/**
 * The package as `npm pack` packs it, from a fresh build, because the repository's `dist` may be in use or out of date. Test files that
 * run together share it in the folder of the run (CAMEO_TEST_FOLDER).
 */
export function packedPackage(): Packed & { tarball: string } {
  const folder = mkdtempSync(join(process.env.CAMEO_TEST_FOLDER || tmpdir(), 'pack-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const shared = process.env.CAMEO_TEST_FOLDER ? join(process.env.CAMEO_TEST_FOLDER, 'packed') : folder;
  if (!existsSync(join(shared, 'packed.json'))) {
    const built = buildPackage(join(folder, 'build'));
    const output = npm(built, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder);
    rmSync(built, { recursive: true });
    writeFileSync(join(folder, 'packed.json'), output);
    try {
      if (folder !== shared) renameSync(folder, shared);
    } catch (error) {
      if (!existsSync(join(shared, 'packed.json'))) throw error; // otherwise another test file was first
    }
  }
  const [packed] = JSON.parse(readFileSync(join(shared, 'packed.json'), 'utf8')) as [Packed];
  return { ...packed, tarball: join(shared, packed.filename) };
}

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));

/** Links a package of this repository into a project. */
export function linkPackage(project: string, name: string): void {
  const path = join(project, 'node_modules', name);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(join(MODULES, name), path);
}

/**
 * Makes a project with the package as `npm install` would, without asking a registry: the tarball is unpacked next to links to its
 * dependencies. The project can import nothing else.
 * @returns the folder of the package
 */
export function installPacked(project: string): string {
  const installed = join(project, 'node_modules', 'cameo');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', packedPackage().tarball, '-C', installed, '--strip-components=1']);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) linkPackage(project, name);
  return installed;
}
