import { InvalidArgumentError } from 'commander';
import { FACE_HEIGHT, FACE_WIDTH } from '../detection/align.js';

/** Reads the value of an option that is an integer. @throws InvalidArgumentError, which commander reports */
export function integer(low: number, high = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text.trim()) || value < low || value > high) {
      const range = high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `from ${low} to ${high}`;
      throw new InvalidArgumentError(`Expected an integer ${range}.`);
    }
    return value;
  };
}

/** Reads a finite decimal number. @throws InvalidArgumentError, which commander reports with the name of the option */
export function number(text: string): number {
  const value = Number(text);
  if (!/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(text.trim()) || !Number.isFinite(value)) {
    throw new InvalidArgumentError('Expected a finite number.');
  }
  return value;
}

/** Reads a number above 0. @throws InvalidArgumentError, which commander reports */
export function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

/** Reads a score or share from 0 to 1. @throws InvalidArgumentError, which commander reports */
export function share(text: string): number {
  const value = number(text);
  if (value < 0 || value > 1) throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return value;
}

/** Reads a rate above 0 and below 1. @throws InvalidArgumentError, which commander reports */
export function rate(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError('Expected a rate above 0 and below 1, as 0.001.');
  return value;
}

/** Bits a pixel of a file that holds one face. */
export function bitsPerPixel(bytes: number): number {
  return (8 * bytes) / (FACE_WIDTH * FACE_HEIGHT);
}

/** "312 bytes, 0.232 bpp" */
export function sizeText(bytes: number): string {
  return `${bytes} bytes, ${bitsPerPixel(bytes).toFixed(3)} bpp`;
}
