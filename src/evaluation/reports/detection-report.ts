import type { RgbImage } from '../../common/rgb-image.js';
import type { DetectedFace } from '../../detection/face-detector.js';
import type { DetectionFigures } from '../quality/measure-detection.js';
import { contactSheet } from './contact-sheet.js';
import { drawFaces } from './draw-faces.js';
import type { ReportTable } from './html-report.js';
import { percent } from './percent.js';
import { listLines, metadataTexts, type RunMetadata } from './run-metadata.js';
import { markdownTable } from './tables.js';

/** The results of `cameo evaluate detection`. */
export interface DetectionReport extends RunMetadata {
  detector: { file: string; id: string };
  options: { minFace: number | null; threshold: number | null };
  /** Of the photographs. */
  split: string;
  /** Minimum score of the label, and minimum size in pixels, of faces that count. */
  counting: { score: number; pixels: number };
  processors: number;
  load: number;
  figures: readonly DetectionFigures[];
}

const rate = (part: number, whole: number): string => (whole > 0 ? percent(part / whole, 2) : '–');

/** A row for each kind of pictures. */
export const detectionTable = ({ figures }: Pick<DetectionReport, 'figures'>): ReportTable => ({
  title: 'Faces found',
  columns: [
    'pictures',
    'number',
    'faces',
    'recall',
    'precision',
    'false, a picture',
    'NME',
    'median',
    '95 %',
    'ms',
    'fast',
  ],
  rows: figures.map(({ name, pictures, faces, found, wrong, nme, milliseconds }) => [
    name,
    pictures,
    faces,
    rate(found, faces),
    rate(found, found + wrong),
    (wrong / pictures).toFixed(3),
    ...(nme ? [nme.mean, nme.median, nme.high].map((value) => percent(value, 2)) : ['–', '–', '–']),
    milliseconds.median.toFixed(0),
    milliseconds.fast.toFixed(0),
  ]),
  note:
    'NME: distance of the five landmarks from those given, over the distance of the eyes; mean, median and 95th percentile. ' +
    'ms: time of a picture, median and fastest tenth.',
});

export function detectionReportMarkdown(report: DetectionReport): string {
  const { detector, options, split, counting, processors, load } = report;
  const { minFace, threshold } = options;
  return `${[
    '# Detection of faces',
    listLines([
      ...metadataTexts(report),
      `Detector: \`${detector.file}\`, id ${detector.id}`,
      `Looked for: faces from ${minFace ?? 'the usual number of'} pixels, with ${threshold === null ? 'the usual score' : `a score of ${threshold}`}`,
      `${processors} processors, load average ${load.toFixed(1)} at the end`,
    ]),
    `Photographs are those of split ${split}. Their labels are a published detector's: faces count that it gave a score of ` +
      `at least ${counting.score} and at least ${counting.pixels} pixels across; what finds another one of its faces is neither right nor wrong. ` +
      'A face is found where boxes overlap by half of both together. Some false finds are faces that the labels miss. ' +
      'The variants look for the largest face of each photograph alone. On LFW a face is found where its landmarks are on average at most 0.25 of ' +
      'the distance of the eyes from those given, and what else is found counts as false, though people stand in the background.',
    markdownTable(detectionTable(report)),
  ].join('\n\n')}\n`;
}

/** A picture in which the detector did poorly. */
export interface PoorPicture {
  name: string;
  image: RgbImage;
  detected: readonly DetectedFace[];
  /** The larger, the worse. */
  badness: number;
}

/** Sides of the pictures on a sheet. */
const CELL = 240;

/** Pictures with the faces found in them, the worst first. @returns null for none */
export function sheetOfWorst(pictures: readonly PoorPicture[], title: string): RgbImage | null {
  if (pictures.length === 0) return null;
  const cells = [...pictures]
    .sort((a, b) => b.badness - a.badness)
    .map(({ name, image, detected }) => {
      const faces = detected.map((face) => ({ ...face, label: face.score.toFixed(2) }));
      return { image: fitted(drawFaces(image, faces), CELL), caption: name };
    });
  const across = 6;
  const rows = Array.from({ length: Math.ceil(cells.length / across) }, (_, row) => ({
    cells: Array.from({ length: across }, (_, column) => cells[row * across + column]),
  }));
  return contactSheet({ title, columns: new Array<string>(across).fill(''), rows, scale: 1 });
}

/** The picture in a square of this side; a larger picture is subsampled. */
function fitted({ width, height, data }: RgbImage, side: number): RgbImage {
  const step = Math.max(1, Math.max(width, height) / side);
  const out = new Uint8Array(side * side * 3).fill(250);
  for (let y = 0; y < side && y * step < height; y++) {
    for (let x = 0; x < side && x * step < width; x++) {
      const from = 3 * (Math.floor(y * step) * width + Math.floor(x * step));
      out.set(data.subarray(from, from + 3), 3 * (y * side + x));
    }
  }
  return { width: side, height: side, data: out };
}
