/** A share from 0 to 1 as text. */
export const percent = (share: number, digits = 2): string => `${(100 * share).toFixed(digits)} %`;

/** The probability that a test gives, as text with its relation; what a double cannot tell from 0 is said to be small. */
export const probability = (p: number): string => (p < 1e-300 ? 'p < 1e-300' : `p = ${p.toExponential(1)}`);
