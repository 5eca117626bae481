/** Tests that fail on a platform, by "file: title", with the reason. Remove a test when it passes again. */
const KNOWN: Record<string, Record<string, string>> = {};

/** The reason why a test is known to fail on a platform; undefined if it is not. */
export const knownFailure = (place: string, file: string, title: string): string | undefined =>
  KNOWN[place]?.[`${file}: ${title}`];
