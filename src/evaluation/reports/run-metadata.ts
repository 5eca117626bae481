import type { GpuDescription } from '../../gpu/description.js';

/** Metadata in every report on the run that made it. */
export interface RunMetadata {
  command: string;
  /** ISO 8601, UTC. */
  date: string;
  /** Commit of the program when it started; with "+" if files differed from it, null if it is not known. */
  commit: string | null;
  version: string;
  runtime: string;
  device: GpuDescription;
}

export const deviceText = ({ device }: RunMetadata): string =>
  `${device.description || device.device} (${device.device}, ${device.kind})`;

export const programText = ({ version, commit, runtime }: RunMetadata): string =>
  `version ${version}, commit ${commit ?? 'unknown'}, ${runtime}`;

/** The metadata of a run, one sentence each, for the list at the head of a report. */
export const metadataTexts = (metadata: RunMetadata): string[] => [
  `Device: ${deviceText(metadata)}`,
  `Program: ${programText(metadata)}`,
  `Date: ${metadata.date}`,
  `Command: \`${metadata.command}\``,
];

/** A list in Markdown. */
export const listLines = (texts: readonly string[]): string => texts.map((text) => `- ${text}`).join('\n');
