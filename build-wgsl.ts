import { readFileSync } from 'node:fs';
import type { Plugin } from 'esbuild';

/**
 * Removes comments and unnecessary spaces from the WGSL in the templates of a file of `shaders/`, because minifiers do not change
 * templates. Line breaks within the WGSL stay, so that messages of compilers give lines.
 *
 * The text outside of the templates does not change, and neither does the number of lines: line breaks that are removed from a
 * template are put into its next substitution or after its end, where they have no effect. So source maps stay right.
 *
 * It parses TypeScript only as far as it must to find templates: strings, comments, and templates in substitutions of templates.
 * A regular expression in such a file must not contain a quote, a backtick, an unmatched bracket or two slashes.
 *
 * @throws Error if a template or a bracket is not closed, which means that it did not understand the file
 */
export function stripWgsl(source: string): string {
  let at = 0;
  let result = '';
  const copyTo = (end: number): void => {
    result += source.slice(at, end);
    at = end;
  };
  const after = (mark: string, from: number): number => {
    const begin = source.indexOf(mark, from);
    return begin < 0 ? source.length : begin + mark.length;
  };
  const afterString = (): number => {
    let end = at + 1;
    while (end < source.length && source[end] !== source[at]) end += source[end] === '\\' ? 2 : 1;
    return end + 1;
  };

  /** Copies TypeScript up to the bracket that closes a substitution, or to the end of the file. */
  const code = (): void => {
    for (let depth = 0; at < source.length; ) {
      const char = source[at];
      if (source.startsWith('//', at)) copyTo(after('\n', at));
      else if (source.startsWith('/*', at)) copyTo(after('*/', at + 2));
      else if (char === "'" || char === '"') copyTo(afterString());
      else if (char === '`') template();
      else {
        if (char === '{') depth++;
        if (char === '}' && depth-- === 0) return;
        copyTo(at + 1);
      }
    }
  };

  const template = (): void => {
    copyTo(at + 1);
    for (;;) {
      let end = at;
      while (end < source.length && source[end] !== '`' && !source.startsWith('${', end)) {
        end += source[end] === '\\' ? 2 : 1;
      }
      if (end >= source.length) throw new Error('a template does not end');
      const closes = source[end] === '`';
      const text = source.slice(at, end);
      const short = stripText(text, closes);
      result += short;
      at = end;
      copyTo(end + (closes ? 1 : 2));
      result += '\n'.repeat(text.split('\n').length - short.split('\n').length);
      if (closes) return;
      code();
      copyTo(at + 1);
    }
  };

  code();
  if (at < source.length) throw new Error(`a closing bracket has no opening one, at ${at}`);
  return result;
}

/** Two characters that would become one token, or start a comment, without the space between them. */
const ONE_TOKEN = /^(\w\w|--|\+\+|\/\/|\/\*|<<|>>|&&|\|\||->|[-+*/%&|^<>=!]=)$/;

/** The shortened text between two substitutions. @param last whether the template ends after it */
function stripText(text: string, last: boolean): string {
  return (
    text
      .replace(/\/\*[\s\S]*?\*\//g, '')
      // A comment that reaches a substitution may continue after it, so it stays.
      .replace(/\/\/[^\n]*(\n|$)/g, (comment, end: string) => (end || last ? end : comment))
      .replace(/[ \t]+(?=\n)/g, '')
      .replace(/\n\s+/g, '\n')
      // At either end of the text the neighbouring character is not known, so spaces there stay.
      .replace(/(?<=\S) +(?=\S)/g, (spaces, k: number, all: string) =>
        ONE_TOKEN.test(all[k - 1] + all[k + spaces.length]) ? ' ' : '',
      )
  );
}

/** Files with WGSL. */
export const SHADER = /[\\/]shaders[\\/][^\\/]*(?:[\\/][^\\/]*)?\.ts$/;

/** Bundles files with WGSL as `stripWgsl` shortens them. */
export const shortShaders: Plugin = {
  name: 'short shaders',
  setup({ onLoad }) {
    onLoad({ filter: SHADER }, ({ path }) => ({ contents: stripWgsl(readFileSync(path, 'utf8')), loader: 'ts' }));
  },
};
