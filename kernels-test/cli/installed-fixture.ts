import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { installPacked, linkPackage } from '../package/packed-package.js';

/*
 * Installs the package in an empty project (see `installPacked`), and runs its command.
 */

export const home = mkdtempSync(join(tmpdir(), 'cameo installed Größe '));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));

const project = join(home, 'mein Projekt');
export const installed = join(project, 'node_modules', 'cameo');
/** The folder in which commands run. */
export const work = join(home, 'Arbeit ÄÖÜ é');

const NODE = process.env.CAMEO_TEST_NODE || process.execPath;
const LIMIT_MS = 240_000;

/** Links a package of this repository into the project. */
export const link = (name: string): void => linkPackage(project, name);

/** Packs, unpacks, and links what package.json names as dependencies. */
export function install(): void {
  installPacked(project);
  mkdirSync(work);
}

export interface Run {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** An environment without the user's variables, whose drivers are hidden from Vulkan's loader so that only SwiftShader is found. */
const BARE: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  VK_LOADER_DRIVERS_DISABLE: '*lvp*,*intel*,*radeon*,*virtio*,*gfxstream*,*nvidia*,*nouveau*',
  CAMEO_TUNING: '0',
  CAMEO_CACHE: join(home, 'Zwischenspeicher'),
};

/** Runs the installed command, without HOME. */
export function cameo(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = work): Promise<Run> {
  const child = spawn(NODE, [join(installed, 'dist', 'cli.js'), ...args], {
    cwd,
    env: { ...BARE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...texts });
    });
  });
}

/** Runs the command, and asserts success and that neither drivers nor Node print warnings. */
export async function works(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = work): Promise<string> {
  const { code, stdout, stderr } = await cameo(args, env, cwd);
  assert.is(code, 0, `cameo ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  assert.not.match(stderr, /warning|error|vk[A-Z]|dawn/i, `cameo ${args.join(' ')}`);
  return stdout;
}

/** Runs the command, and asserts one line on standard error that says what is missing. */
export async function complains(message: RegExp, args: readonly string[], code = 1): Promise<void> {
  const run = await cameo(args);
  assert.is(run.code, code, `cameo ${args.join(' ')}: ${run.stdout}${run.stderr}`);
  // There may also be a progress bar, but no stack.
  const lines = run.stderr.split('\n').filter((line) => line.startsWith('cameo: '));
  assert.is(lines.length, 1, `cameo ${args.join(' ')}: ${run.stderr}`);
  assert.not.match(run.stderr, /\n {4}at /);
  assert.match(lines[0], message);
}
