import { readFileSync } from 'node:fs';
import type { Latents } from '../../src/codec/latents.js';
import { laplacianLatents } from './container-latents.js';

/** A compact PNG that an earlier version wrote, and its content. */
export interface FrozenPng {
  file: Uint8Array;
  latents: Latents;
  modelId: string;
  rate: number;
}

interface Stored extends Omit<FrozenPng, 'file' | 'latents'> {
  /** Of `laplacianLatents`, which made the symbols. */
  seed: number;
  height: number;
  width: number;
  channels: number;
  /** Base64. */
  file: string;
}

const stored: Stored[] = JSON.parse(readFileSync(new URL('png-version-1.json', import.meta.url), 'utf8'));

/** Files of version 1: of 7×6×24, 5×3×2 (whose height is not 7/6 of the width) and 14×12×8 symbols. */
export const FROZEN_PNGS: readonly FrozenPng[] = stored.map(
  ({ seed, height, width, channels, modelId, rate, file }) => ({
    file: new Uint8Array(Buffer.from(file, 'base64')),
    latents: laplacianLatents(seed, height, width, channels).latents,
    modelId,
    rate,
  }),
);
