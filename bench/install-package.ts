import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Runs a program of an installed package, on every system, without npm's link to it. @throws Error with what it printed */
export function runPackage(name: string, program: string, ...args: string[]): string {
  const folder = join(ROOT, 'node_modules', name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return runNode(ROOT, join(folder, typeof bin === 'string' ? bin : bin[program]), ...args);
}

/** Runs a program in Node. @returns what it printed on standard output @throws Error with all that it printed */
export function runNode(cwd: string, ...args: string[]): string {
  try {
    return execFileSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: 'pipe', maxBuffer: 1 << 26 });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`node ${args.join(' ')}:\n${stdout}${stderr}`);
  }
}

/** Runs npm, without asking a registry for anything. @throws Error with what it printed */
export function npm(cwd: string, ...args: string[]): string {
  const quiet = ['--offline', '--no-audit', '--no-fund', '--no-update-notifier'];
  try {
    // In Windows npm is a script, which only a shell can start.
    return execFileSync('npm', [...args, ...quiet], {
      cwd,
      encoding: 'utf8',
      stdio: 'pipe',
      shell: process.platform === 'win32',
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`npm ${args.join(' ')}:\n${stdout}${stderr}`);
  }
}

/** What npm needs for packing, beside `dist`: package.json, and the files and folders that it lists. */
function shippedPaths(): string[] {
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { files: string[] };
  const listed = files.filter((path) => path !== 'dist' && !path.startsWith('!'));
  return ['package.json', ...listed.map((path) => path.replace(/\/\*.*/, ''))];
}

/**
 * Builds the package in a separate folder, because the repository's `dist` may be in use or out of date.
 * @param types false leaves out the type declarations, which take most of the time
 * @returns the folder, from which `npm pack` can pack
 */
export function buildPackage(folder: string, types = true): string {
  mkdirSync(folder, { recursive: true });
  for (const name of shippedPaths()) {
    if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  runPackage('tsx', 'tsx', 'build.ts', join(folder, 'dist'));
  if (types) runPackage('typescript', 'tsc', '-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist', 'types'));
  return folder;
}
