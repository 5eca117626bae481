import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { PACKAGE_ROOT } from './package-root.js';

/** Commit of this program, with "+" where tracked files differ from it; null where it does not run from a repository. */
export function gitCommit(): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: PACKAGE_ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    // The package may lie in node_modules of somebody else's repository.
    if (realpathSync(git('rev-parse', '--show-toplevel')) !== realpathSync(PACKAGE_ROOT)) return null;
    return git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain', '-uno') === '' ? '' : '+');
  } catch {
    return null;
  }
}
