import { ImageError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { byId, elementWithin } from './dom.js';
import type { PageDetector } from './find-faces.js';
import { LiveFaces } from './live-faces.js';
import { fromSource } from './picture.js';

const REASONS: Record<string, string> = {
  NotAllowedError: 'the page may not use it; allow it in the browser, and try again',
  NotFoundError: 'none was found',
  NotReadableError: 'another program is using it',
};
/** Milliseconds between the searches of two frames. */
const PAUSE_MS = 60;

/** The dialog of the camera, while it is open. */
interface CameraView {
  dialog: HTMLDialogElement;
  video: HTMLVideoElement;
  take: HTMLButtonElement;
}

/**
 * Takes a picture of a face with the camera. Until the user takes it, the faces in view are marked.
 * @returns null if the user closes the dialog
 * @throws ImageError if there is no camera, or the page may not use one
 */
export function takePhoto(title: string, detector: PageDetector): Promise<RgbImage | null> {
  return withCamera<RgbImage>(title, 'user', ({ dialog, video, take }, done) => {
    take.hidden = take.disabled = false;
    take.onclick = () => done(frameOf(video));
    const live = new LiveFaces(
      detector,
      video,
      elementWithin<SVGSVGElement & HTMLElement>(dialog, '.marks'),
      elementWithin(dialog, '.in-view'),
    );
    live.start();
    return () => {
      take.onclick = null;
      live.stop();
    };
  });
}

/**
 * Shows the camera, which the user points at something such as a card with a QR code. Ends when `read` gets a result from a frame.
 * @param read returns null for a frame without a result
 * @returns null if the user closes the dialog
 * @throws ImageError if there is no camera, or the page may not use one
 */
export function searchFrames<T>(title: string, read: (frame: RgbImage) => T | null): Promise<T | null> {
  return withCamera<T>(title, 'environment', ({ video }, done) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const search = (): void => {
      const result = read(frameOf(video));
      if (result === null) timer = setTimeout(search, PAUSE_MS);
      else done(result);
    };
    search();
    return () => clearTimeout(timer);
  });
}

/**
 * Shows the camera in a dialog.
 * @param facing 'user' for a face, 'environment' for a code on a card
 * @param begin is called when the video plays. It calls `done` with the result, and returns a function that stops it
 */
async function withCamera<T>(
  title: string,
  facing: 'user' | 'environment',
  begin: (view: CameraView, done: (result: T) => void) => () => void,
): Promise<T | null> {
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
  take.hidden = facing === 'environment';
  take.disabled = true; // until the video plays
  dialog.classList.toggle('mirrored', facing === 'user');
  video.srcObject = stream;
  dialog.showModal();
  let stop = (): void => {};
  try {
    await video.play();
    return await new Promise<T | null>((resolve, reject) => {
      dialog.onclose = () => resolve(null);
      if (!dialog.open) resolve(null); // the user closed it before the video played
      const ended = (): void => reject(new ImageError('the camera has stopped: was it unplugged?'));
      for (const track of stream.getTracks()) track.onended = ended;
      stop = begin({ dialog, video, take }, resolve);
    });
  } finally {
    stop();
    dialog.onclose = null;
    dialog.close();
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}

const frameOf = (video: HTMLVideoElement): RgbImage => fromSource(video, video.videoWidth, video.videoHeight);
