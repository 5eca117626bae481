import { NoAdapterError } from '../common/errors.js';
import type { GPUAdapter } from '../common/platform-types.js';
import { askingAgain } from './ask-again.js';
import { describeAdapter } from './description.js';
import { assertPrecision, checkGpuOptions, Gpu, type GpuOptions, SUBGROUP_MATRIX } from './gpu.js';
import { selfTest } from './self-test.js';
import { loadTuningFromIndexedDb } from './tuning-indexeddb.js';

/**
 * Requests a device with the largest limits the adapter has, checks that it computes, and wraps it.
 * @param owner an object that must not be collected while the device lives
 * @throws NoAdapterError if the adapter gives no device, BrokenAdapterError if it does not compute,
 * ArgumentError if it lacks the wanted precision
 */
export async function openAdapter(adapter: GPUAdapter, options: GpuOptions = {}, owner?: object): Promise<Gpu> {
  checkGpuOptions('openAdapter', options);
  assertPrecision(options.precision ?? 'f32', adapter.features, adapter.info);
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = adapter.limits;
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX, maxStorageBuffersPerShaderStage } =
    adapter.limits;
  const wanted: GPUFeatureName[] = ['timestamp-query', 'subgroups', 'shader-f16'];
  if (options.precision === 'f16') wanted.push(SUBGROUP_MATRIX as GPUFeatureName); // useful for halves only
  const request = adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxBufferSize,
      maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX,
      maxStorageBuffersPerShaderStage,
    },
  });
  const device = await request.catch((cause: Error) => {
    const { description, device: name } = adapter.info;
    throw new NoAdapterError(`adapter "${description || name}" gave no device: ${cause.message}`, { cause });
  });
  const gpu = new Gpu(device, describeAdapter(adapter.info), { wait: askingAgain(device), ...options }, [
    adapter,
    owner,
  ]);
  try {
    await selfTest(gpu);
  } catch (error) {
    gpu.destroy();
    throw error;
  }
  return gpu;
}

export interface OpenBrowserGpuOptions extends GpuOptions {
  /** False chooses kernels by estimate, not by what was measured and stored in this browser; default true. */
  tuning?: boolean;
}

/**
 * Opens the browser's GPU. (In Node: `openGpu` of `cameo/node`.)
 * @throws NoAdapterError if the browser has no WebGPU or no adapter, ArgumentError if the adapter lacks the
 * precision asked for
 */
export async function openBrowserGpu(options: OpenBrowserGpuOptions = {}): Promise<Gpu> {
  checkGpuOptions('openBrowserGpu', options, ['tuning']);
  const { tuning = true, ...own } = options;
  const api = globalThis.navigator?.gpu;
  if (!api) {
    throw new NoAdapterError(
      'this browser has no WebGPU (navigator.gpu is missing): use a current Chrome, Edge, Safari or Firefox, on https or localhost',
    );
  }
  const adapter = await api.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter)
    throw new NoAdapterError('the browser has WebGPU but no adapter: is hardware acceleration switched off?');
  const gpu = await openAdapter(adapter, own);
  // Without stored choices (none made, a private window, no IndexedDB) the kernels are chosen by estimate.
  if (tuning) await loadTuningFromIndexedDb(gpu).catch(() => {});
  return gpu;
}
