import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import type { Command } from 'commander';
import { NoAdapterError } from '../common/errors.js';
import type { OptionalPackage } from '../common/optional-packages.js';
import { adapterFits, openGpu, PREFERENCE } from '../gpu/node/adapters.js';
import { driverMessages } from '../gpu/node/driver-messages.js';
import { findPackage } from '../gpu/node/packages.js';
import { type ProbedAdapter, probeAdapters } from '../gpu/node/probe.js';
import { cacheRoots } from '../gpu/node/swiftshader.js';
import { complain } from './complain.js';
import { doctorAdvice, type Machine } from './doctor-advice.js';
import { addJson, beginJson, JSON_HELP } from './json-output.js';
import { print as printLine } from './terminal.js';

const LIMITS = {
  maxBufferSize: 'largest buffer',
  maxStorageBufferBindingSize: 'largest binding',
  maxComputeWorkgroupStorageSize: 'workgroup memory',
  maxComputeInvocationsPerWorkgroup: 'invocations a workgroup',
  maxStorageBuffersPerShaderStage: 'storage buffers a kernel',
} as const;

const VARIABLES = [
  'CAMEO_ADAPTER',
  'CAMEO_CACHE',
  'CAMEO_ROBUSTNESS',
  'CAMEO_TUNING',
  'VK_DRIVER_FILES',
  'VK_ICD_FILENAMES',
];

function bytes(count: number): string {
  if (count >= 2 ** 30) return `${(count / 2 ** 30).toFixed(1)} GiB`;
  return count >= 2 ** 20 ? `${(count / 2 ** 20).toFixed(0)} MiB` : `${(count / 2 ** 10).toFixed(0)} KiB`;
}

function describe({ found, refused, description, features, limits }: ProbedAdapter, taken: boolean): string[] {
  const lines = [`${taken ? '*' : ' '} ${found.name}`, `    kind: ${found.kind}, through ${found.backend}`];
  if (refused !== undefined) return [...lines, `    known-answer kernel: FAILED, refused: ${refused}`];
  const values = Object.entries(LIMITS).map(([name, words]) => {
    const value = limits[name];
    return `${words} ${/Size$/.test(name) ? bytes(value) : value}`;
  });
  if (description) lines.push(`    driver: ${description}`);
  return [
    ...lines,
    '    known-answer kernel: passed',
    `    features: ${features.join(', ') || 'none'}`,
    `    limits: ${values.join(', ')}`,
  ];
}

