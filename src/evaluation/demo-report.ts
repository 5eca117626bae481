import { FACE_HEIGHT, FACE_WIDTH } from '../data/align.js';
import { encodePng, type RgbImage } from '../data/image.js';
import { meansTable, rateDistortionPlot } from './codec-tables.js';
import { contactSheet } from './contact-sheet.js';
import { DEMO_BASELINES, type DemoRate } from './demo-evaluation.js';
import { CODEC_TITLES, type Score } from './face-scores.js';
import { htmlReport, type ReportTable } from './html-report.js';
import { summarise } from './summary.js';

const picture = (data: Uint8Array): RgbImage => ({ width: FACE_WIDTH, height: FACE_HEIGHT, data });

/** One row a face: Cameo's figures, and PSNR and SSIM of the others. */
export function facesTable({ rate, faces }: DemoRate): ReportTable {
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
    title: `Each face at rate ${rate}, and other codecs with at most as many bytes`,
    columns,
    rows,
    note: larger ? '* no file is as small: the smallest there is, in favour of that codec' : undefined,
  };
}

function cells(score: Score | undefined): (string | number)[] {
  if (!score) return ['', '', ''];
  return [`${score.bytes}${score.fits ? '' : '*'}`, score.psnr.toFixed(2), score.ssim.toFixed(4)];
}

/** Means a rate, of Cameo and of the others. */
export function demoMeans(rates: readonly DemoRate[]): ReportTable {
  return meansTable(summaries(rates), `Means of ${rates[0].faces.length} faces`);
}

/** Time to encode and to decode one face. */
export function timesTable(rates: readonly DemoRate[], device: string): ReportTable {
  return {
    title: `Time a face, ${device}`,
    columns: ['Rate', 'Encode, ms', 'Decode, ms'],
    rows: rates.map(({ rate, encodeSeconds, decodeSeconds }) => [
      rate,
      (1000 * encodeSeconds).toFixed(1),
      (1000 * decodeSeconds).toFixed(1),
    ]),
    note: 'File and checksum included; without reading photographs, and without building the kernels, which is done once a run.',
  };
}

/** Original, Cameo, JPEG, JPEG2000, a row a face. */
export function demoSheet({ rate, faces }: DemoRate): RgbImage {
  return contactSheet({
    title: `Rate ${rate}: original, restored from Cameo files, and other codecs with at most as many bytes`,
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

/** @param device name of the adapter, for the page */
export async function demoHtml(rates: readonly DemoRate[], device: string): Promise<string> {
  const sheets = [];
  for (const rate of rates) {
    const title = `Rate ${rate}`;
    sheets.push({
      title,
      picture: { png: await encodePng(demoSheet(rate)) },
      caption: 'A * marks a file that is larger than Cameo’s: no smaller one exists.',
    });
  }
  const svg = rateDistortionPlot(summaries(rates), 'Means of all faces');
  return htmlReport({
    title: 'Cameo: faces in a few hundred bytes',
    intro: [
      `${rates[0].faces.length} faces, aligned to ${FACE_WIDTH}×${FACE_HEIGHT} pixels, compressed and restored at ${rates.length} rates by a neural network on WebGPU (${device}). JPEG and JPEG2000 get at most the same bytes for each face.`,
    ],
    tables: [demoMeans(rates), facesTable(rates[0]), timesTable(rates, device)],
    figures: [{ title: 'PSNR over bytes', picture: { svg } }, ...sheets],
  });
}

function summaries(rates: readonly DemoRate[]) {
  return rates.map(({ rate, faces }) => ({ rate, all: summarise(faces.map(({ scores }) => scores)) }));
}
