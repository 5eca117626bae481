import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type Counts, countTests, withoutNoise } from './test-output.js';

/** The message to a worker: a file to run, and the mark to write to both streams after it. */
export interface WorkerOrder {
  path: string;
  mark: string;
}

/** The worker's result for a file, which follows the mark on standard output. */
export interface FileReport {
  /** How the file ended badly without ending the process; '' if it ended well. */
  ending: string;
  /** Processor time of the worker and, on Linux, of the programs it started that have ended. */
  cpuSeconds: number;
  /** Bytes of memory of the worker after the file. */
  memoryBytes: number;
}

export interface FileRun extends Counts {
  /** Everything that the file wrote to standard output and standard error, in order. */
  output: string;
  /** How the file ended badly: a signal, an exit code, the time limit, or what it left open; '' if it ended well. */
  ending: string;
  seconds: number;
  /** Processor time, on Linux including that of ended child programs; 0 if it is not known. */
  cpuSeconds: number;
}

/**
 * Makes glibc's malloc keep freed memory. SwiftShader allocates and frees megabytes for each kernel that it compiles, and getting new
 * pages from the operating system would take an eighth of that time. Programs that tests start inherit this setting.
 */
const KEEP_MEMORY = { MALLOC_TRIM_THRESHOLD_: '1000000000', MALLOC_MMAP_THRESHOLD_: '1000000000' };

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
/** Milliseconds that a worker may take to end by itself, in which its files remove what they made. */
const ENDING = 10_000;

/** A worker with more bytes of memory than this is replaced. */
const MAX_MEMORY = 2.5e9;

const running = new Set<TestWorker>();

/** Kills every worker. This is for Ctrl-C, which does not reach them in their own process groups. */
export function killAll(): void {
  for (const worker of running) worker.kill();
}

/** A process that runs test files one after the other. It is started as this process was (through tsx). */
export class TestWorker {
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #onText: (text: string, stream: 'stdout' | 'stderr') => void = () => {};
  #alive = true;
  #memoryBytes = 0;
  /** Number of files that have run in the process. */
  readonly files: string[] = [];

  constructor(environment: NodeJS.ProcessEnv) {
    // Tuning results of the user's machine must not decide which kernels the tests run.
    const env: NodeJS.ProcessEnv = { ...KEEP_MEMORY, ...process.env, ...environment, NO_COLOR: '1', CAMEO_TUNING: '0' };
    delete env.FORCE_COLOR;
    this.#child = spawn(process.execPath, [...process.execArgv, WORKER], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: process.platform !== 'win32',
    });
    for (const stream of ['stdout', 'stderr'] as const) {
      this.#child[stream]?.setEncoding('utf8').on('data', (text: string) => this.#onText(text, stream));
    }
    running.add(this);
    this.#ended = new Promise((resolve) => {
      const end = (ending: string): void => {
        this.#alive = false;
        running.delete(this);
        resolve(ending);
      };
      this.#child.on('error', (error) => end(error.message));
      this.#child.on('exit', (code, signal) => {
        const ending = signal ? `signal ${signal}` : code ? `exit code ${code}` : 'ended before its tests did';
        // Its pipes may hold more output, and a child process that it left may keep them open.
        const late = setTimeout(() => end(ending), 2000);
        this.#child.on('close', () => {
          clearTimeout(late);
          end(ending);
        });
      });
    });
  }

  /** False after the process has ended; the remaining files then need another one. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Whether the process has become so large, mostly by compiled kernels, that the remaining files should get another one. */
  get full(): boolean {
    return this.#memoryBytes > MAX_MEMORY;
  }

  /** Kills the process and its children, because on POSIX it leads a process group. */
  kill(): void {
    try {
      if (process.platform === 'win32' || !this.#child.pid) this.#child.kill('SIGKILL');
      else process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // The process has already ended.
    }
  }

  /** Runs one file, after those before it. A file that ends the process, or runs for longer than its limit, has failed. */
  async run(path: string, limitSeconds: number): Promise<FileRun> {
    const start = performance.now();
    const mark = `\u0000${randomBytes(8).toString('hex')} `;
    const written = { stdout: '', stderr: '' };
    let output = '';
    const reported = new Promise<FileReport>((resolve) => {
      this.#onText = (text, stream) => {
        written[stream] += text;
        output += text;
        const [, report] = written.stdout.split(mark);
        if (report?.endsWith('\n') && written.stderr.includes(mark)) resolve(JSON.parse(report));
      };
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.kill();
    }, limitSeconds * 1000);
    this.#child.send({ path, mark } satisfies WorkerOrder, () => {}); // if the process has ended, `#ended` reports it
    const died = this.#ended.then((ending) => ({ ending, cpuSeconds: 0, memoryBytes: 0 }));
    const { cpuSeconds, memoryBytes, ...report } = await Promise.race([reported, died]);
    clearTimeout(timer);
    this.#memoryBytes = memoryBytes;
    let ending = late ? `time limit of ${limitSeconds} s` : report.ending;
    if (!this.#alive && this.files.length > 0) ending += `, in a process that had run ${this.files.join(', ')} before`;
    this.files.push(path.replace(/^.*[/\\]|\.test\.ts$/g, ''));
    const [stdout] = written.stdout.split(mark);
    return {
      ...countTests(stdout, ending === ''),
      output: withoutNoise(output.replace(new RegExp(`${mark}.*\\n`, 'g'), '')),
      ending,
      seconds: (performance.now() - start) / 1000,
      cpuSeconds,
    };
  }

  /** Lets the process end by itself, so that its files can remove what they made, and then kills what is left. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.kill(), ENDING);
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended;
    clearTimeout(timer);
    this.kill(); // kills the children that it left running
  }
}

/** Runs one file in a separate process. */
export async function runFile(path: string, environment: NodeJS.ProcessEnv, limitSeconds: number): Promise<FileRun> {
  const worker = new TestWorker(environment);
  try {
    return await worker.run(path, limitSeconds);
  } finally {
    await worker.close();
  }
}
