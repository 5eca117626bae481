import { type ChildProcess, spawn } from 'node:child_process';
import { type Counts, countTests, withoutNoise } from './test-output.js';

export interface FileRun extends Counts {
  /** Everything the file wrote, standard output and errors as they came. */
  output: string;
  /** How it ended where not well: a signal, an exit code, the time limit. */
  ending: string;
  seconds: number;
}

const running = new Set<ChildProcess>();

/** Kills a child with what it started: on POSIX it leads a process group of its own. */
function kill(child: ChildProcess): void {
  try {
    if (process.platform === 'win32' || !child.pid) child.kill('SIGKILL');
    else process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
}

/** Kills every file that is running: for Ctrl-C, which the process groups keep from reaching them. */
export function killAll(): void {
  for (const child of running) kill(child);
}

/** Runs one TypeScript file in a process of its own, as this process was started (through tsx). */
export function runFile(path: string, environment: NodeJS.ProcessEnv, limitSeconds: number): Promise<FileRun> {
  const start = performance.now();
  // What a user's machine has measured must not decide what the tests run.
  const env: NodeJS.ProcessEnv = { ...process.env, ...environment, NO_COLOR: '1', CAMEO_TUNING: '0' };
  delete env.FORCE_COLOR;
  const child = spawn(process.execPath, [...process.execArgv, path], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
  });
  running.add(child);
  let stdout = '';
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    kill(child);
  }, limitSeconds * 1000);
  return new Promise((resolve) => {
    let done = false;
    const finish = (ending: string) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      running.delete(child);
      kill(child); // what it left running
      const counts = countTests(stdout, ending === '');
      resolve({ ...counts, output: withoutNoise(output), ending, seconds: (performance.now() - start) / 1000 });
    };
    child.on('error', (error) => finish(error.message));
    child.on('exit', (code, signal) => {
      const ending = late
        ? `time limit of ${limitSeconds} s`
        : signal
          ? `signal ${signal}`
          : code
            ? `exit code ${code}`
            : '';
      // Its pipes may hold more; a process that it left behind may keep them open.
      setTimeout(() => finish(ending), 2000);
      child.on('close', () => finish(ending));
    });
  });
}
