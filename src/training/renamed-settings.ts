import { ArgumentError } from '../common/errors.js';

/** What the settings of a loss are called now, by their names of before. */
export const MARGIN_NAMES = { s: 'scale', m: 'margin' } as const;

/**
 * Settings by the names that they have now, in their order; those of other names stay as they are.
 * @param names the names of now by those of before
 * @throws ArgumentError for a setting that is given by both of its names
 */
export function withNewNames<T>(where: string, settings: T, names: Readonly<Record<string, string>>): T {
  if (settings === null || typeof settings !== 'object') return settings;
  const entries = Object.entries(settings).map(([name, value]) => {
    const now = Object.hasOwn(names, name) ? names[name] : name;
    if (now !== name && Object.hasOwn(settings, now)) {
      throw new ArgumentError(`${where}: ${name} is called ${now} now; expected one of them`);
    }
    return [now, value];
  });
  return Object.fromEntries(entries) as T;
}
