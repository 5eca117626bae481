/**
 * A 5×7 pixel font (9 rows with descenders), so that captions in pictures look the same on every machine: servers
 * and containers often have no fonts. One character of the code is one row from the top, its value in base 32 the
 * five pixels, the leftmost in the highest bit; rows at the end that are empty are left out.
 */
const GLYPHS: Record<string, string> = {
  ' ': '',
  '!': '4444404',
  '"': 'aa',
  '#': 'aavavaa',
  $: '4fke5u4',
  '%': 'op248j3',
  '&': 'cik8lid',
  "'": '44',
  '(': '2488842',
  ')': '8422248',
  '*': '04lel4',
  '+': '044v44',
  ',': '00000c48',
  '-': '000v',
  '.': '00000cc',
  '/': '01248g',
  ':': '0cc0cc',
  ';': '0cc0c48',
  '<': '248g842',
  '=': '00v0v',
  '>': '8421248',
  '?': 'eh12404',
  '@': 'eh1dlle',
  '[': 'e88888e',
  '\\': '0g8421',
  ']': 'e22222e',
  '^': '4ah',
  _: '0000000v',
  '`': '842',
  '{': '2448442',
  '|': '4444444',
  '}': '8442448',
  '~': '008l2',
  '×': '00ha4ah',
  '·': '000cc',
  '±': '44v440v',
  0: 'ehjlphe',
  1: '4c4444e',
  2: 'eh1248v',
  3: 'v2421he',
  4: '26aiv22',
  5: 'vgu11he',
  6: '68guhhe',
  7: 'v124888',
  8: 'ehhehhe',
  9: 'ehhf12c',
  A: 'ehhvhhh',
  B: 'uhhuhhu',
  C: 'ehggghe',
  D: 'sihhhis',
  E: 'vgguggv',
  F: 'vgguggg',
  G: 'ehgnhhf',
  H: 'hhhvhhh',
  I: 'e44444e',
  J: '72222ic',
  K: 'hikokih',
  L: 'ggggggv',
  M: 'hrllhhh',
  N: 'hhpljhh',
  O: 'ehhhhhe',
  P: 'uhhuggg',
  Q: 'ehhhlid',
  R: 'uhhukih',
  S: 'fgge11u',
  T: 'v444444',
  U: 'hhhhhhe',
  V: 'hhhhha4',
  W: 'hhhllla',
  X: 'hha4ahh',
  Y: 'hhha444',
  Z: 'v1248gv',
  a: '00e1fhf',
  b: 'ggmphhu',
  c: '00egghe',
  d: '11djhhf',
  e: '00ehvge',
  f: '698s888',
  g: '00fhhhf1e',
  h: 'ggmphhh',
  i: '40c444e',
  j: '2062222ic',
  k: 'ggikoki',
  l: 'c44444e',
  m: '00qllhh',
  n: '00mphhh',
  o: '00ehhhe',
  p: '00uhhhugg',
  q: '00fhhhf11',
  r: '00mpggg',
  s: '00fge1u',
  t: '88s8896',
  u: '00hhhjd',
  v: '00hhha4',
  w: '00hhlla',
  x: '00ha4ah',
  y: '00hhhhf1e',
  z: '00v248v',
};
/** Stands for characters that the font lacks. */
const MISSING = 'vhhhhhv';
/** Dashes and quotes that have a near twin in the font. */
const TWINS: Record<string, string> = { '–': '-', '—': '-', '−': '-', '’': "'", '‘': "'", '“': '"', '”': '"' };

export const GLYPH_WIDTH = 5;
export const GLYPH_HEIGHT = 9;
/** From one character to the next. */
export const GLYPH_ADVANCE = 6;

/**
 * The pixels of a line of text, at (column, row) from its top left corner; GLYPH_ADVANCE columns a character.
 * Accents are dropped ("é" is drawn as "e"); a character that the font lacks is drawn as a box.
 */
export function textPixels(text: string): [number, number][] {
  const pixels: [number, number][] = [];
  fontCharacters(text).forEach((character, at) => {
    const rows = Object.hasOwn(GLYPHS, character) ? GLYPHS[character] : MISSING;
    for (let y = 0; y < rows.length; y++) {
      const bits = Number.parseInt(rows[y], 32);
      for (let x = 0; x < GLYPH_WIDTH; x++) {
        if (bits & (1 << (GLYPH_WIDTH - 1 - x))) pixels.push([at * GLYPH_ADVANCE + x, y]);
      }
    }
  });
  return pixels;
}

/** How many characters wide a text is when drawn. */
export function textLength(text: string): number {
  return fontCharacters(text).length;
}

function fontCharacters(text: string): string[] {
  const plain = text.normalize('NFD').replace(/\p{M}/gu, '');
  return [...plain].flatMap((c) => (c === '…' ? ['.', '.', '.'] : [TWINS[c] ?? c]));
}
