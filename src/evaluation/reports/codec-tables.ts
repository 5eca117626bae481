import { BASELINE_CODECS } from '../codecs/baselines.js';
import { CODEC_TITLES, type ComparedCodec } from '../quality/face-scores.js';
import { type CodecMeans, type GroupSummary, PSNR_CAP } from '../quality/summary.js';
import type { ReportTable } from './html-report.js';
import { linePlot } from './plot-svg.js';

/** A rate of the model, or the name of another file size. */
interface NamedRate {
  rate: number | string;
  all: GroupSummary;
}

const ORDER: readonly ComparedCodec[] = ['cameo', ...BASELINE_CODECS];

/**
 * One row of means for each rate and codec.
 * @param heading of the column of rates, where they have names
 */
export function meansTable(rates: readonly NamedRate[], title: string, heading?: string): ReportTable {
  const rows = rates.flatMap(({ rate, all }) =>
    present(all).map(([codec, means]) => [
      rate,
      CODEC_TITLES[codec],
      means.bytes.toFixed(1),
      means.bpp.toFixed(3),
      means.psnr.toFixed(2),
      means.ssim.toFixed(4),
      gainText(means),
    ]),
  );
  return {
    title,
    columns: [heading ?? 'Rate', 'Codec', 'Bytes', 'bpp', 'PSNR, dB', 'SSIM', 'Cameo ahead, dB'],
    rows,
    note: meansNote(rates),
  };
}

/** One row for each group (a source, or sex and race) at one rate. */
export function groupTable(
  groups: Readonly<Record<string, GroupSummary>>,
  title: string,
  heading: string,
): ReportTable {
  const names = Object.keys(groups);
  const baselines = BASELINE_CODECS.filter((codec) => names.some((name) => groups[name].codecs[codec]));
  return {
    title,
    columns: [heading, 'Faces', 'Bytes', 'PSNR, dB', 'SSIM', ...baselines.map((codec) => `${CODEC_TITLES[codec]}: dB`)],
    rows: names.map((name) => {
      const { faces, codecs } = groups[name];
      const { bytes, psnr, ssim } = codecs.cameo;
      const others = baselines.map((codec) => codecs[codec]?.psnr.toFixed(2) ?? '');
      return [name, faces, bytes.toFixed(1), psnr.toFixed(2), ssim.toFixed(4), ...others];
    }),
  };
}

/** Mean PSNR over mean bytes, one line for each codec, as the text of an SVG file. */
export function rateDistortionPlot(rates: readonly { all: GroupSummary }[], title: string): string {
  const series = ORDER.map((codec) => ({
    name: CODEC_TITLES[codec],
    points: rates.flatMap(({ all }): [number, number][] => {
      const means = all.codecs[codec];
      return means ? [[means.bytes, means.psnr]] : [];
    }),
    markers: true,
  })).filter(({ points }) => points.length > 0);
  return linePlot({ title, xLabel: 'bytes a face (mean)', yLabel: 'PSNR, dB (mean)', series });
}

function present({ codecs }: GroupSummary): [ComparedCodec, CodecMeans][] {
  return ORDER.flatMap((codec): [ComparedCodec, CodecMeans][] => {
    const means = codecs[codec];
    return means ? [[codec, means]] : [];
  });
}

function gainText({ cameoGain }: CodecMeans): string {
  if (!cameoGain) return '';
  return `${cameoGain.mean >= 0 ? '+' : '−'}${Math.abs(cameoGain.mean).toFixed(2)} ± ${cameoGain.standardError.toFixed(2)}`;
}

/** How the figures were made, and where a baseline got more bytes than Cameo, or fewer faces. */
function meansNote(rates: readonly NamedRate[]): string {
  const sentences = [
    'Each face alone: the other codecs get at most the bytes of its Cameo file (container included), and the file of best PSNR counts.',
  ];
  for (const { rate, all } of rates) {
    const name = typeof rate === 'number' ? `Rate ${rate}` : `At ${rate}`;
    for (const [codec, { faces, larger }] of present(all)) {
      const title = CODEC_TITLES[codec];
      if (larger > 0) {
        sentences.push(
          `${name}, ${title}: for ${larger} of ${faces} faces no file is as small; the smallest there is was taken, in its favour.`,
        );
      }
      if (faces < all.faces) {
        sentences.push(`${name}, ${title}: no file at all for ${all.faces - faces} of ${all.faces} faces, left out.`);
      }
    }
  }
  sentences.push(
    `PSNR: over all RGB samples, mean of the faces (at most ${PSNR_CAP} dB each). SSIM: 11×11 Gaussian window, mean of the channels. "Cameo ahead": mean difference in PSNR, face by face, ± its standard error.`,
  );
  return sentences.join(' ');
}
