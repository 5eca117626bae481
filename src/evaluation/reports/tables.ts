import type { ReportTable } from './html-report.js';

/** Columns whose values are all numbers (or empty) are right-aligned. */
function isNumeric(rows: ReportTable['rows'], column: number): boolean {
  return rows.every((row) => typeof row[column] === 'number' || /^([-−+±]?\d.*|)$/.test(row[column]));
}

/** A table for a terminal: columns padded to equal width, a rule below the headings. */
export function textTable({ title, columns, rows, note }: ReportTable): string {
  const widths = columns.map((name, c) => Math.max(name.length, ...rows.map((row) => String(row[c]).length)));
  const right = columns.map((_, c) => isNumeric(rows, c));
  const line = (values: readonly (string | number)[]): string =>
    values
      .map((value, c) => (right[c] ? String(value).padStart(widths[c]) : String(value).padEnd(widths[c])))
      .join('  ')
      .trimEnd();
  const parts = [line(columns), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)];
  if (title) parts.unshift(title);
  if (note) parts.push(wrap(note, 110));
  return parts.join('\n');
}

/** A table for Markdown, with its title as a heading of the second level and its note below. */
export function markdownTable({ title, columns, rows, note }: ReportTable): string {
  const line = (values: readonly (string | number)[]): string =>
    `| ${values.map((value) => String(value).replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${columns.map((_, c) => (isNumeric(rows, c) ? '--:' : '---')).join('|')}|`;
  const table = [line(columns), rule, ...rows.map(line)].join('\n');
  return [title && `## ${title}`, table, note].filter(Boolean).join('\n\n');
}

/** Breaks a text between words into lines of at most `width` characters. */
function wrap(text: string, width: number): string {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1];
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}
