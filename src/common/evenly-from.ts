/** So many of a list, at equal distances; all of a list that has fewer. */
export function evenlyFrom<T>(list: readonly T[], count: number): T[] {
  const step = Math.max(1, list.length / count);
  return Array.from({ length: Math.min(count, list.length) }, (_, k) => list[Math.floor(k * step)]);
}
