/**
 * The text of a loop's body once for each i from 0 to count − 1, line by line: a loop that is written out, where that was
 * measured to be faster than a loop of WGSL. The body reads as WGSL: `unroll(4, (i) => wgsl`sum += x${i} * w${i};`)`.
 * WGSL allows a comma behind the last argument, so it makes lists of arguments, too: `vec4f(${unroll(4, (i) => `x${i},`)})`.
 * @param between what stands between two of them: an operator makes an expression of terms
 */
export function unroll(count: number, body: (i: number) => string, between = '\n'): string {
  return Array.from({ length: count }, (_, i) => body(i)).join(between);
}
