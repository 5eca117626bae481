import { CameoError } from '../../common/errors.js';

/**
 * Loads a module of a package that only evaluation needs, and that is therefore a development dependency.
 * @throws CameoError that says how to install it
 */
export async function loadPackage<T>(user: string, name: string, module = name): Promise<T> {
  try {
    // Not a literal, so that bundlers and the compiler do not look for the package.
    return (await import(module)) as T;
  } catch (error) {
    throw new CameoError(
      `${user} needs the package ${name}, which cannot be loaded; install it with: npm install --save-dev ${name}`,
      { cause: error },
    );
  }
}
