import { powerOfEighths } from '../../codec/entropy/fixed-point.js';
import { CONTEXT_SOURCES, type LatentModel } from '../../codec/entropy/latent-model.js';
import { type WalkTrace, walkLatents } from '../../codec/entropy/latent-walk.js';
import { MEAN_UNITS, SCALE_ONE } from '../../codec/entropy/symbol-distribution.js';
import type { SymbolSource } from './fit-symbols.js';

/** What a decoder knows before each symbol, and the symbol itself, for some faces at one step. */
export interface Observations {
  qIndex: number;
  faces: number;
  /** All are [faces, latents] in coding order. */
  symbols: Int16Array;
  means: Int32Array;
  /** Scale index before the context adjusts it. */
  scales: Int16Array;
  /** The same after. */
  adjusted: Int16Array;
  /** [faces, latents, CONTEXT_SOURCES] */
  sources: Int16Array;
  found: Int32Array;
  expected: Int32Array;
  quantizers: Uint8Array;
  /** Distance of the latent itself, before quantization, from its mean, in scales. */
  standardised: Float32Array;
}

/** Walks through faces evenly spread over the samples, as an encoder would. */
export function observe(source: SymbolSource, model: LatentModel, qIndex: number, maxFaces: number): Observations {
  const { latents } = model;
  const { count, units, gain, unit, order, channels, height, width } = source.samples;
  const { symbols } = source.at(qIndex);
  const positions = height * width;
  const faces = Math.min(count, maxFaces);
  const observations: Observations = {
    qIndex,
    faces,
    symbols: new Int16Array(faces * latents),
    means: new Int32Array(faces * latents),
    scales: new Int16Array(faces * latents),
    adjusted: new Int16Array(faces * latents),
    sources: new Int16Array(faces * latents * CONTEXT_SOURCES),
    found: new Int32Array(faces * latents),
    expected: new Int32Array(faces * latents),
    quantizers: new Uint8Array(faces * latents),
    standardised: new Float32Array(faces * latents),
  };
  const stepsPerUnit = Array.from(order, (c) => powerOfEighths(gain[qIndex * channels + c] - unit[c]));
  for (let face = 0; face < faces; face++) {
    const from = face * latents;
    const sample = Math.floor((face * count) / faces);
    const trace: WalkTrace = {
      scale: observations.scales.subarray(from, from + latents),
      sources: observations.sources.subarray(from * CONTEXT_SOURCES, (from + latents) * CONTEXT_SOURCES),
      found: observations.found.subarray(from, from + latents),
      expected: observations.expected.subarray(from, from + latents),
      quantizer: observations.quantizers.subarray(from, from + latents),
    };
    const coder = {
      code(latent: number, scale: number, mean: number): number {
        const rank = Math.floor(latent / positions);
        const value = units[latent * count + sample];
        const symbol = symbols[latent * count + sample];
        const at = from + latent;
        observations.symbols[at] = symbol;
        observations.means[at] = mean;
        observations.adjusted[at] = scale;
        const distance = Math.abs(value * stepsPerUnit[rank] - mean / MEAN_UNITS);
        observations.standardised[at] = distance * powerOfEighths(SCALE_ONE - scale);
        return symbol;
      },
    };
    walkLatents(model, qIndex, coder, trace);
  }
  return observations;
}
