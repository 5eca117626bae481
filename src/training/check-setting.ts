import { ArgumentError } from '../common/errors.js';

/** @throws ArgumentError that names the setting, unless its value is a number (an integer) from `low` to `high` */
export function checkSetting(name: string, value: unknown, low: number, high: number, integer = false): void {
  if (typeof value !== 'number' || !(value >= low && value <= high) || (integer && !Number.isInteger(value))) {
    const kind = integer ? 'an integer' : 'a number';
    throw new ArgumentError(`training: ${name} is ${JSON.stringify(value)}; expected ${kind} from ${low} to ${high}`);
  }
}
