import { ArgumentError } from '../../common/errors.js';
import { mcNemar, type PairedComparison } from '../verification/paired.js';

/** The operating point that all mismatched pairs of the pictures give. */
export interface OpenTar {
  /** Pairs of pictures of different persons, each once. */
  impostors: number;
  threshold: number;
  /** Share of the protocol's matched pairs that are accepted. */
  tar: number;
}

/** Scores are counted in so many classes from −1 to 1: thresholds are that exact. */
const CLASSES = 1 << 18;

/**
 * The lowest threshold at which at most the share `far` of all pairs of different persons is accepted. View 2 lists 3,000
 * mismatched pairs, of which three decide about FAR 1e-3; its pictures make some 29.6 million.
 *
 * @param references embeddings of length 1, one a picture, each a pair with every probe after it
 * @param probes as many, of the same pictures in the same order; the same list where both are alike
 * @param persons of each picture
 * @param far false accept rate, from 0 to below 1
 * @throws ArgumentError for lists of unequal length, pictures of one person alone, or values that are not finite
 */
export function impostorThreshold(
  references: readonly Float32Array[],
  probes: readonly Float32Array[],
  persons: readonly string[],
  far: number,
): { threshold: number; impostors: number } {
  const count = references.length;
  if (probes.length !== count || persons.length !== count) {
    throw new ArgumentError(
      `impostorThreshold: ${count} references, ${probes.length} probes and ${persons.length} persons; expected as many of each`,
    );
  }
  const length = references[0]?.length ?? 0;
  const flat = new Float32Array(count * length);
  probes.forEach((probe, k) => {
    flat.set(probe, k * length);
  });
  const ids = new Map([...new Set(persons)].map((name, k) => [name, k]));
  const person = Int32Array.from(persons, (name) => ids.get(name)!);
  const histogram = new Uint32Array(CLASSES + 1);
  let impostors = 0;
  for (let i = 0; i < count; i++) {
    const own = references[i];
    for (let j = i + 1; j < count; j++) {
      if (person[i] === person[j]) continue;
      const at = j * length;
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      let k = 0;
      for (; k + 3 < length; k += 4) {
        s0 += own[k] * flat[at + k];
        s1 += own[k + 1] * flat[at + k + 1];
        s2 += own[k + 2] * flat[at + k + 2];
        s3 += own[k + 3] * flat[at + k + 3];
      }
      for (; k < length; k++) s0 += own[k] * flat[at + k];
      const score = s0 + s1 + s2 + s3;
      if (!(score >= -1.001 && score <= 1.001)) {
        throw new ArgumentError(`impostorThreshold: pictures ${i} and ${j} have score ${score}; expected −1 to 1`);
      }
      histogram[Math.max(0, Math.min(CLASSES, Math.floor(((score + 1) / 2) * CLASSES)))]++;
      impostors++;
    }
  }
  if (impostors === 0) throw new ArgumentError('impostorThreshold: no two pictures of different persons');
  const allowed = Math.floor(far * impostors);
  let accepted = 0;
  let lowest = CLASSES + 1; // refuses all
  while (lowest > 0 && accepted + histogram[lowest - 1] <= allowed) accepted += histogram[--lowest];
  return { threshold: (2 * lowest) / CLASSES - 1, impostors };
}

/** Which of the protocol's matched pairs a threshold accepts. */
export const accepted = (scored: readonly { score: number; same: boolean }[], threshold: number): boolean[] =>
  scored.filter(({ same }) => same).map(({ score }) => score >= threshold);

/** How the true accept rates of two ways of scoring the same matched pairs differ, each at its own threshold. */
export function pairedOpenTar(
  first: readonly boolean[],
  second: readonly boolean[],
): PairedComparison & { difference: number } {
  const comparison = mcNemar(first, second);
  return { ...comparison, difference: (comparison.onlyFirst - comparison.onlySecond) / first.length };
}
