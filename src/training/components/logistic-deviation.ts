/** Standard deviation of a logistic distribution of scale 1. */
export const LOGISTIC_DEVIATION = Math.PI / Math.sqrt(3);
