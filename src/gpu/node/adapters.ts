import { isMainThread } from 'node:worker_threads';
import { refuse } from '../../common/arguments.js';
import { ArgumentError, NoAdapterError } from '../../common/errors.js';
import type { GPUAdapter } from '../../common/platform-types.js';
import { describeAdapter, type GpuDescription } from '../description.js';
import { checkGpuOptions, type Gpu, type GpuOptions } from '../gpu.js';
import { openAdapter } from '../open.js';
import { driverMessages, keepingDriverMessages } from './driver-messages.js';
import { endWhenAsked } from './end-worker.js';
import { loadLibc } from './libc.js';
import { waitQuietly } from './quiet-wait.js';
import { type SwiftShaderFiles, unpackSwiftShader } from './swiftshader.js';
import { loadTuning } from './tuning-file.js';
import { hasVulkanLoader, provideVulkanLoader, selectVulkanDrivers } from './vulkan.js';
import { guardAdapter } from './worker-safe.js';

export interface OpenGpuOptions extends GpuOptions {
  /** 'hardware', 'lavapipe', 'swiftshader', or a part of an adapter's name; default CAMEO_ADAPTER, else the best. */
  adapter?: string;
  /** False removes WGSL bounds checks (Dawn's `disable_robustness`); default true, or CAMEO_ROBUSTNESS=0. */
  robustness?: boolean;
  /** False chooses kernels by estimate, not by what `cameo tune` measured; default true, or CAMEO_TUNING=0. */
  tuning?: boolean;
}

/** An adapter as Dawn names it. */
export interface FoundAdapter {
  name: string;
  backend: string;
  kind: GpuDescription['kind'];
  /** Only for the SwiftShader of npm `@sparticuz/chromium`: the driver that the Vulkan loader has to use. */
  swiftShader?: SwiftShaderFiles;
}

/** Best first: a GPU, then lavapipe (about three to five times as fast as SwiftShader), then SwiftShader. */
export const PREFERENCE: readonly GpuDescription['kind'][] = ['hardware', 'lavapipe', 'swiftshader', 'other software'];

// biome-ignore lint/suspicious/noExplicitAny: the package has no useful types, and is an optional peer
let dawn: Promise<any> | undefined;

async function loadDawn() {
  dawn ??= import('webgpu');
  try {
    return (await dawn) as { create(flags: string[]): GPU };
  } catch (cause) {
    throw new NoAdapterError('npm package "webgpu" (Dawn for Node) could not be loaded: run `npm install webgpu`', {
      cause,
    });
  }
}

/** Looks for an adapter among the machine's own, or only SwiftShader's if that is given. */
async function askDawn(flags: string[], swiftShader: SwiftShaderFiles | null): Promise<[GPU, GPUAdapter | null]> {
  const [{ create }, libc] = await Promise.all([loadDawn(), loadLibc()]);
  // All in one synchronous call: Dawn makes its Vulkan instance, and drivers print their messages, before requestAdapter returns.
  selectVulkanDrivers(swiftShader, libc);
  const [gpu, pending] = keepingDriverMessages(libc, () => {
    const gpu = create(flags);
    return [gpu, gpu.requestAdapter()] as const;
  });
  return [gpu, await pending];
}

/** Dawn lists its adapters only in the error for a name that fits none. */
async function listDawnAdapters(swiftShader: SwiftShaderFiles | null): Promise<FoundAdapter[]> {
  let listing = '';
  try {
    await askDawn(['adapter=?no such adapter?'], swiftShader);
  } catch (error) {
    listing = (error as Error).message;
  }
  const found: FoundAdapter[] = [];
  for (const [, backend, name] of listing.matchAll(/backend: '([^']*)', name: '([^\n]*)'/g)) {
    if (backend === 'null' || found.some((other) => other.name === name)) continue;
    const kind = describeAdapter({
      vendor: '',
      architecture: '',
      device: name,
      description: '',
    } as GPUAdapterInfo).kind;
    found.push({ name, backend, kind });
  }
  return found;
}

/** True if this machine has no driver. It is not asked again, because SwiftShader would have to be unloaded for that. */
let noneInstalled = false;

/** All adapters of this machine, the preferred one first; SwiftShader is unpacked and listed if possible. */
export async function listAdapters(options: { withSwiftShader?: boolean } = {}): Promise<FoundAdapter[]> {
  const swiftShader = (options.withSwiftShader ?? true) ? unpackSwiftShader() : null;
  if (swiftShader) provideVulkanLoader(swiftShader);
  const found = hasVulkanLoader() && !noneInstalled ? await listDawnAdapters(null) : [];
  noneInstalled = found.length === 0;
  if (swiftShader && !found.some(({ kind }) => kind === 'swiftshader')) {
    for (const adapter of await listDawnAdapters(swiftShader)) {
      // Listed as well if a driver is not Vulkan's; entries of the first listing stay.
      if (!found.some(({ name }) => name === adapter.name)) found.push({ ...adapter, swiftShader });
    }
  }
  return found.sort((a, b) => PREFERENCE.indexOf(a.kind) - PREFERENCE.indexOf(b.kind));
}

