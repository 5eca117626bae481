import { intoText } from '../../bench/codec-summary.js';
import { markdownTable } from '../../src/evaluation/reports/tables.js';

/** The platforms that the kernel tests run on. */
export const PLATFORMS = ['Node', 'Chromium', 'Firefox', 'Deno'] as const;
export type PlatformName = (typeof PLATFORMS)[number];

/** A test that fails on a platform, and why; or a file that does not run to its end there. */
export interface PlatformFailure {
  file: string;
  title: string;
  reason: string;
}

/** What the kernel tests came to on one platform. */
export interface PlatformResult {
  name: PlatformName;
  /** Of the platform, as it says itself. */
  version: string;
  /** Whose WebGPU it is. */
  webgpu: string;
  /** The driver that it runs on. */
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

/** The table, and below it what fails and why. */
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

/** Puts the table between its marks into a text. @throws ArgumentError where it has none */
export const withPlatformTable = (text: string, report: PlatformReport, name: string): string =>
  intoText(text, platformTable(report), name, 'platforms');

/** The report for reading: the table, and when and where each row was measured. */
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
