import type { FoundAdapter } from './adapters.js';
import { listAdapters, openFound } from './adapters.js';

/** What one adapter can do, or why it cannot be used. */
export interface ProbedAdapter {
  found: FoundAdapter;
  /** Why it was refused (no device, or a failed known-answer kernel); absent for a usable one. */
  refused?: string;
  /** The driver's own description. */
  description: string;
  features: string[];
  /** The limits of a device opened on it, by their WebGPU names. */
  limits: Record<string, number>;
}

/** Opens each adapter of this machine in turn, the preferred one first, and runs the known-answer kernel on it. */
export async function probeAdapters(): Promise<ProbedAdapter[]> {
  const probed: ProbedAdapter[] = [];
  for (const found of await listAdapters()) probed.push(await probeAdapter(found));
  return probed;
}

async function probeAdapter(found: FoundAdapter): Promise<ProbedAdapter> {
  try {
    const gpu = await openFound(found);
    const { device, description } = gpu;
    const limits: Record<string, number> = {};
    for (const name in device.limits) {
      const value = device.limits[name as keyof GPUSupportedLimits];
      if (typeof value === 'number') limits[name] = value;
    }
    const result = { found, description: description.description, features: [...device.features].sort(), limits };
    gpu.destroy();
    return result;
  } catch (error) {
    return { found, refused: (error as Error).message, description: '', features: [], limits: {} };
  }
}
