import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { expectKind, readWeights, weightsPath } from '../../src/cli/weights.js';
import { FaceCodec } from '../../src/codec/face-codec.js';
import { writeFileAtomic } from '../../src/data/files/atomic-file.js';
import { FACE_TEMPLATE, type FaceLandmarks } from '../../src/detection/align.js';
import { openGpu } from '../../src/gpu/node/adapters.js';
import { inventSymbols } from '../../web/invented-symbols.js';

/*
 * tsx kernels-test/web/invented-faces.ts: writes invented-faces.png, a "photograph" of three persons who do not exist, which may
 * therefore be shown in pictures of the demo page. The codec made their faces from random symbols.
 */

export const INVENTED_PHOTO = fileURLToPath(new URL('invented-faces.png', import.meta.url));

const [WIDTH, HEIGHT] = [640, 400];
/** Pixels of the picture per pixel of the aligned face. */
const SCALE = 1.75;
const PLACES: readonly [x: number, y: number][] = [
  [30, 150],
  [235, 90],
  [440, 140],
];

/** The landmarks of the faces in the picture. */
export const INVENTED_LANDMARKS: readonly FaceLandmarks[] = PLACES.map(([left, top]) => {
  const at = (k: number): [number, number] => [
    left + SCALE * (FACE_TEMPLATE[k][0] + 0.5) - 0.5,
    top + SCALE * (FACE_TEMPLATE[k][1] + 0.5) - 0.5,
  ];
  return [at(0), at(1), at(2), at(3), at(4)];
});

const SEEDS = [12, 6, 3];

async function write(): Promise<void> {
  const gpu = await openGpu();
  const { file } = expectKind(await readWeights(weightsPath(undefined, 'codec')), 'codec');
  const codec = FaceCodec.fromKlt(gpu, file);
  const faces = await codec.restore(inventSymbols(codec, file.tensors, SEEDS));
  const { width, height } = codec.faceSize;
  const size = { width: Math.round(SCALE * width), height: Math.round(SCALE * height) };
  const soft = Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}"><radialGradient id="g"><stop offset="0.75" stop-color="#fff"/><stop offset="1" stop-color="#fff" stop-opacity="0"/></radialGradient><rect width="100%" height="100%" fill="url(#g)"/></svg>`,
  );
  const cut = await Promise.all(
    faces.map((face) =>
      sharp(Buffer.from(face), { raw: { width, height, channels: 3 } })
        .resize(size.width, size.height, { kernel: 'cubic' })
        .composite([{ input: soft, blend: 'dest-in' }])
        .png()
        .toBuffer(),
    ),
  );
  const wall = Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}"><linearGradient id="g" x2="0" y2="1"><stop stop-color="#9db4c0"/><stop offset="1" stop-color="#5c6b73"/></linearGradient><rect width="100%" height="100%" fill="url(#g)"/></svg>`,
  );
  const picture = sharp(wall).composite(cut.map((input, k) => ({ input, left: PLACES[k][0], top: PLACES[k][1] })));
  await writeFileAtomic(INVENTED_PHOTO, await picture.removeAlpha().png({ palette: false }).toBuffer());
  codec.dispose();
  gpu.destroy();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await write();
