import { suite as uvuSuite } from 'uvu';

/** The result of one test, with `error` if it failed. */
export interface PageResult {
  name: string;
  error?: string;
  skipped?: true;
}

/** The results of all tests that the page has run, in their order. */
export const results: PageResult[] = [];

// biome-ignore lint/suspicious/noExplicitAny: uvu decides what it passes to a test
type Body = (context: any) => unknown;
type Register = (title: string, body: (context: object) => Promise<void>) => void;

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** uvu's `suite`, which also keeps the result of each test; uvu only counts and prints them. */
export function suite(name?: string) {
  const inner = uvuSuite(name);
  const recorded =
    (register: Register) =>
    (title: string, body: Body): void =>
      register(title, async (context) => {
        try {
          await body(context);
          results.push({ name: title });
        } catch (error) {
          results.push({ name: title, error: describe(error) });
          throw error;
        }
      });
  return Object.assign(recorded(inner), {
    before: inner.before,
    after: inner.after,
    run: inner.run,
    only: recorded(inner.only),
    skip: (title: string): void => {
      results.push({ name: title, skipped: true });
      inner.skip(title);
    },
  });
}

export const test = suite();
