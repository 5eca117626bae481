import type { RgbImage } from '../../data/pictures/image.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import { DEMO_BASELINES, type DemoRun } from '../quality/demo-evaluation.js';
import { CODEC_TITLES, type Score } from '../quality/face-scores.js';
import { summarise } from '../quality/summary.js';
import { meansTable, rateDistortionPlot } from './codec-tables.js';
import { contactSheet } from './contact-sheet.js';
import { htmlReport, type ReportTable } from './html-report.js';

const picture = (data: Uint8Array): RgbImage => ({ width: FACE_WIDTH, height: FACE_HEIGHT, data });

/** One row for each face: Cameo's figures, and PSNR and SSIM of the others. */
export function facesTable({ setting, faces }: DemoRun): ReportTable {
  const columns = ['Face', 'Bytes', 'bpp', 'PSNR, dB', 'SSIM'];
  for (const codec of DEMO_BASELINES) columns.push(`${CODEC_TITLES[codec]}: bytes`, 'PSNR, dB', 'SSIM');
  const rows = faces.map(({ face, scores }) => {
    const { bytes, psnr, ssim } = scores.cameo;
    const bpp = (8 * bytes) / (FACE_WIDTH * FACE_HEIGHT);
    return [
      face.name,
      bytes,
      bpp.toFixed(3),
      psnr.toFixed(2),
      ssim.toFixed(4),
      ...DEMO_BASELINES.flatMap((codec) => cells(scores[codec])),
    ];
  });
  const larger = faces.some(({ scores }) => DEMO_BASELINES.some((codec) => scores[codec]?.fits === false));
  return {
    title: `Each face at ${setting}, and other codecs with at most as many bytes`,
    columns,
    rows,
    note: larger ? '* no file is as small: the smallest there is, in favour of that codec' : undefined,
  };
}

function cells(score: Score | undefined): (string | number)[] {
  if (!score) return ['', '', ''];
  return [`${score.bytes}${score.fits ? '' : '*'}`, score.psnr.toFixed(2), score.ssim.toFixed(4)];
}

/** Means a setting, of Cameo and of the others. */
export function demoMeans(runs: readonly DemoRun[]): ReportTable {
  return meansTable(summaries(runs), `Means of ${runs[0].faces.length} faces`, 'Size');
}

/** Time to encode and to decode one face. */
export function timesTable(runs: readonly DemoRun[], device: string): ReportTable {
  return {
    title: `Time a face, ${device}`,
    columns: ['Size', 'Encode, ms', 'Decode, ms'],
    rows: runs.map(({ setting, encodeSeconds, decodeSeconds }) => [
      setting,
      (1000 * encodeSeconds).toFixed(1),
      (1000 * decodeSeconds).toFixed(1),
    ]),
    note: 'File and checksum included; without reading photographs, and without building the kernels, which is done once a run.',
  };
}

/** Original, Cameo, JPEG, JPEG2000; a row for each face. */
export function demoSheet({ setting, faces }: DemoRun): RgbImage {
  return contactSheet({
    title: `At ${setting}: original, restored from Cameo files, and other codecs with at most as many bytes`,
    columns: ['Original', CODEC_TITLES.cameo, ...DEMO_BASELINES.map((codec) => CODEC_TITLES[codec])],
    rowsAcross: 2,
    rows: faces.map(({ face, restored, scores, baselines }) => ({
      caption: face.name,
      cells: [
        { image: picture(face.pixels), caption: `${face.pixels.length} B raw` },
        { image: picture(restored), caption: captionOf(scores.cameo) },
        ...DEMO_BASELINES.map((codec) => {
          const baseline = baselines.find((result) => result.codec === codec);
          return baseline && { image: picture(baseline.rgb), caption: captionOf(scores[codec]!) };
        }),
      ],
    })),
  });
}

function captionOf({ bytes, psnr, fits }: Score): string {
  return `${bytes}${fits ? '' : '*'} B ${psnr.toFixed(1)} dB`;
}

/**
 * @param sheets the `demoSheet` of each run, as PNG
 * @param device name of the adapter, for the page
 */
export function demoHtml(runs: readonly DemoRun[], sheets: readonly Uint8Array[], device: string): string {
  const figures = runs.map(({ setting }, k) => ({
    title: `At ${setting}`,
    picture: { png: sheets[k] },
    caption: 'A * marks a file that is larger than Cameo’s: no smaller one exists.',
  }));
  const svg = rateDistortionPlot(summaries(runs), 'Means of all faces');
  return htmlReport({
    title: 'Cameo: faces in a few hundred bytes',
    intro: [
      `${runs[0].faces.length} faces, aligned to ${FACE_WIDTH}×${FACE_HEIGHT} pixels, compressed and restored at ${runs.length} sizes by a neural network on WebGPU (${device}). JPEG and JPEG2000 get at most the same bytes for each face.`,
    ],
    tables: [demoMeans(runs), facesTable(runs[0]), timesTable(runs, device)],
    figures: [{ title: 'PSNR over bytes', picture: { svg } }, ...figures],
  });
}

function summaries(runs: readonly DemoRun[]) {
  return runs.map(({ setting, faces }) => ({ rate: setting, all: summarise(faces.map(({ scores }) => scores)) }));
}
