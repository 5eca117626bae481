import { ArgumentError } from './errors.js';

// Checks of arguments, for mistakes that types would catch. `where` is the function's name and starts every message.

/** A value as messages show it: `the number 3`, `"same"`, `a Parameter`, `[1,2]`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean') return `${value}`;
  if (typeof value === 'string') return `"${value}"`;
  if (typeof value === 'number' || typeof value === 'bigint') return `the ${typeof value} ${value}`;
  if (Array.isArray(value)) return `the array [${value.map((entry) => (isPrimitive(entry) ? entry : '…')).join(',')}]`;
  if (typeof value === 'function') return 'a function';
  const type = (value as object).constructor?.name ?? 'Object';
  return type === 'Object' ? 'an object' : `${/^[AEIOU]/.test(type) ? 'an' : 'a'} ${type}`;
}

const isPrimitive = (value: unknown): boolean => value === null || typeof value !== 'object';

/** @throws ArgumentError: "where: name is …; expected …" */
export function refuse(where: string, name: string, value: unknown, expected: string): never {
  throw new ArgumentError(`${where}: ${name} is ${describe(value)}; expected ${expected}`);
}

/**
 * Options with their defaults filled in; an option that is undefined takes its default.
 * @param defaults all options; those without a default are undefined
 * @throws ArgumentError if `given` is not an object, or has an unknown option
 */
export function withDefaults<T extends object>(where: string, given: Partial<T> | undefined, defaults: T): T {
  const options = { ...defaults };
  for (const [name, value] of Object.entries(checkOptions(where, given, Object.keys(defaults)))) {
    if (value !== undefined) options[name as keyof T] = value as T[keyof T];
  }
  return options;
}

/**
 * @returns the given options; none if they are left out
 * @throws ArgumentError if `given` is no object, or holds an option whose name is not among `known`
 */
export function checkOptions<T extends object>(where: string, given: T | undefined, known: readonly string[]): T {
  const expected = `an object of ${known.join(', ')}`;
  if (given === undefined) return {} as T;
  if (given === null || typeof given !== 'object' || Array.isArray(given))
    refuse(where, 'the options', given, expected);
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) {
      throw new ArgumentError(`${where}: there is no option "${name}"; expected ${known.join(', ')}`);
    }
  }
  return given;
}

/** @throws ArgumentError if `value` is not an integer of at least 1 */
export function checkCount(where: string, name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) refuse(where, name, value, 'an integer of at least 1');
}

/** True for an array or a typed array. */
export function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value);
}

/** @throws ArgumentError unless `value` is an integer of 32 bits without a sign, as seeds are */
export function checkWord(where: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    refuse(where, name, value, 'an integer from 0 to 4294967295');
  }
}

/** @throws ArgumentError if `value` is not a list */
export function checkList(where: string, name: string, value: unknown, expected: string): void {
  if (!isList(value)) refuse(where, name, value, expected);
}