const instances = new WeakMap<GPUAdapter, GPU>();

/** Requests the raw adapter of a listing. @returns null if the driver gives none */
export async function requestAdapter(
  { name, kind, swiftShader }: FoundAdapter,
  robustness = true,
): Promise<GPUAdapter | null> {
  const enabled = ['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia'];
  if (!robustness) enabled.push('disable_robustness');
  const disabled = ['timestamp_quantization'];
  // SwiftShader writes those zeros element by element, unrolled: a tiled kernel then takes four times as long to compile.
  if (kind === 'swiftshader') disabled.push('use_vulkan_zero_initialize_workgroup_memory_extension');
  const flags = [
    `adapter=${name}`,
    `enable-dawn-features=${enabled.join(',')}`,
    `disable-dawn-features=${disabled.join(',')}`,
  ];
  const [gpu, adapter] = await askDawn(flags, swiftShader ?? null);
  if (adapter && !isMainThread) {
    guardAdapter(adapter);
    endWhenAsked();
  }
  // Dawn crashes when its instance is collected before the adapter and the devices made from it.
  if (adapter) instances.set(adapter, gpu);
  return adapter;
}

const INSTALL_HINT =
  'install a GPU driver with Vulkan, or Mesa 23 or later (`apt install mesa-vulkan-drivers`), or `npm install @sparticuz/chromium` (Linux x64)';

/** Opens one adapter of a listing. @throws BrokenAdapterError, or what the driver gives as its reason */
export async function openFound(found: FoundAdapter, options: OpenGpuOptions = {}): Promise<Gpu> {
  const { adapter: _wanted, robustness = process.env.CAMEO_ROBUSTNESS !== '0', tuning, ...own } = options;
  const adapter = await requestAdapter(found, robustness);
  if (!adapter) throw new NoAdapterError(`the driver of "${found.name}" gave no adapter`);
  const wait = found.kind === 'hardware' || !isMainThread ? undefined : waitQuietly;
  const gpu = await openAdapter(adapter, { wait, ...own }, instances.get(adapter));
  if (tuning ?? process.env.CAMEO_TUNING !== '0') loadTuning(gpu);
  return gpu;
}

/** True when CAMEO_ADAPTER's value (or the option's) names this adapter: its kind, or a part of its name; '' fits all. */
export function adapterFits({ name, kind }: FoundAdapter, wanted: string): boolean {
  const text = wanted.trim().toLowerCase();
  return text === '' || kind === text || name.toLowerCase().includes(text);
}

/**
 * Opens the best adapter of this machine for Node: hardware, then an installed lavapipe, then the SwiftShader inside
 * npm `@sparticuz/chromium`. An adapter that fails its known-answer kernel is skipped.
 *
 * @throws NoAdapterError when nothing fits; the message lists what was found and why each was refused
 * @throws ArgumentError if the best adapter lacks the wanted precision; a slower adapter is not used instead
 */
export async function openGpu(options: OpenGpuOptions = {}): Promise<Gpu> {
  checkGpuOptions('openGpu', options, ['adapter', 'robustness', 'tuning']);
  const { adapter: named = process.env.CAMEO_ADAPTER ?? '' } = options;
  if (typeof named !== 'string') refuse('openGpu', 'adapter', named, 'a kind of adapter, or a part of a name');
  await loadDawn(); // a missing package is reported first, whatever drivers there are
  const wanted = named.trim();

  // SwiftShader is unpacked only if nothing else works or it is asked for.
  const better = PREFERENCE.slice(0, PREFERENCE.indexOf('swiftshader'));
  const refused: string[] = [];
  const tried = new Set<string>();
  for (const withSwiftShader of hasVulkanLoader() ? [false, true] : [true]) {
    for (const candidate of await listAdapters({ withSwiftShader })) {
      if (!adapterFits(candidate, wanted) || tried.has(candidate.name)) continue;
      if (!withSwiftShader && !better.includes(candidate.kind)) continue;
      tried.add(candidate.name);
      try {
        return await openFound(candidate, options);
      } catch (error) {
        if (error instanceof ArgumentError) throw error;
        refused.push(`${candidate.name}: ${(error as Error).message}`);
      }
    }
  }
  const all = (await listAdapters()).map(({ name, kind }) => `"${name}" (${kind})`).join(', ') || 'none';
  const what = wanted ? `no WebGPU adapter fits "${wanted}"` : 'no usable WebGPU adapter';
  const [said] = driverMessages();
  const why = (refused.length > 0 ? `; refused: ${refused.join('; ')}` : '') + (said ? `; drivers say: ${said}` : '');
  throw new NoAdapterError(`${what} (found: ${all}${why}). ${INSTALL_HINT}`);
}
