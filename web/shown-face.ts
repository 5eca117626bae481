import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import { fromBase64 } from './base64.js';
import { fromSource } from './picture.js';

/** The face that the page opens with, as a file and as a bare face, both in base64. The build replaces the name by the value. */
declare const INVENTED_FACE: { readonly file: string; readonly bare: string };

/** The face that is shown: invented by the codec, from a photograph, or from a link. */
export type ShownFace =
  | { from: 'invented'; original: Uint8Array; name: string }
  | { from: 'photograph'; original: Uint8Array; name: string }
  | { from: 'link'; bytes: Uint8Array; name: string };

/** The first face as a file. */
export const inventedFile = (): Uint8Array => fromBase64(INVENTED_FACE.file)!;
/** The first face as a bare face. */
export const inventedBare = (): Uint8Array => fromBase64(INVENTED_FACE.bare)!;

/** The picture of the first face, which the page shows before any script runs. @throws Error if it cannot be loaded */
export async function inventedOriginal(image: HTMLImageElement): Promise<Uint8Array> {
  await image.decode();
  return fromSource(image, FACE_WIDTH, FACE_HEIGHT).data;
}

/** The texts that the page shows for each kind of face. */
export const FACE_TEXTS: Readonly<Record<ShownFace['from'], { kind: string; note: string }>> = {
  invented: {
    kind: 'An invented face',
    note: 'This person does not exist: the codec made the face at random, from its own tables. Choose a photograph to see yours.',
  },
  photograph: { kind: 'Your photograph', note: 'The picture stays on this device.' },
  link: {
    kind: 'A face that came with the link',
    note: 'The address of this page contains the whole face. There is no original to compare it with.',
  },
};
