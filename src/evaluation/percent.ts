/** A share from 0 to 1 as text. */
export const percent = (share: number, digits = 2): string => `${(100 * share).toFixed(digits)} %`;
