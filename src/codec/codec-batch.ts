import type { Gpu } from '../gpu/gpu.js';

/** Faces in one pass through the network; a CPU gains nothing from more. */
const BATCH = { hardware: 16, software: 4 } as const;

/** Faces that one pass of the codec takes. */
export const codecBatch = ({ limits }: Gpu): number => (limits.software ? BATCH.software : BATCH.hardware);

/** Faces of the passes of the codec, the most first. With many faces, a CPU reads the large matrices less often. */
export const codecBatches = (gpu: Gpu): readonly number[] => [...new Set([BATCH.hardware, codecBatch(gpu)])];
