import { ImageError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { byId, elementWithin } from './dom.js';
import type { PageDetector } from './find-faces.js';
import { LiveFaces } from './live-faces.js';
import { fromSource } from './picture.js';

const REASONS: Record<string, string> = {
  NotAllowedError: 'the page may not use it: allow it in the browser, and press again',
  NotFoundError: 'none was found',
  NotReadableError: 'another program is using it',
};
/** Milliseconds between two frames that are searched. */
const PAUSE = 60;

/** The open dialog. */
interface CameraView {
  dialog: HTMLDialogElement;
  video: HTMLVideoElement;
  take: HTMLButtonElement;
}

/**
 * Takes a picture of a face with the camera. Until it is taken, the faces in view are marked.
 * @returns null where the user went away
 * @throws ImageError where there is no camera, or none may be used
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
 * Shows what lies before the camera, such as a card with a code, until `look` makes something of a frame.
 * @returns null where the user went away
 * @throws ImageError where there is no camera, or none may be used
 */
export function searchFrames<T>(title: string, look: (frame: RgbImage) => T | null): Promise<T | null> {
  return withCamera<T>(title, 'environment', ({ video }, done) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const search = (): void => {
      const found = look(frameOf(video));
      if (found === null) timer = setTimeout(search, PAUSE);
      else done(found);
    };
    search();
    return () => clearTimeout(timer);
  });
}

/**
 * Shows the camera in a dialog.
 * @param facing 'user' for a face, 'environment' for a code on a card
 * @param begin is called once there is a picture; it calls `done` to end, and returns what stops it
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
  take.disabled = true; // until there is a picture
  dialog.classList.toggle('mirrored', facing === 'user');
  video.srcObject = stream;
  dialog.showModal();
  let stop = (): void => {};
  try {
    await video.play();
    return await new Promise<T | null>((resolve, reject) => {
      dialog.onclose = () => resolve(null);
      if (!dialog.open) resolve(null); // closed before the camera had begun
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
