import type { GpuDescription } from '../gpu/description.js';

/** What the advice depends on. */
export interface Machine {
  platform: NodeJS.Platform;
  arch: string;
  /** Kind of the adapter in use; null if none is usable. */
  taken: GpuDescription['kind'] | null;
  /** Linux: is there a GPU that the kernel drives (/dev/dri/render*, /dev/nvidia0), and may this user open it? */
  gpuNode: 'none' | 'forbidden' | 'accessible';
}

const LAVAPIPE =
  'Debian 13, Ubuntu 24.04: apt install mesa-vulkan-drivers\n' +
  'Debian 12: apt install -t bookworm-backports mesa-vulkan-drivers (its own Mesa 22.3 is too old)\n' +
  'Fedora: dnf install mesa-vulkan-drivers';

/** What to install for a faster adapter than the one that is taken, one line each; none where a GPU is in use. */
export function doctorAdvice({ platform, arch, taken, gpuNode }: Machine): string[] {
  if (taken === 'hardware') return [];
  if (platform === 'darwin') {
    return ['every Mac with this macOS has Metal; in a virtual machine it is missing, so run on the Mac itself'];
  }
  if (platform === 'win32') {
    return ["install the graphics driver of the GPU's maker (Direct3D 12); over a remote desktop it may be hidden"];
  }
  if (platform !== 'linux') return ['Dawn for Node is built for Linux, macOS and Windows only'];

  const advice: string[] = [];
  if (gpuNode === 'forbidden') {
    advice.push(
      'this machine has a GPU that you may not open: add yourself to its group (usermod -aG render,video USER)',
    );
  } else if (gpuNode === 'accessible') {
    advice.push(
      "this machine has a GPU, but no working Vulkan driver for it: NVIDIA's own driver with libvulkan1 and its ICD file; for AMD and Intel, Mesa:",
      ...LAVAPIPE.split('\n'),
    );
  } else {
    advice.push('a GPU with a Vulkan driver is many times faster than a CPU');
  }
  if (taken !== 'lavapipe' && gpuNode !== 'accessible') {
    advice.push(
      'lavapipe (Mesa 23 or later) is about three to five times as fast as SwiftShader:',
      ...LAVAPIPE.split('\n'),
    );
  }
  if (taken === null && arch === 'x64') {
    advice.push('without root: npm install @sparticuz/chromium brings SwiftShader');
  }
  return advice;
}
