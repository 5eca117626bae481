import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import type { OptionalPackage } from '../common/optional-packages.js';
import { adapterFits, openGpu, PREFERENCE } from '../gpu/node/adapters.js';
import { driverMessages } from '../gpu/node/driver-messages.js';
import { findPackage } from '../gpu/node/packages.js';
import { type ProbedAdapter, probeAdapters } from '../gpu/node/probe.js';
import { cacheRoots } from '../gpu/node/swiftshader.js';
import { doctorAdvice, type Machine } from './doctor-advice.js';

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

function environment(): string[] {
  const version = (name: OptionalPackage) => findPackage(name)?.version ?? 'not installed';
  const set = VARIABLES.filter((name) => process.env[name]).map((name) => `${name}=${process.env[name]}`);
  return [
    `Node ${process.versions.node} on ${process.platform} ${process.arch}`,
    `npm webgpu (Dawn): ${version('webgpu')}`,
    `npm @sparticuz/chromium (SwiftShader): ${version('@sparticuz/chromium')}`,
    `cache: ${cacheRoots().join(', or ')}`,
    `variables: ${set.join(' ') || `none of ${VARIABLES.join(', ')}`}`,
  ];
}

/**
 * `cameo doctor`: prints the versions in use, every adapter found with its features and limits, which one is taken and
 * why, and what to install for a faster one.
 *
 * @param print takes one line at a time
 * @returns the exit code: 0, or 1 where no adapter can be used
 */
export async function doctor(print: (line: string) => void = console.log): Promise<number> {
  for (const line of environment()) print(line); // before probing, which sets variables for the Vulkan loader
  print('');
  const wanted = (process.env.CAMEO_ADAPTER ?? '').trim();
  let adapters: ProbedAdapter[] = [];
  let failure = '';
  try {
    adapters = await probeAdapters();
  } catch (error) {
    failure = `${(error as Error).name}: ${(error as Error).message}`;
  }
  const taken = adapters.find(({ found, refused }) => refused === undefined && adapterFits(found, wanted));
  if (!taken && failure === '') {
    // The words of what every other command would meet.
    const error = await openGpu().then(
      (gpu) => gpu.destroy(),
      (reason: Error) => reason,
    );
    failure = error ? `${error.name}: ${error.message}` : 'the adapter answered only at the second attempt';
  }

  print(`adapters found: ${adapters.length}${taken ? ' (* is taken)' : ''}`);
  for (const adapter of adapters) for (const line of describe(adapter, adapter === taken)) print(line);
  print('');
  if (taken) {
    const why = wanted
      ? `because CAMEO_ADAPTER is "${wanted}"`
      : `the first usable one in the order ${PREFERENCE.join(', ')} (CAMEO_ADAPTER chooses another)`;
    print(`taken: ${taken.found.name}, ${why}`);
  } else {
    print(failure);
    const said = driverMessages();
    if (said.length > 0) print('drivers and their loader say:');
    for (const line of said) print(`  ${line}`);
  }

  const best = adapters.find(({ refused }) => refused === undefined)?.found.kind ?? null;
  const { platform, arch } = process;
  const gpuNode = platform === 'linux' ? findGpuNode() : 'none';
  const advice = doctorAdvice({ platform, arch, taken: best, gpuNode });
  if (advice.length > 0) {
    print('');
    print(best ? 'for a faster one:' : 'to get one:');
    for (const line of advice) print(`  ${line}`);
  }
  return taken ? 0 : 1;
}
