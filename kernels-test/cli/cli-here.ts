import { openDevicesBy } from '../../src/cli/device.js';
import { runCommand } from '../../src/cli/run-command.js';
import type { Gpu } from '../../src/gpu/gpu.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { keptOpen } from '../helpers/kept-device.js';
import { type CliRun, commandEnvironment, complaintsOf, ROOT } from './cli-fixture.js';

/*
 * The command in this process, from its sources: a start of Node and kernels that are compiled anew make up most of what a
 * command costs. What depends on a process of its own (signals, streams, how it ends, what is built) is tested with `cameo`
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

/** Puts an environment in place of the process's own, but for the drivers that the device layer has chosen. */
function setEnvironment(variables: NodeJS.ProcessEnv): void {
  for (const name of new Set([...Object.keys(process.env), ...Object.keys(variables)])) {
    if (/^VK_(DRIVER_FILES|ICD_FILENAMES)$/.test(name)) continue;
    if (variables[name] === undefined) delete process.env[name];
    else process.env[name] = variables[name];
  }
}

/** Makes a stream, as one that is no terminal, give its text to `take`. @returns what undoes that */
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

/** Runs the command as `cameo` of cli-fixture.ts does, but here; one after the other, as a process has one folder and environment. */
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
