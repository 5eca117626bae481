import type { FaceQuantizer, Search } from './byte-budget.js';
import type { GpuTrellis } from './gpu-trellis.js';

/**
 * Runs a search for each face. With a trellis on the GPU, the trials that all searches ask for at a time are done there at once;
 * the results are the same.
 */
export async function searchTogether<R>(
  quantizer: FaceQuantizer,
  trellis: GpuTrellis | undefined,
  faces: readonly Float32Array[],
  begin: (values: Float32Array, face: number) => Search<R>,
): Promise<R[]> {
  if (!trellis) return faces.map((values, face) => quantizer.run(values, begin(values, face)));
  const loaded = trellis.load(faces);
  try {
    const searches = faces.map(begin);
    const steps = searches.map((search) => search.next());
    for (;;) {
      const asked = steps.flatMap((step, face) => (step.done ? [] : { face, trial: step.value }));
      if (asked.length === 0) return steps.map(({ value }) => value as R);
      const jobs = asked.flatMap(({ face, trial }) => {
        const job = quantizer.jobOf(trial);
        return job ? { ...job, face } : [];
      });
      const found = jobs.length > 0 ? await trellis.choose(loaded, jobs) : [];
      let next = 0;
      for (const { face, trial } of asked) {
        const symbols = quantizer.jobOf(trial) ? found[next++] : quantizer.symbolsOf(faces[face], trial);
        steps[face] = searches[face].next(symbols);
      }
    }
  } finally {
    loaded.dispose();
  }
}
