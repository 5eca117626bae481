import { type CameoError, FormatError } from './errors.js';

/** Strings and marks of a JSON text: what it takes to tell keys. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

/**
 * The value of a JSON text that a program wrote, such as the header of a weights file. An object with a duplicate key is
 * refused, because one of the two values would be lost. `parseJson` (json.ts) also tells the line, for texts that people write.
 * @param name of the text in errors
 * @param fail makes the error; a FormatError when absent
 * @throws that error
 */
export function parseProgramJson(
  text: string,
  name: string,
  fail: (message: string) => CameoError = (message) => new FormatError(message),
): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail(`${name} is not JSON: ${(error as Error).message}`);
  }
  const open: Set<string>[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const key = JSON.parse(last) as string;
      if (open.at(-1)?.has(key)) throw fail(`${name}: the key ${JSON.stringify(key)} occurs twice`);
      open.at(-1)?.add(key);
    }
    last = token;
  }
  return value;
}
