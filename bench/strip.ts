import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { INVENTED_LANDMARKS, INVENTED_PHOTO } from '../kernels-test/web/invented-faces.js';
import { expectKind, readWeights, weightsPath } from '../src/cli/weights.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import type { RgbImage } from '../src/common/rgb-image.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { alignFace } from '../src/detection/align.js';
import type { ForeignCodec } from '../src/evaluation/codecs/foreign-codec.js';
import { JPEG } from '../src/evaluation/codecs/jpeg.js';
import { WEBP } from '../src/evaluation/codecs/webp.js';
import { type ContactSheetCell, type ContactSheetRow, contactSheet } from '../src/evaluation/reports/contact-sheet.js';
import { openGpu } from '../src/gpu/node/adapters.js';

/*
 * npx tsx bench/strip.ts: writes results/strip.png for the README, which shows two faces at 60 to 500 bytes by Cameo, WebP and JPEG.
 * The persons do not exist: the codec has invented their faces, and their "photograph" was made from these.
 */

const BUDGETS = [60, 150, 300, 500];
const FACES = [0, 1];
const OUT = fileURLToPath(new URL('../results/strip.png', import.meta.url));

const sizeOf = (bytes: number): string => `${bytes} B`;

/** The cell for a budget at which a codec makes no file. */
const noFile = ({ width, height }: RgbImage): ContactSheetCell => ({
  image: { width, height, data: new Uint8Array(3 * width * height).fill(225) },
  caption: 'no file',
});

/** A face as another codec restores it, at each budget. */
async function byOther(codec: ForeignCodec, face: RgbImage): Promise<ContactSheetCell[]> {
  const cells: ContactSheetCell[] = [];
  for (const budget of BUDGETS) {
    const encoding = await codec.encode(face.data, face.width, face.height, budget);
    const { width, height } = face;
    cells.push(
      encoding ? { image: { width, height, data: encoding.rgb }, caption: sizeOf(encoding.size) } : noFile(face),
    );
  }
  return cells;
}

/** A face as Cameo restores it, at each budget. */
async function byCameo(codec: FaceCodec, { width, height, data }: RgbImage): Promise<ContactSheetCell[]> {
  const cells: ContactSheetCell[] = [];
  for (const maxBytes of BUDGETS) {
    const [file] = await codec.encode([data], { maxBytes }, 'bare');
    const [restored] = await codec.decode([file]);
    cells.push({ image: { width, height, data: restored }, caption: sizeOf(file.length) });
  }
  return cells;
}

const { data, info } = await sharp(INVENTED_PHOTO).removeAlpha().raw().toBuffer({ resolveWithObject: true });
const photo: RgbImage = { width: info.width, height: info.height, data: new Uint8Array(data) };
const gpu = await openGpu();
const codec = FaceCodec.fromKlt(gpu, expectKind(await readWeights(weightsPath(undefined, 'codec')), 'codec').file, 1);
const rows: ContactSheetRow[] = [];
for (const k of FACES) {
  const face = alignFace(photo, INVENTED_LANDMARKS[k]);
  const original = { image: face, caption: sizeOf(face.data.length) };
  rows.push({ caption: 'Cameo', cells: [original, ...(await byCameo(codec, face))] });
  for (const other of [WEBP, JPEG]) {
    rows.push({ caption: other.title, cells: [undefined, ...(await byOther(other, face))] });
  }
}
codec.dispose();
gpu.destroy();
const columns = ['original', ...BUDGETS.map(sizeOf)];
const sheet = contactSheet({ columns, rows, scale: 1, rowsAcross: FACES.length });
const raw = { width: sheet.width, height: sheet.height, channels: 3 as const };
const png = await sharp(sheet.data, { raw }).png({ palette: true, quality: 100, effort: 10 }).toBuffer();
await writeFileAtomic(OUT, png);
for (const { caption, cells } of rows) console.log(caption, cells.map((cell) => cell?.caption ?? '').join(' | '));
console.log(`${join('results', 'strip.png')}: ${sheet.width}×${sheet.height}, ${png.length} bytes`);
