import { FormatError } from '../src/common/errors.js';
import { fromBase64, toBase64Url } from './base64.js';

const KEY = 'face=';
/** A longer text is no face: those of the page have at most 1,000 bytes. */
const MAX_LETTERS = 100_000;

/** An address of this page that carries a face in its fragment, which no browser sends to a server. */
export function linkTo(bytes: Uint8Array, address: string): string {
  const url = new URL(address);
  url.search = '';
  url.hash = KEY + toBase64Url(bytes);
  return url.href;
}

/**
 * The face in a fragment (with or without its #), or in the address that has one.
 * @returns null where it speaks of no face
 * @throws FormatError for a face that is no base64url
 */
export function bytesInLink(text: string): Uint8Array<ArrayBuffer> | null {
  const at = text.indexOf(`#${KEY}`);
  if (at < 0) return null;
  const code = text.slice(at + 1 + KEY.length).trim();
  const bytes = /^[A-Za-z0-9_-]+$/.test(code) && code.length <= MAX_LETTERS ? fromBase64(code) : null;
  if (bytes && bytes.length > 0) return bytes;
  const shown = code.length > 24 ? `${code.slice(0, 24)}…` : code;
  throw new FormatError(
    `the link's face is "${shown}", ${code.length} letters; expected base64url (letters, digits, - and _) of a face's bytes`,
  );
}
