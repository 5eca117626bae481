import { createRequire } from 'node:module';
import type { Sharp as Pipeline, default as Sharp } from 'sharp';

let loaded: typeof Sharp | undefined;

/** Loads npm sharp, by its CommonJS module: its ES module needs Node 20.10, though it says 20.9. */
function load(): typeof Sharp {
  loaded ??= createRequire(import.meta.url)('sharp') as typeof Sharp;
  return loaded;
}

/** sharp, which is loaded when it is first called; commands without pictures then start faster. */
const sharp = (...args: Parameters<typeof Sharp>): Pipeline => load()(...args);
export default sharp;

/** Versions of sharp and of the libraries in it. */
export const sharpVersions = (): typeof Sharp.versions => load().versions;
