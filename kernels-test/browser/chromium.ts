import puppeteer from 'puppeteer-core';
import { chromiumFiles } from './chromium-files.js';
import type { TestBrowser } from './test-browser.js';

/** WebGPU on the SwiftShader that comes with Chromium, so that no GPU is needed; and no request of the browser's own. */
const FLAGS = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  // As in openGpu: SwiftShader compiles tiled kernels four times as fast without it.
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  '--no-sandbox',
  '--disable-background-networking',
  '--no-first-run',
  // A picture that Chromium draws by itself, and no question whether the page may see it.
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
];

/** This process's environment, but for the Vulkan drivers that `openGpu` has chosen in it: with them Chromium finds no adapter. */
function withoutDrivers(): NodeJS.ProcessEnv {
  const { VK_DRIVER_FILES: _, VK_ICD_FILENAMES: __, ...rest } = process.env;
  return rest;
}

/**
 * Starts headless Chromium: that of the system (Debian's path) or else the one in npm `@sparticuz/chromium`.
 *
 * @returns why none can be started, where so
 */
export async function startChromium(flags: readonly string[]): Promise<TestBrowser | { missing: string }> {
  let remove = (): void => {};
  try {
    const files = await chromiumFiles();
    remove = files.remove;
    // By a pipe, so that Chromium ends when this process does, however it does; how long it may take, the runner decides.
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
