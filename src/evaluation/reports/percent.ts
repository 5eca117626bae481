/** A share from 0 to 1 as text. */
export const percent = (share: number, digits = 2): string => `${(100 * share).toFixed(digits)} %`;

/** The accuracy as a mean over folds with its standard error, both in percent. */
export const accuracyText = ({ accuracy, standardError }: { accuracy: number; standardError: number }): string =>
  `${percent(accuracy)} ± ${(100 * standardError).toFixed(2)}`;

/** The probability that a test gives, as text with its relation; a value that a double cannot distinguish from 0 is called small. */
export const probability = (p: number): string => (p < 1e-300 ? 'p < 1e-300' : `p = ${p.toExponential(1)}`);
