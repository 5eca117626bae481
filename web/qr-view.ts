import { qrModules, qrPicture } from '../src/data/pictures/qr-code.js';
import { byId, offer, showText } from './dom.js';
import { show, toFile } from './picture.js';

/** Pixels a module: screens and printers scale whole modules well. */
const SCALE = 6;

/** Shows bytes as a QR code, and offers it as a picture. */
export async function showQr(bytes: Uint8Array, name: string): Promise<void> {
  const modules = qrModules(bytes);
  const picture = qrPicture(modules, SCALE);
  const canvas = byId<HTMLCanvasElement>('qr');
  show(canvas, picture);
  const side = modules.length - 8;
  canvas.setAttribute(
    'aria-label',
    `QR code of ${side} by ${side} modules that holds the face in ${bytes.length} bytes`,
  );
  showText(
    byId('qr-caption'),
    `${bytes.length} bytes in the bare container, ${side}×${side} modules, error correction M.`,
  );
  offer(byId<HTMLAnchorElement>('qr-download'), await toFile(picture, 'image/png'), `${name}-qr.png`);
  byId('qr-place').hidden = false;
}
