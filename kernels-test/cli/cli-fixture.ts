import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CounterRandom } from '../../src/common/random.js';
import { unpackSwiftShader } from '../../src/gpu/node/swiftshader.js';
import { Autoencoder, type AutoencoderConfig } from '../../src/models/autoencoder.js';
import { writeAutoencoder } from '../../src/models/model-file.js';
import type { HostTensors } from '../../src/nn/host-tensor.js';
import { hashName } from '../../src/nn/init.js';

/** The folder of this repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface CliRun {
  code: number | null;
  stdout: string;
  /** The lines on standard error that begin with `cameo:`. */
  complaints: string[];
  /** All of standard error. */
  stderr: string;
}

/** Runs the `cameo` command as it is installed (built), as a user's shell would. */
export function cameo(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = ROOT): Promise<CliRun> {
  return runProgram([builtProgram(), ...args], env, cwd);
}

/**
 * Runs it until `when` says so, which is asked every few milliseconds, and then sends it a signal.
 * @returns how it ended; code null where the signal killed it
 */
export function cameoUntil(
  when: () => boolean,
  signal: NodeJS.Signals,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<CliRun> {
  return runProgram([builtProgram(), ...args], env, cwd, (child) => {
    const timer = setInterval(() => {
      if (!when()) return;
      clearInterval(timer);
      child.kill(signal);
    }, 2);
    child.on('exit', () => clearInterval(timer));
  });
}

/**
 * Runs a script of bash, in which `cameo` is the command as it is installed.
 * @returns what the script wrote, and its exit code
 */
export function cameoInShell(script: string, env: NodeJS.ProcessEnv, cwd: string): Promise<CliRun> {
  const [node, program] = [process.execPath, builtProgram()].map((path) => JSON.stringify(path));
  return runProgram(['-c', `cameo() { ${node} ${program} "$@"; }\n${script}`], env, cwd, undefined, 'bash');
}

/** Runs it from its sources, as npm's scripts do; that starts more slowly. */
export function cameoFromSources(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CliRun> {
  return runProgram([...TSX, MAIN, ...args], env, ROOT);
}

/** Runs it on a disk that is full. */
export function cameoOnFullDisk(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CliRun> {
  const fullDisk = new URL('./full-disk.ts', import.meta.url).href;
  return runProgram([...TSX, '--import', fullDisk, builtProgram(), ...args], env, ROOT);
}

const TSX = ['--import', import.meta.resolve('tsx')];
const LIMIT_MS = 120_000;

// SwiftShader builds kernels several times faster than lavapipe, and that is most of what these runs do.
const ADAPTER = process.env.CAMEO_ADAPTER ?? (unpackSwiftShader() ? 'swiftshader' : undefined);

let built: string | undefined;

const builtProgram = (): string => join(builtFolder(), 'cli.js');

/** What the package is built to, once a process, in a folder of its own inside the package, where it finds the package's files. */
export function builtFolder(): string {
  if (!built) {
    const folder = join(ROOT, 'out', `cli-test-${process.pid}`);
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    execFileSync(process.execPath, [...TSX, 'build.ts', folder], { cwd: ROOT, stdio: 'inherit' });
    built = folder;
  }
  return built;
}

/** The environment of a command: this one's, with `env`. */
export const commandEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  ...process.env,
  CAMEO_ADAPTER: ADAPTER,
  NO_COLOR: '1',
  CAMEO_DEBUG: '',
  ...env,
});

export const complaintsOf = (stderr: string): string[] =>
  stderr.split('\n').filter((line) => line.startsWith('cameo:'));

function runProgram(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
  onStart: (child: ChildProcess) => void = () => {},
  program = process.execPath,
): Promise<CliRun> {
  const options = { cwd, env: commandEnvironment(env) };
  const child: ChildProcess = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  onStart(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, complaints: complaintsOf(stderr), stderr });
    });
  });
}

/** A folder that is gone at the end of the process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cameo-cli-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Small enough for its kernels to be built in a second. */
const TINY: Partial<AutoencoderConfig> = { stages: [4, 4, 4, 8], latentChannels: 4, residualBlocks: 0, rates: 2 };

/** Writes the weights of a tiny network that nobody has trained: its pictures are bad, but it is a codec. */
export function writeTinyModel(path: string, seed: number): string {
  const model = new Autoencoder(TINY);
  const tensors: HostTensors = new Map();
  for (const [name, { shape, init }] of model.entries()) {
    tensors.set(name, { shape, data: Float32Array.from(init(shape, new CounterRandom(seed, hashName(name)))) });
  }
  // Without it, symbols would all be 0: untrained features of a picture are small.
  for (let rate = 0; rate < model.config.rates; rate++) tensors.get(`logGain${rate}`)?.data.fill(2.5 + rate);
  writeFileSync(path, writeAutoencoder(model.config, tensors));
  return path;
}
