import { ArgumentError } from './errors.js';

/**
 * Options by the names that they have now, in their order; those of other names stay as they are.
 * @param names the names of now by those of before
 * @throws ArgumentError for an option that is given by both of its names
 */
export function withNewNames<T>(where: string, options: T, names: Readonly<Record<string, string>>): T {
  if (options === null || typeof options !== 'object') return options;
  const entries = Object.entries(options).map(([name, value]) => {
    const now = Object.hasOwn(names, name) ? names[name] : name;
    if (now !== name && Object.hasOwn(options, now)) {
      throw new ArgumentError(`${where}: ${name} is called ${now} now; expected one of them`);
    }
    return [now, value];
  });
  return Object.fromEntries(entries) as T;
}
