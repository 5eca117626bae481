import { openDevicesBy } from '../../src/cli/device.js';
import { runCommand } from '../../src/cli/run-command.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { keptOpen } from '../helpers/kept-device.js';
import { type CliRun, commandEnvironment, complaintsOf, ROOT } from './cli-fixture.js';

/*
 * Runs the command in this process, from its sources. Most of a command's time would be the start of Node and the compilation of
 * kernels. What depends on a separate process (signals, streams, exit codes, the build) is tested with `cameo`
 * of cli-fixture.ts.
 */

/** Devices that stay open from one command to the next, by CAMEO_ADAPTER. */
const openers = new Map<string, () => Promise<Gpu>>();

function openKept(): Promise<Gpu> {
  const wanted = process.env.CAMEO_ADAPTER ?? '';
  const open = openers.get(wanted) ?? keptOpen(openGpu);
  openers.set(wanted, open);
  return open();
}

/** Replaces the environment of the process, but keeps the drivers that the device layer has chosen. */
function setEnvironment(variables: NodeJS.ProcessEnv): void {
  for (const name of new Set([...Object.keys(process.env), ...Object.keys(variables)])) {
    if (/^VK_(DRIVER_FILES|ICD_FILENAMES)$/.test(name)) continue;
    if (variables[name] === undefined) delete process.env[name];
    else process.env[name] = variables[name];
  }
}

/** Makes a stream give its text to `take`, and look like a stream that is not a terminal. @returns a function that undoes this */
function divert(stream: NodeJS.WriteStream, take: (text: string) => void): () => void {
  const { write, isTTY } = stream;
  stream.isTTY = false;
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    take(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
    const done = rest.at(-1);
    if (typeof done === 'function') done();
    return true;
  };
  return () => {
    Object.assign(stream, { write, isTTY });
  };
}

let last: Promise<unknown> = Promise.resolve();

/** Runs the command as `cameo` of cli-fixture.ts does, but in this process. Calls must not overlap, because a process has one folder and one environment. */
export function cameoHere(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = ROOT): Promise<CliRun> {
  const run = last.then(() => runHere(args, env, cwd));
  last = run.catch(() => {});
  return run;
}

async function runHere(args: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Promise<CliRun> {
  const before = { env: { ...process.env }, argv: process.argv, folder: process.cwd(), code: process.exitCode };
  let stdout = '';
  let stderr = '';
  const restore = [
    divert(process.stdout, (text) => {
      stdout += text;
    }),
    divert(process.stderr, (text) => {
      stderr += text;
    }),
  ];
  try {
    setEnvironment(commandEnvironment(env));
    process.argv = [process.execPath, 'cameo', ...args];
    process.exitCode = undefined;
    process.chdir(cwd);
    openDevicesBy(openKept);
    await runCommand(args);
    return { code: Number(process.exitCode ?? 0), stdout, stderr, complaints: complaintsOf(stderr) };
  } finally {
    for (const undo of restore) undo();
    openDevicesBy(openGpu);
    process.chdir(before.folder);
    process.exitCode = before.code;
    process.argv = before.argv;
    setEnvironment(before.env);
  }
}
