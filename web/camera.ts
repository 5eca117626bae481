import { ImageError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { byId, elementWithin } from './dom.js';
import { fromSource } from './picture.js';

const REASONS: Record<string, string> = {
  NotAllowedError: 'the page may not use it: allow it in the browser, and press again',
  NotFoundError: 'none was found',
  NotReadableError: 'another program is using it',
};

/**
 * Shows the camera in a dialog.
 * @param facing 'user' for a face, 'environment' for a code on a card
 * @param look is shown every frame until it makes something of one; without it, the frame at the press of the button counts
 * @returns null where the user went away
 * @throws ImageError where there is no camera, or none may be used
 */
export async function fromCamera<T = RgbImage>(
  title: string,
  facing: 'user' | 'environment',
  look?: (frame: RgbImage) => T | null,
): Promise<T | RgbImage | null> {
  if (!navigator.mediaDevices)
    throw new ImageError('this browser gives no camera to a page that is not on https or localhost');
  const stream = await navigator.mediaDevices
    .getUserMedia({ video: { facingMode: facing, width: { ideal: 1280 }, height: { ideal: 960 } } })
    .catch((cause: Error) => {
      throw new ImageError(`the camera cannot be used: ${REASONS[cause.name] ?? cause.message}`, { cause });
    });
  const dialog = byId<HTMLDialogElement>('camera');
  const video = elementWithin<HTMLVideoElement>(dialog, 'video');
  const take = elementWithin<HTMLButtonElement>(dialog, '.take');
  elementWithin(dialog, 'h2').textContent = title;
  take.hidden = look !== undefined;
  take.disabled = true; // until there is a picture
  video.classList.toggle('mirrored', facing === 'user');
  video.srcObject = stream;
  dialog.showModal();
  try {
    await video.play();
    take.disabled = false;
    return await new Promise<T | RgbImage | null>((resolve) => {
      dialog.onclose = () => resolve(null);
      if (!dialog.open) resolve(null); // closed before the camera had begun
      take.onclick = () => resolve(frameOf(video));
      if (!look) return;
      const search = (): void => {
        if (!dialog.open) return;
        const found = look(frameOf(video));
        if (found === null) setTimeout(search, 60);
        else resolve(found);
      };
      search();
    });
  } finally {
    dialog.onclose = null;
    take.onclick = null;
    dialog.close();
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}

const frameOf = (video: HTMLVideoElement): RgbImage => fromSource(video, video.videoWidth, video.videoHeight);
