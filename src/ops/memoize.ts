/**
 * Keeps the last results of a pure function by the JSON text of its arguments, which must distinguish them.
 * Callers share a result and must not change it.
 */
export function memoize<Args extends readonly unknown[], Result>(
  compute: (...args: Args) => Result,
  max = 1024,
): (...args: Args) => Result {
  const known = new Map<string, Result>();
  return (...args) => {
    const key = JSON.stringify(args);
    const found = known.get(key);
    if (found !== undefined) return found;
    const result = compute(...args);
    if (known.size >= max) known.delete(known.keys().next().value!); // the oldest
    known.set(key, result);
    return result;
  };
}
