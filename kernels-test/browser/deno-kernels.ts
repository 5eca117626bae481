import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { softwareVulkan } from '../gpu/software-vulkan.js';
import { ENVIRONMENT, FIXTURES, type KernelHost } from './browser-kernels.js';
import { findProgram } from './find-program.js';
import { buildTestPages } from './page/build.js';
import type { PageOutcome } from './page/run-tests.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Marks the lines that `page/deno.ts` writes for this process. */
const MARK = '\u0001';

/** Deno's description of its adapter. */
interface Greeting {
  description?: string;
}

/** A Deno process. It may end in the middle of a file, because Deno panics on some errors of WebGPU. */
class DenoProcess {
  readonly #child: ChildProcess;
  readonly #answers: ((answer: unknown) => void)[] = [];
  readonly #said: string[] = [];
  readonly #ended: Promise<void>;
  ending = '';

  constructor(program: string, folder: string) {
    this.#child = spawn(
      program,
      ['run', '--allow-read', '--allow-env', '--unstable-webgpu', '--no-config', 'deno.js'],
      {
        cwd: folder,
        env: { ...softwareVulkan(), NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' },
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      if (line.startsWith(MARK)) this.#answers.shift()?.(JSON.parse(line.slice(1)));
    });
    createInterface({ input: this.#child.stderr! }).on('line', (line) => void this.#said.push(line));
    this.#child.stdin!.on('error', () => {}); // the process has ended, which `answer` reports
    this.#ended = new Promise((resolve) => {
      const end = (how: string) => {
        this.ending = `Deno ended (${how}): ${this.#said
          .filter((line) => line.trim())
          .slice(-12)
          .join('\n')}`;
        resolve();
      };
      this.#child.on('error', ({ message }) => end(message));
      this.#child.on('close', (code, signal) => end(signal ?? `exit code ${code}`));
    });
  }

  /** Sends a line, if one is given, and waits for the answer. @throws Error if Deno ends instead */
  async answer<T>(line?: string): Promise<T> {
    const answer = new Promise<T>((resolve) => this.#answers.push(resolve as (answer: unknown) => void));
    if (line !== undefined) this.#child.stdin!.write(`${line}\n`);
    const ended = this.#ended.then(() => {
      throw new Error(this.ending);
    });
    return Promise.race([answer, ended]);
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/**
 * Builds modules by name for Deno: CAMEO_DENO, or that in PATH or among the packages.
 * They run in one process and share its device. After a file that ends the process, a new process is started.
 */
export async function openDenoKernels(modules: Record<string, string>): Promise<KernelHost> {
  let folder = '';
  let current: DenoProcess | null = null;
  const close = async () => {
    await current?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  };
  const program = findProgram('CAMEO_DENO', ['deno']);
  const nothing = (reason: string): KernelHost => {
    console.log(`SKIP kernels in Deno: ${reason}`);
    return { place: 'Deno', reason, version: '', device: '', run: () => Promise.reject(new Error(reason)), close };
  };
  if (typeof program !== 'string') return nothing(program.missing);
  folder = mkdtempSync(join(tmpdir(), 'cameo-deno-'));
  const withHost = { ...modules, deno: here('page/deno.ts') };
  await buildTestPages(folder, { modules: withHost, files: FIXTURES, environment: ENVIRONMENT });

  let version = '';
  const open = async (): Promise<Greeting> => {
    current = new DenoProcess(program, folder);
    return current.answer<Greeting>();
  };
  let greeting: Greeting;
  try {
    version = execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0];
    greeting = await open();
  } catch (error) {
    return nothing(`${program} does not run: ${(error as Error).message.split('\n')[0]}`);
  }
  if (greeting.description === undefined) return nothing(`${version} has no WebGPU adapter`);
  return {
    place: 'Deno',
    reason: '',
    version,
    device: greeting.description,
    run: async (name) => {
      if (current?.ending) await open();
      return current!.answer<PageOutcome>(name);
    },
    close,
  };
}
