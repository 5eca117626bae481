import { dirname } from 'node:path';
import { unpackSwiftShader } from '../../src/gpu/node/swiftshader.js';
import { hasVulkanLoader } from '../../src/gpu/node/vulkan.js';

/**
 * The environment in which a program that uses Vulkan (Firefox, Deno) finds only SwiftShader as a driver, like the tests in
 * Chromium; the environment of this process if SwiftShader cannot be unpacked here.
 */
export function softwareVulkan(): NodeJS.ProcessEnv {
  const files = unpackSwiftShader();
  if (!files) return process.env;
  const { LD_LIBRARY_PATH: before } = process.env;
  const libraries = [dirname(files.loader), ...(before ? [before] : [])].join(':');
  return {
    ...process.env,
    VK_DRIVER_FILES: files.icd,
    VK_ICD_FILENAMES: files.icd,
    ...(!hasVulkanLoader() && { LD_LIBRARY_PATH: libraries }),
  };
}
