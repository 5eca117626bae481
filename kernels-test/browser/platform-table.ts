import { intoText } from '../../bench/codec-summary.js';
import { markdownTable } from '../../src/evaluation/reports/tables.js';

/** The platforms that the kernel tests run on. */
export const PLATFORMS = ['Node', 'Chromium', 'Firefox', 'Deno'] as const;
export type PlatformName = (typeof PLATFORMS)[number];

/** A test that fails on a platform, or a file that does not run to its end there, with the reason. */
export interface PlatformFailure {
  file: string;
  title: string;
  reason: string;
}

/** The results of the kernel tests on one platform. */
export interface PlatformResult {
  name: PlatformName;
  /** The version that the platform gives. */
  version: string;
  /** The implementation of WebGPU. */
  webgpu: string;
  /** The graphics driver. */
  driver: string;
  passed: number;
  skipped: number;
  failures: PlatformFailure[];
  seconds: number;
  commit: string | null;
  date: string;
}

export interface PlatformReport {
  command: string;
  processor: string;
  platforms: PlatformResult[];
}

/** The table, and below it the failures with their reasons. */
export function platformTable({ platforms }: PlatformReport): string {
  const rows = platforms.map(({ name, version, webgpu, driver, passed, failures }) => [
    name,
    version,
    webgpu,
    driver,
    `${passed} of ${passed + failures.length}`,
  ]);
  const table = markdownTable({
    title: '',
    columns: ['', 'version', 'WebGPU', 'driver', 'kernel tests that pass'],
    rows,
  });
  const failures = platforms.flatMap(({ name, failures }) =>
    failures.map(({ file, title, reason }) => `- ${name}: \`${file}\`, "${title}": ${reason}`),
  );
  return failures.length === 0 ? table : `${table}\n\nThese fail:\n\n${failures.join('\n')}`;
}

/** Puts the table between its marks in a text. @throws ArgumentError if the text has no marks */
export const withPlatformTable = (text: string, report: PlatformReport, name: string): string =>
  intoText(text, platformTable(report), name, 'platforms');

/** The report in Markdown: the table, and when and where each row was measured. */
export function platformMarkdown(report: PlatformReport): string {
  const measured = report.platforms.map(
    ({ name, commit, date, seconds, skipped }) =>
      `- ${name}: commit ${commit ?? 'unknown'}, ${date}, ${Math.round(seconds)} s${skipped ? `, ${skipped} tests skipped` : ''}`,
  );
  return [
    '# Kernel tests by platform',
    `Written by \`${report.command}\` on ${report.processor}. The same test files on each platform, with few shapes (\`CAMEO_FEW_SHAPES=1\`).`,
    platformTable(report),
    measured.join('\n'),
    '',
  ].join('\n\n');
}
