import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import chromium from '@sparticuz/chromium';

const INSTALLED = '/usr/bin/chromium'; // Debian's path
const PROGRAM = 'chromium';

/** A program, and what removes it where it was unpacked for this use alone. */
export interface ChromiumFiles {
  executablePath: string;
  remove(): void;
}

/**
 * The Chromium of the system, or else the one in npm `@sparticuz/chromium`. Unpacking it takes seconds: test files that
 * run together find it in the folder of the run (CAMEO_TEST_FOLDER), and one that runs by itself has it to itself.
 */
export async function chromiumFiles(): Promise<ChromiumFiles> {
  if (existsSync(INSTALLED)) return { executablePath: INSTALLED, remove: () => {} };
  const run = process.env.CAMEO_TEST_FOLDER;
  if (!run) {
    const folder = mkdtempSync(join(tmpdir(), 'cameo-browser-'));
    const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    try {
      return { executablePath: await unpackTo(folder), remove };
    } catch (error) {
      remove();
      throw error;
    }
  }
  const shared = join(run, PROGRAM);
  if (!existsSync(shared)) {
    // Two processes may come here at once: each unpacks beside it, and one of them renames.
    const folder = mkdtempSync(`${shared}-`);
    await unpackTo(folder);
    try {
      renameSync(folder, shared);
    } catch {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return { executablePath: join(shared, PROGRAM), remove: () => {} };
}

/** Unpacks the package's Chromium. @returns the program's path */
async function unpackTo(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const before = process.env.TMPDIR;
  try {
    process.env.TMPDIR = folder; // where the package unpacks to
    return await chromium.executablePath();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}
