import { isFaceFile } from '../src/codec/container/face-file.js';
import type { FaceCodec } from '../src/codec/face-codec.js';
import { CameoError, FormatError } from '../src/common/errors.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { NoCodeError, readQr } from '../src/data/pictures/qr-code.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../src/detection/align.js';
import type { DeviceKeeper } from '../src/gpu/device-keeper.js';
import { searchFrames } from './camera.js';
import { byId, explain, showText } from './dom.js';
import { onChoice, onDrop } from './drop-zone.js';
import { codecOn } from './models.js';
import { readPicture, show } from './picture.js';

/** Milliseconds for a code in a picture, and in a frame of the camera, after which there is another one. */
const PATIENCE = { picture: 3000, frame: 30 };
/** No container of one face is larger: larger files are pictures. */
const MAX_BYTES = 70_000;

interface Found {
  bytes: Uint8Array;
  from: string;
}

/** The compact bytes in a file: it is one itself, or a picture of a QR code. */
async function compactIn(file: File): Promise<Found> {
  if (file.size <= MAX_BYTES) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (isFaceFile(bytes)) return { bytes, from: `${file.name}, a file` };
    if (file.name.endsWith('.bare')) return { bytes, from: `${file.name}, a bare file` };
    if (file.name.endsWith('.cameo')) {
      throw new FormatError(`${file.name}: not a face file: it does not begin with 9E "CMF"`);
    }
  }
  const picture = await readPicture(file, file.name);
  return { bytes: inPicture(picture, PATIENCE.picture, file.name), from: `the QR code in ${file.name}` };
}

function inPicture(picture: RgbImage, patience: number, name: string): Uint8Array {
  try {
    return readQr(picture, patience);
  } catch (error) {
    if (error instanceof NoCodeError) throw new NoCodeError(`${name}: ${error.message}`);
    throw error;
  }
}

/** A code of some other kind may come before the camera too: only one that holds a face ends the search. */
function faceInFrame(frame: RgbImage, codec: FaceCodec): Found | null {
  try {
    const bytes = readQr(frame, PATIENCE.frame);
    codec.unpack(bytes);
    return { bytes, from: 'the QR code before the camera' };
  } catch (error) {
    if (error instanceof CameoError) return null;
    throw error;
  }
}

/** Reads faces back: from files, pictures of QR codes, and the camera. */
export function startReading(device: DeviceKeeper): void {
  let reads = 0;
  const read = async (find: () => Promise<Found | null>): Promise<void> => {
    const own = ++reads;
    showText(byId('read-problem'), '');
    byId('read-place').hidden = true;
    const status = byId('read-status'); // never hidden, or its first text would not be read aloud
    status.textContent = 'Reading…';
    try {
      const found = await find();
      if (own !== reads) return;
      status.textContent = '';
      if (!found) return;
      const [face] = await device.run(async (gpu) => (await codecOn(gpu)).decode([found.bytes]));
      if (own !== reads) return;
      show(byId<HTMLCanvasElement>('read-face'), { width: FACE_WIDTH, height: FACE_HEIGHT, data: face });
      byId('read-place').hidden = false;
      status.textContent = `Restored from ${found.from}: ${found.bytes.length} bytes.`;
    } catch (error) {
      if (own !== reads) return;
      status.textContent = '';
      showText(byId('read-problem'), explain(error));
    }
  };
  onChoice(byId<HTMLInputElement>('read-file'), ([file]) => void read(() => compactIn(file)));
  onDrop(byId('read'), ([file]) => void read(() => compactIn(file)));
  byId('read-camera').addEventListener('click', () => {
    void read(async () => {
      const codec = await codecOn(await device.open());
      return searchFrames('Hold the QR code before the camera', (frame) => faceInFrame(frame, codec));
    });
  });
}
