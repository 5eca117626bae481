import { ArgumentError } from '../common/errors.js';

/** New names of the settings of a loss, by their old names. */
export const MARGIN_NAMES = { s: 'scale', m: 'margin' } as const;

/**
 * Settings with their new names, in order; settings with other names do not change.
 * @param names new names by old names
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
