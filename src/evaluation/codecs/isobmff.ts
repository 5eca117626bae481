import { FormatError } from '../../common/errors.js';

/**
 * Bytes of the media data (`mdat`) in a file of boxes (ISO/IEC 14496-12), each of which starts with its length and
 * four letters. In an AVIF file that holds one picture, this is the AV1 picture itself.
 * @throws FormatError when the boxes do not fill the file, or none is `mdat`
 */
export function mediaDataBytes(file: Uint8Array): number {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let total = 0;
  for (let at = 0; at < file.length; ) {
    // A length of 0 means: to the end of the file; of 1: eight bytes of length follow, which no small file needs.
    const length = at + 8 <= file.length ? view.getUint32(at) || file.length - at : 0;
    if (length < 8 || at + length > file.length) {
      throw new FormatError(
        `a box at byte ${at} of ${file.length} is ${length} bytes; expected 8 at least, within the file`,
      );
    }
    if (String.fromCharCode(...file.subarray(at + 4, at + 8)) === 'mdat') total += length - 8;
    at += length;
  }
  if (total === 0) throw new FormatError('the file has no media data (mdat)');
  return total;
}
