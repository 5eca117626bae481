import { constants } from 'node:os';
import type { SwiftShaderFiles } from './swiftshader.js';

const RTLD_NODELETE = 0x1000;

/** What the user had set before we touched the environment. */
const userDrivers = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;

/**
 * Loads a shared library for good. `process.dlopen` wants Node addons: for any other library it throws
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

/** True when the machine has a Vulkan loader of its own. */
export function hasSystemLoader(): boolean {
  return process.platform !== 'linux' || loadLibrary('libvulkan.so.1');
}

/**
 * Tells the Vulkan loader, for instances made from now on, which drivers to look at: the machine's own (or those the
 * user named), with SwiftShader added when given. Where the machine has no loader, SwiftShader's is loaded first.
 */
export function setVulkanDrivers(swiftShader: SwiftShaderFiles | null): void {
  if (process.platform !== 'linux' || !swiftShader) return;
  if (!hasSystemLoader()) loadLibrary(swiftShader.loader);
  if (userDrivers) {
    process.env.VK_DRIVER_FILES = `${userDrivers}:${swiftShader.icd}`;
    process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES; // the name that older loaders know
  } else {
    process.env.VK_ADD_DRIVER_FILES = swiftShader.icd;
  }
}

/** For loaders older than VK_ADD_DRIVER_FILES (1.3.207): name SwiftShader as the only driver. */
export function setOnlySwiftShader(swiftShader: SwiftShaderFiles): void {
  process.env.VK_DRIVER_FILES = swiftShader.icd;
  process.env.VK_ICD_FILENAMES = swiftShader.icd;
}