/** Whether Linux drives a GPU here, and whether this user may open it. */
function findGpuNode(): Machine['gpuNode'] {
  const dri = existsSync('/dev/dri') ? readdirSync('/dev/dri').filter((name) => name.startsWith('renderD')) : [];
  const nodes = [...dri.map((name) => `/dev/dri/${name}`), '/dev/nvidia0'].filter((path) => existsSync(path));
  const open = nodes.filter((path) => {
    try {
      accessSync(path, constants.R_OK | constants.W_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (nodes.length === 0) return 'none';
  return open.length > 0 ? 'accessible' : 'forbidden';
}

interface Environment {
  node: string;
  platform: string;
  arch: string;
  /** Of npm packages; null where one is not installed. */
  packages: Record<string, string | null>;
  caches: string[];
  variables: Record<string, string>;
}

function environment(): Environment {
  const packages: OptionalPackage[] = ['webgpu', '@sparticuz/chromium'];
  return {
    node: process.versions.node,
    platform: process.platform,
    arch: process.arch,
    packages: Object.fromEntries(packages.map((name) => [name, findPackage(name)?.version ?? null])),
    caches: [...cacheRoots()],
    variables: Object.fromEntries(VARIABLES.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))),
  };
}

function environmentText({ node, platform, arch, packages, caches, variables }: Environment): string[] {
  const version = (name: string) => packages[name] ?? 'not installed';
  const set = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return [
    `Node ${node} on ${platform} ${arch}`,
    `npm webgpu (Dawn): ${version('webgpu')}`,
    `npm @sparticuz/chromium (SwiftShader): ${version('@sparticuz/chromium')}`,
    `cache: ${caches.join(', or ')}`,
    `variables: ${set.join(' ') || `none of ${VARIABLES.join(', ')}`}`,
  ];
}

interface Examination {
  environment: Environment;
  adapters: ProbedAdapter[];
  taken?: ProbedAdapter;
  /** The error that every other command would give, if no adapter is usable. */
  failure: string;
  /** What to install for a faster adapter, or for any adapter. */
  advice: string[];
}

async function examine(environment: Environment): Promise<Examination> {
  const wanted = wantedAdapter();
  let adapters: ProbedAdapter[] = [];
  let failure = '';
  try {
    adapters = await probeAdapters();
  } catch (error) {
    failure = `${(error as Error).name}: ${(error as Error).message}`;
  }
  const taken = adapters.find(({ found, refused }) => refused === undefined && adapterFits(found, wanted));
  if (!taken && failure === '') {
    // The message that every other command would give.
    const error = await openGpu().then(
      (gpu) => gpu.destroy(),
      (reason: Error) => reason,
    );
    failure = error ? `${error.name}: ${error.message}` : 'the adapter answered only at the second attempt';
  }
  const best = adapters.find(({ refused }) => refused === undefined)?.found.kind ?? null;
  const { platform, arch } = process;
  const gpuNode = platform === 'linux' ? findGpuNode() : 'none';
  const advice = [...doctorAdvice({ platform, arch, taken: best, gpuNode })];
  return { environment, adapters, taken, failure, advice };
}

const wantedAdapter = (): string => (process.env.CAMEO_ADAPTER ?? '').trim();

/**
 * `cameo doctor`: prints the versions in use, every adapter found with its features and limits, which one is taken and
 * why, and what to install for a faster one.
 *
 * @param print takes one line at a time
 * @returns the error that every other command would give; '' if an adapter can be used
 */
export async function doctor(print: (line: string) => void = printLine): Promise<string> {
  const here = environment(); // before probing, which sets variables for the Vulkan loader
  for (const line of environmentText(here)) print(line);
  print('');
  const { adapters, taken, failure, advice } = await examine(here);
  print(`adapters found: ${adapters.length}${taken ? ' (* is taken)' : ''}`);
  for (const adapter of adapters) for (const line of describe(adapter, adapter === taken)) print(line);
  print('');
  if (taken) {
    const wanted = wantedAdapter();
    const why = wanted
      ? `because CAMEO_ADAPTER is "${wanted}"`
      : `the first usable one in the order ${PREFERENCE.join(', ')} (CAMEO_ADAPTER chooses another)`;
    print(`taken: ${taken.found.name}, ${why}`);
  } else {
    print(failure);
    const said = driverMessages();
    if (said.length > 0) print('messages of drivers and their loader:');
    for (const line of said) print(`  ${line}`);
  }
  if (advice.length > 0) {
    print('');
    print(adapters.some(({ refused }) => refused === undefined) ? 'for a faster one:' : 'to get one:');
    for (const line of advice) print(`  ${line}`);
  }
  return failure;
}

/** The same as keys of the JSON document. */
async function doctorInJson(): Promise<string> {
  const { environment: found, adapters, taken, failure, advice } = await examine(environment());
  addJson({
    environment: found,
    adapters: adapters.map((adapter) => {
      const { found, refused, description, features, limits } = adapter;
      const { name, kind, backend } = found;
      const usable = refused === undefined;
      const more = usable ? { driver: description, features: [...features], limits: { ...limits } } : { refused };
      return { name, kind, backend, usable, taken: adapter === taken, ...more };
    }),
    taken: taken?.found.name ?? null,
    advice,
  });
  return failure;
}

/** Adds `cameo doctor` to the program. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('list the GPU adapters of this machine, the one in use, and what to install for a faster one')
    .option('--json', JSON_HELP)
    .addHelpText('after', '\nKeys of --json: environment, adapters, taken (the name, or null), advice, errors')
    .action(async ({ json }: { json?: boolean }) => {
      if (json) beginJson('doctor');
      const failure = await (json ? doctorInJson() : doctor());
      if (failure !== '') complain(new NoAdapterError(failure));
    });
}
