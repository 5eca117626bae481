import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../cli/cli-fixture.js';

/** Measured figures in a text: numbers with decimals, except versions, which have two dots or follow a name. */
export const figuresOf = (text: string): string[] =>
  [...text.matchAll(/(?<![\d.@/v-])\d+\.\d+(?![\d.]*\.\d|\.tgz|\w)/g)].map(([figure]) => figure);

/** Whether a text has a figure as a separate number, or a number that rounds to it. */
export function hasFigure(text: string, figure: string): boolean {
  const decimals = figure.split('.')[1].length;
  // A half may round either way, because a binary fraction is not exact.
  const close = (number: string): boolean => Math.abs(Number(number) - Number(figure)) <= 0.5000001 * 10 ** -decimals;
  return [...text.matchAll(/(?<![\d.])\d+\.\d+(?!\d)/g)].some(
    ([number]) => number === figure || (number.split('.')[1].length > decimals && close(number)),
  );
}

/** The reports in results/. */
export const reports = (): string[] =>
  readdirSync(join(ROOT, 'results'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => readFileSync(join(ROOT, 'results', path), 'utf8'));

/** The text and tables of a page, without code, targets of links, and text in brackets. */
export const withoutCodeAndLinks = (text: string): string =>
  text.replace(/```[\s\S]*?```|`[^`\n]*`|\]\([^)]*\)|arXiv \S+/g, '').replace(/Node \d+\.\d+ or later/g, '');
