import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { PACKAGE_ROOT } from '../../data/files/package-root.js';

/**
 * Commit of this program, with "+" if tracked files differ from it; null if it does not run from a repository.
 * @param root folder of another checkout of it
 */
export function gitCommit(root = PACKAGE_ROOT): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    // The package may be in node_modules of another repository.
    if (realpathSync(git('rev-parse', '--show-toplevel')) !== realpathSync(root)) return null;
    return git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain', '-uno') === '' ? '' : '+');
  } catch {
    return null;
  }
}
