import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const INSTALLED = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url));

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Looks for a program: the path in an environment variable, else the first of `names` in PATH or among the installed packages.
 * @returns its path, or the reason why it is not used
 */
export function findProgram(variable: string, names: readonly string[]): string | { missing: string } {
  const named = process.env[variable];
  if (named) return isProgram(named) ? named : { missing: `${variable} is "${named}", which is no program` };
  const folders = [...(process.env.PATH ?? '').split(delimiter), INSTALLED];
  const found = names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
  return found ?? { missing: `there is no ${names.join(' or ')} in PATH, and ${variable} names none` };
}
