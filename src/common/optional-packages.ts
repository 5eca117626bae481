import { CameoError } from './errors.js';

/** npm packages that only some work needs: the optional peers of package.json, each with its use. */
export const OPTIONAL_PACKAGES = {
  webgpu: 'the GPU in Node (Dawn)',
  '@sparticuz/chromium': 'SwiftShader, where there is no GPU driver',
  '@cornerstonejs/codec-openjpeg': 'JPEG2000, to compare with',
  icodec: 'WebP, WebP 2 and JPEG XL, to compare with',
  '@vladmandic/face-api': "dlib's recogniser, and the photographs of the demo",
} as const;

export type OptionalPackage = keyof typeof OPTIONAL_PACKAGES;

/** How to get an optional package, for messages. */
export const installHint = (name: OptionalPackage): string => `install it with: npm install ${name}`;

/**
 * Imports an optional package at first use.
 * @param user the part that needs it, for the message
 * @param module to import, if not the package's main module
 * @throws CameoError that says how to install it
 */
export async function loadOptional<T>(user: string, name: OptionalPackage, module: string = name): Promise<T> {
  try {
    // Not a literal, so that bundlers and the compiler do not look for a package that need not be there.
    return (await import(module)) as T;
  } catch (cause) {
    throw new CameoError(`${user} needs npm package ${name}, which cannot be loaded; ${installHint(name)}`, { cause });
  }
}
