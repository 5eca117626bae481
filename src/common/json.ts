import { type CameoError, FormatError } from './errors.js';

/** White space, then a string, another literal, or a mark. */
const TOKEN =
  /[ \t\n\r]*(?:("[ !#-[\]-\uffff]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[ !#-[\]-\uffff]*)*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null)|([{}[\],:]))/y;

/**
 * The value of a JSON text. Unlike JSON.parse, it refuses an object with a duplicate key, of which one value would be lost.
 * @param name of the text in errors
 * @param fail makes the error; a FormatError when absent
 * @throws that error, with the line, what was found and what was expected
 */
export function parseJson(
  text: string,
  name: string,
  fail: (message: string) => CameoError = (message) => new FormatError(message),
): unknown {
  const fault = findFault(text);
  if (fault) {
    const line = text.slice(0, fault.at).split('\n').length;
    throw fail(`${name}, line ${line}: ${fault.why}`);
  }
  return JSON.parse(text);
}

/** An open object, with its keys so far, or null for an open list. */
type Level = Set<string> | null;

/** The first place where a text is not JSON or repeats a key. */
function findFault(text: string): { at: number; why: string } | undefined {
  const token = new RegExp(TOKEN);
  const levels: Level[] = [];
  let at = 0;
  let want = 'a value';
  /** Whether a bracket has just been opened, so that it may be closed. */
  let opened = false;
  const fault = (why: string): { at: number; why: string } => ({ at: text.slice(at).search(/[^ \t\n\r]|$/) + at, why });
  const afterValue = (): void => {
    const level = levels.at(-1);
    want = level === undefined ? 'the end' : level ? '"," or "}"' : '"," or "]"';
  };
  for (;;) {
    token.lastIndex = at;
    const found = token.exec(text);
    if (!found) {
      const rest = text.slice(at).trim().split('\n')[0].slice(0, 12);
      if (rest === '' && want === 'the end') return undefined;
      return fault(`not JSON: ${rest === '' ? 'the text ends' : `${rest} stands`} where ${want} is expected`);
    }
    const [, string, literal, mark] = found;
    const misplaced = () => fault(`not JSON: ${string ?? literal ?? `"${mark}"`} stands where ${want} is expected`);
    const level = levels.at(-1);
    if (mark === '}' || mark === ']') {
      const fits = level !== undefined && (mark === '}') === (level !== null);
      if (!fits || !(want.startsWith('","') || opened)) return misplaced();
      levels.pop();
      opened = false;
      afterValue();
    } else if (want === 'a key') {
      if (string === undefined) return misplaced();
      const key = JSON.parse(string) as string;
      if (level!.has(key)) return fault(`the key ${JSON.stringify(key)} occurs twice`);
      level!.add(key);
      opened = false;
      want = '":"';
    } else if (want === '":"') {
      if (mark !== ':') return misplaced();
      want = 'a value';
    } else if (want === 'a value') {
      if (mark === ',' || mark === ':') return misplaced();
      opened = mark !== undefined;
      if (opened) {
        levels.push(mark === '{' ? new Set() : null);
        want = mark === '{' ? 'a key' : 'a value';
      } else afterValue();
    } else {
      if (mark !== ',' || want === 'the end') return misplaced();
      want = level ? 'a key' : 'a value';
    }
    at = token.lastIndex;
  }
}
