/**
 * Takes comments, and spaces that separate nothing, out of the WGSL in the templates of a file of `shaders/`: minifiers
 * leave templates as they are. Line breaks within the code stay, so that messages of compilers name lines.
 *
 * Everything between the templates stays as it is, and every line too: line breaks that leave a template go into its next
 * substitution or behind its end, where they mean nothing, so that source maps stay right.
 *
 * It reads TypeScript only as far as it must to find templates: strings, comments, templates in substitutions of templates.
 * A regular expression in such a file must not hold a quote, a backtick, a bracket alone or two slashes.
 *
 * @throws Error where a template or a bracket is not closed: then it misunderstood something
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

  /** TypeScript up to the bracket that closes a substitution, or to the end of the file. */
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
  if (at < source.length) throw new Error(`a bracket closes what none opened, at ${at}`);
  return result;
}

/** Two characters that would be one token, or begin a comment, if they met. */
const ONE_TOKEN = /^(\w\w|--|\+\+|\/\/|\/\*|<<|>>|&&|\|\||->|[-+*/%&|^<>=!]=)$/;

/** The text between two substitutions; `last` where the template ends behind it. */
function stripText(text: string, last: boolean): string {
  return (
    text
      .replace(/\/\*[\s\S]*?\*\//g, '')
      // A comment that reaches a substitution may go on behind it, and stays.
      .replace(/\/\/[^\n]*(\n|$)/g, (comment, end: string) => (end || last ? end : comment))
      .replace(/[ \t]+(?=\n)/g, '')
      .replace(/\n\s+/g, '\n')
      // At either end of the text what follows is not known.
      .replace(/(?<=\S) +(?=\S)/g, (spaces, k: number, all: string) =>
        ONE_TOKEN.test(all[k - 1] + all[k + spaces.length]) ? ' ' : '',
      )
  );
}
