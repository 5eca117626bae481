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
 * Runs the command until `when`, which is called every few milliseconds, returns true, and then sends it a signal.
 * @returns how it ended; the code is null if the signal killed it
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

/** Runs the command from its sources, as npm's scripts do; it starts more slowly. */
export function cameoFromSources(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CliRun> {
  return runProgram([...TSX, MAIN, ...args], env, ROOT);
}

/** Runs the command on a disk that is full (full-disk.ts). */
export function cameoOnFullDisk(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CliRun> {
  const fullDisk = new URL('./full-disk.ts', import.meta.url).href;
  return runProgram([...TSX, '--import', fullDisk, builtProgram(), ...args], env, ROOT);
}

const TSX = ['--import', import.meta.resolve('tsx')];
const LIMIT_MS = 120_000;

// SwiftShader compiles kernels several times faster than lavapipe, and compiling takes most of the time of these runs.
const ADAPTER = process.env.CAMEO_ADAPTER ?? (unpackSwiftShader() ? 'swiftshader' : undefined);

let built: string | undefined;

const builtProgram = (): string => join(builtFolder(), 'cli.js');

/** The build of the package, made once per process in a separate folder inside the package, where it finds the package's files. */
export function builtFolder(): string {
  if (!built) {
    const folder = join(ROOT, 'out', `cli-test-${process.pid}`);
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    execFileSync(process.execPath, [...TSX, 'build.ts', folder], { cwd: ROOT, stdio: 'inherit' });
    built = folder;
  }
  return built;
}

/** The environment of a command: that of this process, with `env` added. */
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

/** A new folder, which is deleted at the end of the process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cameo-cli-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A model so small that its kernels compile within a second. */
const TINY: Partial<AutoencoderConfig> = { stages: [4, 4, 4, 8], latentChannels: 4, residualBlocks: 0, rates: 2 };

/** Writes the weights of a tiny untrained network. Its pictures are bad, but it works as a codec. */
export function writeTinyModel(path: string, seed: number): string {
  const model = new Autoencoder(TINY);
  const tensors: HostTensors = new Map();
  for (const [name, { shape, init }] of model.entries()) {
    tensors.set(name, { shape, data: Float32Array.from(init(shape, new CounterRandom(seed, hashName(name)))) });
  }
  // Without this gain all symbols would be 0, because untrained features of a picture are small.
  for (let rate = 0; rate < model.config.rates; rate++) tensors.get(`logGain${rate}`)?.data.fill(2.5 + rate);
  writeFileSync(path, writeAutoencoder(model.config, tensors));
  return path;
}
