/** A person of one set whom a recogniser takes for a person of another. */
export interface IdentityMatch {
  identity: string;
  other: string;
  /** Cosine of the two persons' mean embeddings. */
  cosine: number;
}

/** The mean embedding of each person, of length 1, in the order of their names. */
export interface People {
  names: string[];
  /** [people · dimension] */
  means: Float32Array;
  dimension: number;
}

/**
 * @param embeddings of the faces, each of length 1
 * @param identities of the same faces; those with '' are left out
 */
export function peopleOf(embeddings: readonly Float32Array[], identities: readonly string[]): People {
  const sums = new Map<string, Float64Array>();
  embeddings.forEach((values, k) => {
    if (identities[k] === '') return;
    const sum = sums.get(identities[k]) ?? new Float64Array(values.length);
    values.forEach((value, i) => {
      sum[i] += value;
    });
    sums.set(identities[k], sum);
  });
  const names = [...sums.keys()].sort();
  const dimension = embeddings[0]?.length ?? 0;
  const means = new Float32Array(names.length * dimension);
  names.forEach((name, k) => {
    const sum = sums.get(name)!;
    const norm = Math.hypot(...sum) || 1;
    means.set(
      Float32Array.from(sum, (value) => value / norm),
      k * dimension,
    );
  });
  return { names, means, dimension };
}

/**
 * For each person the most similar one of another set, the most similar pairs first. Persons of the same name are the same
 * person, and are not compared.
 */
export function closestMatches(people: People, others: People): IdentityMatch[] {
  const { dimension } = people;
  const matches = people.names.map((identity, a): IdentityMatch => {
    let best: IdentityMatch = { identity, other: '', cosine: -1 };
    for (let b = 0; b < others.names.length; b++) {
      if (others.names[b] === identity) continue;
      let dot = 0;
      for (let i = 0; i < dimension; i++) dot += people.means[a * dimension + i] * others.means[b * dimension + i];
      if (dot > best.cosine) best = { identity, other: others.names[b], cosine: dot };
    }
    return best;
  });
  return matches.sort((one, two) => two.cosine - one.cosine || (one.identity < two.identity ? -1 : 1));
}
