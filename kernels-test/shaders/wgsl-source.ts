import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface SourceLine {
  place: string;
  pattern: RegExp;
  /** Number of characters outside of substitutions. Of several lines that fit, the one with the most is taken. */
  literal: number;
}

function linesOf(file: string): SourceLine[] {
  return readFileSync(join(root, file), 'utf8')
    .split('\n')
    .flatMap((line, k) => {
      // For an unrolled line, only the text between the backticks counts.
      const text = (/`([^`]*\$\{[^`]*)`/.exec(line)?.[1] ?? line).trim();
      const parts = text.split(/\$\{[^}]*\}/);
      const literal = parts.join('').length;
      if (literal < 4) return [];
      const pattern = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*');
      return [{ place: `${file}:${k + 1}`, pattern: new RegExp(`^${pattern}$`), literal }];
    });
}

let lines: SourceLine[] | undefined;

/** The file and line in `shaders/` from which a line of a kernel's text comes; null if none fits. */
export function sourceOfLine(text: string): string | null {
  lines ??= ['shaders', 'shaders/common'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => linesOf(`${folder}/${name}`)),
  );
  const fitting = lines.filter(({ pattern }) => pattern.test(text.trim()));
  return (
    fitting.reduce<SourceLine | null>((best, one) => (best && best.literal >= one.literal ? best : one), null)?.place ??
    null
  );
}
