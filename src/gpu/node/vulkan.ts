import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import type { Libc } from './libc.js';
import type { SwiftShaderFiles } from './swiftshader.js';

const RTLD_NODELETE = 0x1000;

/** What the user had set before we touched the environment: the variable, and the name that older loaders know. */
const userDrivers = {
  VK_DRIVER_FILES: process.env.VK_DRIVER_FILES,
  VK_ICD_FILENAMES: process.env.VK_ICD_FILENAMES,
};

/**
 * Loads a shared library permanently. `process.dlopen` wants Node addons: for any other library it throws
 * "did not self-register", but by then the library is loaded, and Dawn finds it by its soname.
 */
function loadLibrary(path: string): boolean {
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen;
  try {
    process.dlopen({ exports: {} }, path, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
  } catch (error) {
    return /self-register/.test((error as Error).message);
  }
  return true;
}

/** True when there is a Vulkan loader: the machine's own, or the one that `provideVulkanLoader` has loaded. */
export function hasVulkanLoader(): boolean {
  return process.platform !== 'linux' || loadLibrary('libvulkan.so.1');
}

/** Loads SwiftShader's loader on a machine without one; it serves the machine's own drivers, too. */
export function provideVulkanLoader(swiftShader: SwiftShaderFiles): void {
  if (!hasVulkanLoader()) loadLibrary(swiftShader.loader);
}

let selected: SwiftShaderFiles | null = null;

/**
 * Tells the Vulkan loader which drivers to look at, for instances made from now on: the machine's own (or those the
 * user named), or only SwiftShader if its files are given. The loader reads the environment of the process. A Worker's
 * `process.env` is only a copy of it, so there the C library sets it.
 */
export function selectVulkanDrivers(swiftShader: SwiftShaderFiles | null, libc: Libc | null): void {
  // A thread that has changed nothing restores nothing: another thread may be using what it has set.
  if (process.platform !== 'linux' || swiftShader?.icd === selected?.icd) return;
  selected = swiftShader;
  for (const [name, users] of Object.entries(userDrivers)) {
    const value = swiftShader?.icd ?? users;
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
    if (isMainThread) continue;
    if (value === undefined) libc?.unsetenv(name);
    else libc?.setenv(name, value, 1);
  }
}
