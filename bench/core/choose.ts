import { ArgumentError } from '../../src/common/errors.js';
import { type BenchLayer, benchLayers } from '../layers.js';

/** Which layers and kinds to measure; an empty or absent filter chooses all of them. */
export interface Filters {
  /** Part of a layer's name, or the name of a network. */
  layers?: string;
  /** Starts of words in kinds, separated by commas. */
  kinds?: string;
}

/** @throws ArgumentError if no layer is left */
export function chooseLayers({ layers }: Filters): BenchLayer[] {
  const chosen = benchLayers().filter(
    ({ name, counts }) => !layers || name.includes(layers) || Object.keys(counts).includes(layers),
  );
  if (chosen.length === 0) throw new ArgumentError(`no layer and no network has "${layers}" in its name`);
  return chosen;
}

/** Keeps the tasks that the filters ask for. @throws ArgumentError if none is left */
export function wanted<T extends { kind: string; layer: string }>(
  tasks: readonly T[],
  layers: readonly BenchLayer[],
  filters: Filters,
): T[] {
  const names = new Set(layers.map(({ name }) => name));
  // Older versions called transposed convs "deconv".
  const kinds = filters.kinds?.replaceAll('deconv', 'transposed');
  const kept = tasks.filter(({ kind, layer }) => {
    if (kinds && !kinds.split(',').some((part) => ` ${kind}`.includes(` ${part.trim()}`))) return false;
    // Without a filter, keep also what is no layer of a network: the square product, batch norms, the loss.
    return !filters.layers || names.has(layer.split(',')[0]) || layer.includes(filters.layers);
  });
  if (kept.length === 0) throw new ArgumentError('nothing to time: the layers and kinds have nothing in common');
  return kept;
}

/** Whether whole networks are measured, too: not with a filter, which asks for single kernels. */
export function wantsNetworks({ layers, kinds }: Filters): boolean {
  return !layers && !kinds;
}

/** Milliseconds to spend on each computation. */
export function budgetOf(quick: boolean): number {
  return quick ? 150 : 500;
}

/** Pictures per batch where the user gives none: one, as in decoding, and many, as in training. */
export function defaultBatches(quick: boolean): number[] {
  return quick ? [4] : [1, 32];
}

/** Reads "1,32". @throws ArgumentError for anything but positive integers between commas */
export function parseBatches(text: string): number[] {
  const batches = text.split(',').map(Number);
  if (!batches.every((batch) => Number.isSafeInteger(batch) && batch > 0)) {
    throw new ArgumentError(
      `"${text}" is not a list of batch sizes; expected positive integers with commas between them, such as 1,32`,
    );
  }
  return [...new Set(batches)];
}
