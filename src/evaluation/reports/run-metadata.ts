import type { GpuDescription } from '../../gpu/description.js';

/** What every report says of the run that made it. */
export interface RunMetadata {
  command: string;
  /** ISO 8601, UTC. */
  date: string;
  /** Of the program as it started; with "+" where files differed from it, null where it is not known. */
  commit: string | null;
  version: string;
  runtime: string;
  device: GpuDescription;
}

export const deviceText = ({ device }: RunMetadata): string =>
  `${device.description || device.device} (${device.device}, ${device.kind})`;

export const programText = ({ version, commit, runtime }: RunMetadata): string =>
  `version ${version}, commit ${commit ?? 'unknown'}, ${runtime}`;

/** What is known of a run, a sentence each, as lists at the head of reports have them. */
export const metadataTexts = (metadata: RunMetadata): string[] => [
  `Device: ${deviceText(metadata)}`,
  `Program: ${programText(metadata)}`,
  `Date: ${metadata.date}`,
  `Command: \`${metadata.command}\``,
];

/** A list in Markdown. */
export const listLines = (texts: readonly string[]): string => texts.map((text) => `- ${text}`).join('\n');
