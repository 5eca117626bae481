import { build } from 'esbuild';
import { gzip } from 'pako';

/** The most bytes after gzip that everything an entry point exports may take in a program for browsers, without weights. */
export const BUDGETS = { 'cameo/engine': 95_500, cameo: 142_500 } as const;

/** The most bytes after gzip that `FaceDetector` may add to a program that has everything of `cameo`. */
export const DETECTOR_BUDGET = 8_000;

export interface BundleSize {
  /** Bytes of the minified program. */
  bytes: number;
  /** Bytes of the minified program after gzip −9. */
  gzip: number;
}

/**
 * Size after gzip −9, by pako, which is a port of zlib. Node and browsers bring other versions of zlib, whose results depend on
 * the machine.
 */
export const gzipSize = (data: Uint8Array): number => gzip(data, { level: 9 }).length;

/** Bundles a program for browsers as a user's bundler would: one ES module, minified. @throws Error where esbuild cannot */
export async function bundle(program: string, modules: string, leaveOut?: RegExp): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: modules },
    nodePaths: [modules],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    logLevel: 'silent',
    plugins: leaveOut
      ? [
          {
            name: 'leave out',
            setup({ onResolve }) {
              onResolve({ filter: leaveOut }, ({ path }) => ({ path, external: true }));
            },
          },
        ]
      : [],
  });
  return outputFiles[0].contents;
}

/**
 * Size of a program for browsers.
 * @param modules the `node_modules` folder with the packages that it imports
 * @param leaveOut paths of modules that stay out of the bundle, because a program loads them only when it asks for them
 */
export async function bundleSize(program: string, modules: string, leaveOut?: RegExp): Promise<BundleSize> {
  const code = await bundle(program, modules, leaveOut);
  return { bytes: code.length, gzip: gzipSize(code) };
}
