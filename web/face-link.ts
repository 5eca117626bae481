import { FormatError } from '../src/common/errors.js';
import { fromBase64, toBase64Url } from './base64.js';

const KEY = 'face=';
/** The most characters of a face in a link. Faces of this page have at most 1,000 bytes, so a longer text is not a face. */
const MAX_CHARACTERS = 100_000;

/** An address of this page that carries a face in its fragment, which no browser sends to a server. */
export function linkTo(bytes: Uint8Array, address: string): string {
  const url = new URL(address);
  url.search = '';
  url.hash = KEY + toBase64Url(bytes);
  return url.href;
}

/**
 * The face in an address or in its fragment (with #).
 * @returns null if there is no "#face=" in the text
 * @throws FormatError if what follows it is not base64url
 */
export function bytesInLink(text: string): Uint8Array<ArrayBuffer> | null {
  const at = text.indexOf(`#${KEY}`);
  if (at < 0) return null;
  const code = text.slice(at + 1 + KEY.length).trim();
  const bytes = /^[A-Za-z0-9_-]+$/.test(code) && code.length <= MAX_CHARACTERS ? fromBase64(code) : null;
  if (bytes && bytes.length > 0) return bytes;
  const shown = code.length > 24 ? `${code.slice(0, 24)}…` : code;
  throw new FormatError(
    `the link's face is "${shown}", ${code.length} characters; expected base64url (letters, digits, - and _) of a face's bytes`,
  );
}
