import { ArgumentError } from '../../common/errors.js';
import { escapeMarkup } from './escape.js';
import { FONT, LOOK } from './look.js';

export interface ReportTable {
  title?: string;
  columns: readonly string[];
  /** One value for each column. Write numbers as they should be shown (`(27.31).toFixed(1)`); they are right-aligned. */
  rows: readonly (readonly (string | number)[])[];
  /** stands below the table */
  note?: string;
}

export interface ReportFigure {
  title?: string;
  /** a PNG file, or the text of an SVG file */
  picture: { png: Uint8Array } | { svg: string };
  /** for readers who do not see the picture; the title when absent */
  alt?: string;
  /** stands below the picture */
  caption?: string;
}

export interface HtmlReportOptions {
  title: string;
  /** paragraphs */
  intro?: string | readonly string[];
  tables?: readonly ReportTable[];
  figures?: readonly ReportFigure[];
}

/** The style of reports, for pages that show their tables. */
export const REPORT_STYLE = `${LOOK}
*{box-sizing:border-box}
body{margin:0 auto;padding:var(--space-3);max-width:70rem;background:var(--paper);color:var(--ink);
font:16px/1.5 ${FONT};overflow-wrap:anywhere}
h1{font-size:var(--larger);line-height:1.2}h2{font-size:var(--large);margin-top:var(--space-5)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:var(--small);font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
th{background:var(--band)}.number{text-align:right}
p.note,figcaption{color:var(--faint);font-size:var(--small)}
figure{margin:0}img{max-width:100%;height:auto}`;

/**
 * A report as one HTML file that needs no other: style and pictures are inside it, scripts and requests are ruled out
 * by its security policy. It follows the reader's light or dark scheme; wide tables scroll by themselves, so it
 * can be read on a phone. All texts are escaped.
 *
 * @throws ArgumentError for a table row with another number of values than the table has columns
 */
export function htmlReport({ title, intro = [], tables = [], figures = [] }: HtmlReportOptions): string {
  const paragraphs = typeof intro === 'string' ? [intro] : intro;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeMarkup(title)}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<h1>${escapeMarkup(title)}</h1>
${paragraphs.map((text) => `<p>${escapeMarkup(text)}</p>`).join('\n')}
${tables.map(renderTable).join('\n')}
${figures.map(renderFigure).join('\n')}
</body>
</html>
`;
}

/** A table as a section of HTML. @throws ArgumentError for a row with another number of values than columns */
export function renderTable({ title, columns, rows, note }: ReportTable): string {
  rows.forEach((row, i) => {
    if (row.length !== columns.length) {
      throw new ArgumentError(
        `htmlReport: table "${title ?? ''}", row ${i} has ${row.length} values; expected ${columns.length}`,
      );
    }
  });
  const numeric = columns.map((_, c) => rows.length > 0 && rows.every((row) => looksNumeric(row[c])));
  const cell = (tag: 'th' | 'td', value: string | number, c: number): string =>
    `<${tag}${tag === 'th' ? ' scope="col"' : ''}${numeric[c] ? ' class="number"' : ''}>${escapeMarkup(String(value))}</${tag}>`;
  const line = (tag: 'th' | 'td', values: readonly (string | number)[]): string =>
    `<tr>${values.map((value, c) => cell(tag, value, c)).join('')}</tr>`;
  return [
    '<section>',
    title ? `<h2>${escapeMarkup(title)}</h2>` : '',
    `<div class="wide" role="region" tabindex="0" aria-label="${escapeMarkup(title ?? 'Table')}"><table><thead>${line('th', columns)}</thead>`,
    `<tbody>${rows.map((row) => line('td', row)).join('\n')}</tbody></table></div>`,
    note ? `<p class="note">${escapeMarkup(note)}</p>` : '',
    '</section>',
  ].join('\n');
}

/** Numbers with or without a sign or a unit, and the dash that stands for a missing one. */
function looksNumeric(value: string | number): boolean {
  return typeof value === 'number' || /^([-−+±]?\d[\d., ]*(e[-+]?\d+)?\s?(%|[a-zA-Z]{1,3}|±.*)?|[-–—]|)$/.test(value);
}

function renderFigure({ title, picture, alt, caption }: ReportFigure): string {
  const source =
    'png' in picture
      ? `data:image/png;base64,${Buffer.from(picture.png).toString('base64')}`
      : `data:image/svg+xml;base64,${Buffer.from(picture.svg, 'utf8').toString('base64')}`;
  return [
    '<section>',
    title ? `<h2>${escapeMarkup(title)}</h2>` : '',
    `<figure><img src="${source}" alt="${escapeMarkup(alt ?? title ?? '')}">`,
    caption ? `<figcaption>${escapeMarkup(caption)}</figcaption>` : '',
    '</figure>',
    '</section>',
  ].join('\n');
}
