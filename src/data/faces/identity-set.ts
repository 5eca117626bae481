import { createHash } from 'node:crypto';
import type { FaceEntry } from './face-listing.js';
import type { FaceSet } from './face-set.js';

/** What is doubtful about the labels of a set; none of it stops a training run. */
export interface LabelReport {
  /** Identities with a single face: nothing can be learnt to match it. They are treated as unlabelled. */
  single: string[];
  /** Groups of paths whose pixels are equal; `identities` has more than one where they are labelled as several persons. */
  duplicates: { paths: string[]; identities: string[] }[];
  unreadable: readonly { path: string; reason: string }[];
}

/** Faces by index of a `FaceSet`, and the class of each of those that have one. */
export interface Labelling {
  /** Indices of the faces with a class. */
  labelled: number[];
  /** Class of every face of the set; −1 for none. */
  classOf: Int32Array;
  /** Indices of readable faces without a class. */
  unlabelled: number[];
  /** Identity of each class, in the order of the classes. */
  identities: string[];
  report: LabelReport;
}

/**
 * Makes classes of identities: those with at least two readable faces, in the order of their names. Decodes the whole set.
 * Of equal pictures of one identity, the first is used. Equal pictures of several identities are all used without label.
 */
export async function labelFaces(
  faces: FaceSet,
  onProgress?: (done: number, total: number) => void,
): Promise<Labelling> {
  const readable = await faces.readable(onProgress);
  const groups = new Map<string, number[]>();
  for (const index of readable) {
    const hash = createHash('sha256')
      .update(await faces.face(index))
      .digest('base64');
    groups.set(hash, [...(groups.get(hash) ?? []), index]);
  }
  const entryOf = (index: number): FaceEntry => faces.entries[index];
  const duplicates: LabelReport['duplicates'] = [];
  const unique = new Set<number>();
  const contested = new Set<number>();
  for (const indices of groups.values()) {
    const identities = [...new Set(indices.map((index) => entryOf(index).identity))];
    if (indices.length > 1) duplicates.push({ paths: indices.map((index) => entryOf(index).path), identities });
    unique.add(indices[0]);
    if (identities.length > 1) contested.add(indices[0]);
  }
  const byIdentity = new Map<string, number[]>();
  for (const index of readable.filter((i) => unique.has(i) && !contested.has(i))) {
    const { identity } = entryOf(index);
    if (identity !== '') byIdentity.set(identity, [...(byIdentity.get(identity) ?? []), index]);
  }
  const names = [...byIdentity.keys()].sort();
  const identities = names.filter((name) => byIdentity.get(name)!.length > 1);
  const classOf = new Int32Array(faces.count).fill(-1);
  identities.forEach((name, label) => {
    for (const index of byIdentity.get(name)!) classOf[index] = label;
  });
  return {
    labelled: readable.filter((index) => classOf[index] >= 0),
    classOf,
    unlabelled: readable.filter((index) => classOf[index] < 0 && unique.has(index)),
    identities,
    report: {
      single: names.filter((name) => byIdentity.get(name)!.length === 1),
      duplicates,
      unreadable: faces.unreadable,
    },
  };
}

/** Indices of the first `most` faces of each identity. */
export function firstFaces(entries: readonly FaceEntry[], max: number): number[] {
  const counts = new Map<string, number>();
  return [...entries.keys()].filter((index) => {
    const { identity } = entries[index];
    const count = (counts.get(identity) ?? 0) + 1;
    counts.set(identity, count);
    return identity !== '' && count <= max;
  });
}

/** The report in a few lines. */
export function labelReportText({ single, duplicates, unreadable }: LabelReport): string[] {
  const lines: string[] = [];
  const some = (names: readonly string[]): string => `${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}`;
  if (single.length > 0)
    lines.push(`${single.length} identities have a single face, used without label: ${some(single)}`);
  const across = duplicates.filter(({ identities }) => identities.length > 1);
  const within = duplicates.length - across.length;
  if (within > 0)
    lines.push(
      `${within} pictures occur more than once, and are used once: ${some(duplicates.map((d) => d.paths[0]))}`,
    );
  if (across.length > 0) {
    const names = across.map(({ identities }) => identities.join(' = '));
    lines.push(`${across.length} pictures are labelled as several identities, used without label: ${some(names)}`);
  }
  if (unreadable.length > 0) {
    lines.push(`${unreadable.length} pictures are unreadable: ${some(unreadable.map(({ path }) => path))}`);
  }
  return lines;
}

/** Weights by which every class is drawn as often as any other, for the faces of the given indices. */
export function balancedWeights(indices: readonly number[], classOf: Int32Array): Float64Array {
  const counts = new Map<number, number>();
  for (const index of indices) counts.set(classOf[index], (counts.get(classOf[index]) ?? 0) + 1);
  return Float64Array.from(indices, (index) => 1 / counts.get(classOf[index])!);
}
