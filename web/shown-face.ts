import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { fromBase64 } from './base64.js';
import { fromSource } from './picture.js';

/** The face that the page opens with, in base64 of either container; the build packs it. */
declare const INVENTED_FACE: { readonly file: string; readonly bare: string };

/** Where the face that is shown comes from: the codec invented it, a photograph shows it, or a link brought it. */
export type ShownFace =
  | { from: 'invented'; original: Uint8Array; name: string }
  | { from: 'photograph'; original: Uint8Array; name: string }
  | { from: 'link'; bytes: Uint8Array; name: string };

/** Bytes of the first face as a file, and so the budget that it was made with. */
export const inventedFile = (): Uint8Array => fromBase64(INVENTED_FACE.file)!;
export const inventedBare = (): Uint8Array => fromBase64(INVENTED_FACE.bare)!;

/** The picture of the first face, which the page shows before any script runs. @throws Error where it cannot be loaded */
export async function inventedOriginal(image: HTMLImageElement): Promise<Uint8Array> {
  await image.decode();
  return fromSource(image, FACE_WIDTH, FACE_HEIGHT).data;
}

/** What the page says of each kind of face. */
export const WORDS: Readonly<Record<ShownFace['from'], { kind: string; note: string }>> = {
  invented: {
    kind: 'An invented face',
    note: 'This person does not exist: the codec has drawn the face from its own tables. Yours is a photograph away.',
  },
  photograph: { kind: 'Your photograph', note: 'The picture stays on this device.' },
  link: {
    kind: 'A face that came with the link',
    note: 'All of it is in the address of this page; there is no original to compare it with.',
  },
};
