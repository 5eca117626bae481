import type { Unreadable } from '../../data/faces/face-listing.js';
import type { AutoencoderConfig } from '../../models/autoencoder.js';
import type { RateEvaluation } from '../quality/autoencoder-evaluation.js';
import { groupTable, meansTable } from './codec-tables.js';
import { listLines, metadataTexts, type RunMetadata } from './run-metadata.js';
import { markdownTable } from './tables.js';

/** The results and metadata of `cameo evaluate autoencoder`: the content of its JSON file. */
export interface AutoencoderReport extends RunMetadata {
  model: { id: string; config: AutoencoderConfig };
  data: { split: string; facesInSplit: number; faces: number; unreadable: Unreadable[] };
  rates: RateEvaluation[];
}

/** The report for readers. @param plot name of the plot's file beside it */
export function autoencoderReportMarkdown(report: AutoencoderReport, plot: string): string {
  const { data, model, rates } = report;
  const { stages, latentChannels } = model.config;
  const subset =
    data.faces < data.facesInSplit
      ? `${data.faces} of the ${data.facesInSplit} faces of split ${data.split}, spread evenly`
      : `all ${data.faces} faces of split ${data.split}`;
  const metadata = [
    `Faces: ${subset}${data.unreadable.length > 0 ? `; ${data.unreadable.length} unreadable` : ''}`,
    `Model: ${model.id}, stages ${stages.join('-')}, ${latentChannels} latent channels`,
    ...metadataTexts(report),
  ];
  const tables = [meansTable(rates, 'All faces')];
  for (const { rate, sources } of rates) {
    if (Object.keys(sources).length > 0) tables.push(groupTable(sources, `By source, rate ${rate}`, 'Source'));
  }
  for (const { rate, groups } of rates) {
    if (Object.keys(groups).length > 0) tables.push(groupTable(groups, `By sex and race, rate ${rate}`, 'Group'));
  }
  return [
    `# Cameo beside JPEG and JPEG2000: split ${data.split}`,
    listLines(metadata),
    `![PSNR over bytes](${plot})`,
    ...tables.map(markdownTable),
    '',
  ].join('\n\n');
}
