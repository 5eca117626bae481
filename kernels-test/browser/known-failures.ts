/** Tests that fail on a platform, by "file: title", and why. A test that passes again is to be taken off. */
const KNOWN: Record<string, Record<string, string>> = {};

/** Why a test is known to fail on a platform, if it is. */
export const knownFailure = (place: string, file: string, title: string): string | undefined =>
  KNOWN[place]?.[`${file}: ${title}`];
