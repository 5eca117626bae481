import type { GPUAdapterInfo } from '../common/platform-types.js';

/** What the adapter says about itself. */
export interface GpuDescription {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** 'hardware', or the name of the software rasteriser that runs on the CPU. */
  kind: 'hardware' | 'lavapipe' | 'swiftshader' | 'other software';
  /** Invocations in a subgroup if their number is fixed, else 0. */
  subgroupSize: number;
}

export function describeAdapter(info: GPUAdapterInfo): GpuDescription {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`.toLowerCase();
  let kind: GpuDescription['kind'] = 'hardware';
  if (text.includes('llvmpipe')) kind = 'lavapipe';
  else if (text.includes('swiftshader')) kind = 'swiftshader';
  else if (info.isFallbackAdapter || /software|basic render|\bwarp\b/.test(text)) kind = 'other software';
  const { vendor, architecture, device, description, subgroupMinSize, subgroupMaxSize } = info;
  const subgroupSize = subgroupMinSize && subgroupMinSize === subgroupMaxSize ? subgroupMinSize : 0;
  return { vendor, architecture, device, description, kind, subgroupSize };
}

/** The adapter's name. In browsers, which give no name, the vendor and the architecture. */
export function adapterName({ description, device, vendor, architecture }: GpuDescription): string {
  return description || device || `${vendor} ${architecture}`.trim() || 'unnamed adapter';
}

/** "GPU", or that it is not one. */
export function adapterKind(kind: string): string {
  return kind === 'hardware' ? 'GPU' : `${kind}, a software adapter on the CPU, not a GPU`;
}
