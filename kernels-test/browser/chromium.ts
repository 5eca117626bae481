import puppeteer from 'puppeteer-core';
import { chromiumFiles } from './chromium-files.js';
import type { TestBrowser } from './test-browser.js';

/** Flags for WebGPU on the SwiftShader that comes with Chromium, so that no GPU is needed, and without requests of the browser's own. */
const FLAGS = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  // As in openGpu, because SwiftShader compiles tiled kernels four times as fast without robustness.
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  '--no-sandbox',
  '--disable-background-networking',
  '--no-first-run',
  // The camera is a picture that Chromium draws, and the page may use it without asking.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
];

/** The environment of this process without the Vulkan drivers that `openGpu` has chosen, with which Chromium finds no adapter. */
function withoutDrivers(): NodeJS.ProcessEnv {
  const { VK_DRIVER_FILES: _, VK_ICD_FILENAMES: __, ...rest } = process.env;
  return rest;
}

/**
 * Starts headless Chromium, that of the system (Debian's path) or else the one in npm `@sparticuz/chromium`.
 *
 * @returns the reason if none can be started
 */
export async function startChromium(flags: readonly string[]): Promise<TestBrowser | { missing: string }> {
  let remove = (): void => {};
  try {
    const files = await chromiumFiles();
    remove = files.remove;
    // It is driven by a pipe, so that Chromium ends with this process in any case. There is no time limit here, because the runner has one.
    const browser = await puppeteer.launch({
      executablePath: files.executablePath,
      headless: 'shell',
      args: [...FLAGS, ...flags],
      pipe: true,
      protocolTimeout: 0,
      env: withoutDrivers(),
    });
    return {
      browser,
      close: async () => {
        await browser.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    return { missing: `no Chromium can be started: ${(error as Error).message.split('\n')[0]}` };
  }
}
