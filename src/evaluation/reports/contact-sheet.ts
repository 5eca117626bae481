import { ArgumentError } from '../../common/errors.js';
import { checkImage, type RgbImage } from '../../data/pictures/image.js';
import { GLYPH_ADVANCE, GLYPH_HEIGHT, textLength, textPixels } from './bitmap-font.js';

export interface ContactSheetCell {
  image: RgbImage;
  caption?: string;
}

export interface ContactSheetRow {
  /** stands above the row */
  caption?: string;
  /** one for each column; undefined leaves a gap */
  cells: readonly (ContactSheetCell | undefined)[];
}

export interface ContactSheetOptions {
  title?: string;
  /** headings: for instance original, Cameo, JPEG, JPEG2000 */
  columns: readonly string[];
  rows: readonly ContactSheetRow[];
  /** integer by which pictures are enlarged, each pixel to a square; 2 when absent */
  scale?: number;
  /** how many rows stand side by side; 1 when absent */
  rowsAcross?: number;
}

type Colour = readonly [number, number, number];

const PAPER: Colour = [250, 250, 250];
const INK: Colour = [20, 20, 20];
const FAINT: Colour = [95, 95, 95];
const GAP = 8;
const TEXT_SCALE = 2;
const LINE = (GLYPH_HEIGHT + 3) * TEXT_SCALE;

/**
 * Pictures in rows and columns with headings and captions, as one picture. Captions that are too long for their place
 * end in dots.
 *
 * @throws ArgumentError for no rows or columns, a row with another number of cells, or a scale that is no integer ≥ 1
 */
export function contactSheet(options: ContactSheetOptions): RgbImage {
  const { title, columns, rows, scale = 2, rowsAcross = 1 } = options;
  checkOptions(columns, rows, scale, rowsAcross);

  const cellWidth = scale * Math.max(...images(rows).map((image) => image.width));
  const cellHeight = scale * Math.max(...images(rows).map((image) => image.height));
  const hasCaption = rows.some(({ cells }) => cells.some((cell) => cell?.caption));
  const hasRowCaption = rows.some(({ caption }) => caption);
  const rowHeight = (hasRowCaption ? LINE : 0) + cellHeight + (hasCaption ? LINE : 0) + GAP;
  const groupWidth = columns.length * (cellWidth + GAP);
  const groups = Math.min(rowsAcross, rows.length);
  const rowsDown = Math.ceil(rows.length / groups);
  const head = GAP + (title ? LINE : 0) + LINE;

  const sheet = blank(GAP + groups * (groupWidth + GAP) - GAP, head + rowsDown * rowHeight);
  if (title) drawText(sheet, title, GAP, GAP, sheet.width - 2 * GAP, INK);
  for (let group = 0; group < groups; group++) {
    const left = GAP + group * (groupWidth + GAP);
    columns.forEach((name, i) => {
      drawText(sheet, name, left + i * (cellWidth + GAP), head - LINE, cellWidth, INK);
    });
  }
  rows.forEach((row, at) => {
    const left = GAP + Math.floor(at / rowsDown) * (groupWidth + GAP);
    let y = head + (at % rowsDown) * rowHeight;
    if (hasRowCaption) {
      drawText(sheet, row.caption ?? '', left, y, groupWidth - GAP, FAINT);
      y += LINE;
    }
    row.cells.forEach((cell, i) => {
      if (!cell) return;
      const x = left + i * (cellWidth + GAP);
      drawImage(sheet, cell.image, x, y, scale);
      drawText(sheet, cell.caption ?? '', x, y + cellHeight + 4, cellWidth, FAINT);
    });
  });
  return sheet;
}

function images(rows: readonly ContactSheetRow[]): RgbImage[] {
  return rows.flatMap(({ cells }) => cells.flatMap((cell) => (cell ? [cell.image] : [])));
}

function checkOptions(
  columns: readonly string[],
  rows: readonly ContactSheetRow[],
  scale: number,
  rowsAcross: number,
): void {
  if (columns.length === 0) throw new ArgumentError('contactSheet: no columns; expected at least one');
  for (const [name, value] of Object.entries({ scale, rowsAcross })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new ArgumentError(`contactSheet: ${name} is ${value}; expected a positive integer`);
    }
  }
  rows.forEach(({ cells }, i) => {
    if (cells.length !== columns.length) {
      throw new ArgumentError(`contactSheet: row ${i} has ${cells.length} cells; expected ${columns.length}`);
    }
  });
  const all = images(rows);
  if (all.length === 0) throw new ArgumentError('contactSheet: no pictures; expected at least one');
  all.forEach(checkImage);
}

function blank(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  const row = data.subarray(0, 3 * width);
  for (let i = 0; i < row.length; i += 3) row.set(PAPER, i);
  for (let y = 1; y < height; y++) data.set(row, y * row.length);
  return { width, height, data };
}

function drawImage(sheet: RgbImage, image: RgbImage, left: number, top: number, scale: number): void {
  for (let y = 0; y < image.height * scale; y++) {
    const row = Math.floor(y / scale) * image.width;
    for (let x = 0; x < image.width * scale; x++) {
      const from = (row + Math.floor(x / scale)) * 3;
      const to = ((top + y) * sheet.width + left + x) * 3;
      for (let c = 0; c < 3; c++) sheet.data[to + c] = image.data[from + c];
    }
  }
}

function drawText(sheet: RgbImage, text: string, left: number, top: number, width: number, colour: Colour): void {
  const fits = Math.floor((width + TEXT_SCALE) / (GLYPH_ADVANCE * TEXT_SCALE));
  for (const [x, y] of textPixels(shorten(text, fits))) {
    for (let j = 0; j < TEXT_SCALE; j++) {
      for (let i = 0; i < TEXT_SCALE; i++) {
        const at = (top + y * TEXT_SCALE + j) * sheet.width + left + x * TEXT_SCALE + i;
        sheet.data.set(colour, at * 3);
      }
    }
  }
}

function shorten(text: string, length: number): string {
  if (textLength(text) <= length) return text;
  let kept = text;
  while (kept !== '' && textLength(kept) + 2 > length) kept = [...kept].slice(0, -1).join('');
  return length >= 3 ? `${kept}..` : '';
}
