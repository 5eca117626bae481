import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import chromium from '@sparticuz/chromium';

const INSTALLED = '/usr/bin/chromium'; // Debian's path
const PROGRAM = 'chromium';

/** A program, and a function that removes it if it was unpacked for this use only. */
export interface ChromiumFiles {
  executablePath: string;
  remove(): void;
}

/**
 * The Chromium of the system, or else the one in npm `@sparticuz/chromium`. Because unpacking takes seconds, test files that
 * run together share it in the folder of the run (CAMEO_TEST_FOLDER). A file that runs by itself unpacks its own.
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
    // Two processes may get here at once. Each unpacks into a folder of its own, and the first to rename its folder wins.
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
    process.env.TMPDIR = folder; // the package unpacks there
    return await chromium.executablePath();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}
