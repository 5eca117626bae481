import { FormatError } from './errors.js';

/** Byte order marks that other programs begin a text with. */
const MARKS: readonly { bytes: readonly number[]; encoding: string }[] = /* @__PURE__ */ Object.freeze([
  { bytes: [0xef, 0xbb, 0xbf], encoding: 'utf-8' },
  { bytes: [0xff, 0xfe], encoding: 'utf-16le' },
  { bytes: [0xfe, 0xff], encoding: 'utf-16be' },
]);

/**
 * The text of a file from any system: UTF-8 with or without a byte order mark, or UTF-16 with one. Lines end in '\n',
 * whether they ended in '\r\n', '\r' or '\n'.
 * @param name of the file in errors
 * @throws FormatError for another encoding, naming the line
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  const mark = MARKS.find(({ bytes: start }) => start.every((byte, k) => bytes[k] === byte));
  try {
    const text = new TextDecoder(mark?.encoding ?? 'utf-8', { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return text.replace(/\r\n?/g, '\n');
  } catch (cause) {
    throw new FormatError(`${name}, ${wrongLine(bytes)}: not UTF-8; save the file as UTF-8`, { cause });
  }
  const what = bytes.length % 2 === 0 && !mark ? 'looks like UTF-16 without a byte order mark' : 'holds a zero byte';
  throw new FormatError(`${name}: not a text file in UTF-8, for it ${what}; save the file as UTF-8`);
}

/** "line 3" of the first line that is no UTF-8. */
function wrongLine(bytes: Uint8Array): string {
  let line = 1;
  for (let from = 0; from < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, from);
    const to = end < 0 ? bytes.length : end;
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(from, to));
    } catch {
      break;
    }
    from = to + 1;
  }
  return `line ${line}`;
}

/**
 * A file's name or path in a form for comparison: '/' between its parts, no '.' parts, and composed letters (NFC), because
 * systems differ in all three. Names that look the same to a user become the same.
 */
export function comparablePath(path: string): string {
  const parts = path.normalize('NFC').replaceAll('\\', '/').split('/');
  const kept = parts.filter((part, k) => (part !== '' || k === 0) && part !== '.');
  return kept.join('/');
}

/** Characters that a terminal obeys, or does not show. */
const UNSEEN = /\p{C}/gu;

/** A text in quotation marks, in which characters that a terminal obeys or does not show are written as numbers. */
export const quoted = (text: string): string =>
  JSON.stringify(text).replace(UNSEEN, (letter) => `\\u{${letter.codePointAt(0)!.toString(16)}}`);

/** A name for people to read: as it is, or `quoted` if a terminal would obey or not show a part of it. */
export const shownName = (name: string): string => (name.search(UNSEEN) < 0 ? name : quoted(name));
