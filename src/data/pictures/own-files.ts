import { crc32 } from '../../codec/crc32.js';
import { chunksAtHead, IHDR_END } from '../../codec/png/chunks.js';
import { isCompactPng } from '../../codec/png/container.js';
import { openRegularFile } from '../files/read-file.js';

/** A file that Cameo itself wrote: a compact file or archive, or a picture (restored, or of several faces). */
export type OwnFile = 'compact' | 'picture';

/** Keyword of the text chunk that says so in a picture. */
const KEYWORD = 'Cameo';
/** The chunks that say so are in the first bytes. */
export const OWN_FILE_HEAD_BYTES = 1024;
/** Of containers other than PNG. */
const MAGIC = /* @__PURE__ */ Uint8Array.of(0x9e, 0x43, 0x4d);

const begins = (bytes: Uint8Array, start: Uint8Array): boolean => start.every((byte, k) => bytes[k] === byte);
const latin = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/**
 * A PNG with a text that says that Cameo made it, so that it is not taken for an original later.
 * @param png as `encodePng` makes it
 * @param text Latin letters
 */
export function markPng(png: Uint8Array, text: string): Uint8Array {
  const data = Uint8Array.from(`tEXt${KEYWORD}\0${text}`, (letter) => letter.charCodeAt(0));
  const chunk = new Uint8Array(data.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length - 4);
  chunk.set(data, 4);
  view.setUint32(data.length + 4, crc32(data));
  const marked = new Uint8Array(png.length + chunk.length);
  marked.set(png.subarray(0, IHDR_END));
  marked.set(chunk, IHDR_END);
  marked.set(png.subarray(IHDR_END), IHDR_END + chunk.length);
  return marked;
}

/**
 * Whether Cameo wrote a file, by its content, or for a PNG that does not say so, by its name.
 * @param head its first bytes, `OWN_FILE_HEAD_BYTES` where there are as many
 */
export function ownFileOf(head: Uint8Array, name: string): OwnFile | undefined {
  if (begins(head, MAGIC) || isCompactPng(head)) return 'compact';
  for (const { type, at } of chunksAtHead(head)) {
    if (type === 'tEXt' && latin(head.subarray(at + 8, at + 9 + KEYWORD.length)) === `${KEYWORD}\0`) return 'picture';
  }
  if (/\.cameo\.png$/i.test(name)) return 'compact';
  return /\.decoded\.png$/i.test(name) ? 'picture' : undefined;
}

/** As `ownFileOf`, for a file; undefined if it cannot be read, which a later read will report. */
export async function ownFileAt(path: string): Promise<OwnFile | undefined> {
  const opened = await openRegularFile(path).catch(() => undefined);
  if (!opened) return undefined;
  try {
    const head = new Uint8Array(OWN_FILE_HEAD_BYTES);
    const { bytesRead } = await opened.file.read(head, 0, OWN_FILE_HEAD_BYTES, 0);
    return ownFileOf(head.subarray(0, bytesRead), path);
  } catch {
    return undefined;
  } finally {
    await opened.file.close();
  }
}

/** Whether Cameo wrote this file of a folder: all that it writes there and that could be read as pictures are PNGs. */
export const isOwnPicture = async (path: string): Promise<boolean> =>
  /\.png$/i.test(path) && (await ownFileAt(path)) !== undefined;
